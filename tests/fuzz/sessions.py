"""Anything that can happen to a BGP session, and whatever octets come in on it (`bgp_mess.py`)."""

from __future__ import annotations

from bgp_mess import mess


def session(data: bytes) -> None:
    """It keeps within its bounds, never breaks, and comes up with a peer without fault."""
    mess(data)
