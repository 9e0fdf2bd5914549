"""The targets by name: each takes bytes and raises AssertionError where something does not hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fuzz import bfd, bgp, frames, looking, members, sessions
from fuzz.objects import OBJECT_TARGETS

TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "arp": frames.arp_frame,
    "ndp": frames.ndp_frame,
    "beacon": frames.beacon_frame,
    "responder": frames.responder,
    "ownership": members.ownership,
    "watch": looking.watch,
    "bfd": bfd.packet,
    "bfd_session": bfd.session,
    "bgp_stream": bgp.stream,
    "bgp_update": bgp.update,
    "bgp_session": sessions.session,
    **OBJECT_TARGETS,
}
CORPUS = Path(__file__).parent / "corpus"


def read_corpus(name: str) -> list[bytes]:
    """The inputs that are kept for a target, one a line, in hexadecimal digits."""
    return [bytes.fromhex(line) for line in (CORPUS / f"{name}.txt").read_text().splitlines()]


def write_corpus(name: str, inputs: list[bytes]) -> None:
    """Smallest first; the same inputs give the same file."""
    ordered = sorted(set(inputs), key=lambda item: (len(item), item))
    (CORPUS / f"{name}.txt").write_text("".join(f"{item.hex()}\n" for item in ordered))
