"""What the kernel dropped of TCP, by reason, and what that says of a peer that is silent."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path

from bellmetal.facts import SessionTrouble
from bellmetal_bgp.effects import Failure

NETSTAT = Path("/proc/net/netstat")
NAMES = ("TCPMinTTLDrop", "TCPMD5Unexpected")


def drops(text: str) -> dict[str, int]:
    """The counters that we look at; those that this kernel does not have are left out."""
    lines = [line.split() for line in text.splitlines() if line.startswith("TcpExt:")]
    if len(lines) < 2:
        return {}
    names, values = lines[0], lines[1]
    return {n: int(v) for n, v in zip(names, values, strict=False) if n in NAMES}


def read_drops() -> dict[str, int]:
    """The counters of this network namespace; none where they cannot be read."""
    try:
        return drops(NETSTAT.read_text())
    except (OSError, ValueError):
        return {}


class Bare(enum.Enum):
    """What a peer that does not answer what we sign does with a connection that is not signed."""

    TAKEN = "taken"
    REFUSED = "refused"
    SILENT = "no answer"


def silence(before: Mapping[str, int], after: Mapping[str, int], hops: int) -> Failure:
    """Why a peer that can be routed to does not answer: what was dropped here meanwhile, or else
    what silence usually means. The counters are of all peers together: what cannot be this one's
    is left out."""
    grown = {name for name, value in after.items() if value > before.get(name, value)}
    if hops and "TCPMinTTLDrop" in grown:
        return Failure(
            SessionTrouble.WRONG_TTL,
            f"the peer's packets come from further than {hops} hops, or it does not send them with"
            " TTL 255: dropped",
        )
    if "TCPMD5Unexpected" in grown:
        return Failure(
            SessionTrouble.WRONG_PASSWORD,
            "the peer signs its packets, and this BGPPeer has no password: dropped",
        )
    return Failure(
        SessionTrouble.NO_ANSWER,
        "the peer does not answer: something drops the packets on the way, or the peer wants a"
        " password or another TTL",
    )


def silence_to_signed(bare: Bare, where: str) -> Failure:
    """Why a peer does not answer what we sign. What it refuses is not signed, so the kernel keeps
    it from us: a connection that is not signed finds out."""
    if bare is Bare.REFUSED:
        return Failure(SessionTrouble.REFUSED, f"{where}: nobody listens there")
    if bare is Bare.TAKEN:
        return Failure(
            SessionTrouble.WRONG_PASSWORD,
            "the peer takes connections that are not signed, and no others: it has no password for"
            " this node",
        )
    return Failure(
        SessionTrouble.WRONG_PASSWORD,
        "the peer answers neither what we sign nor what we do not: most likely it has another"
        " password for this node; or something drops the packets on the way",
    )
