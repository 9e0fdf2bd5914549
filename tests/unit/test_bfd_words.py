from __future__ import annotations

import errno
import random

import pytest

from bellmetal_bgp.bfd.packets import Diagnostic, Packet, State, Wrong
from bellmetal_bgp.bfd.session import Session, Timers
from bellmetal_bgp.bfd.wishes import Reach
from bellmetal_bgp.bfd.words import Evidence, explain

ONE_HOP = Reach("10.0.0.2", "", "eth0")
FAR = Reach("10.9.0.2", "10.0.0.1", "", True)
NOTHING = Evidence()


def told(
    *heard: State,
    seen: Evidence = NOTHING,
    reach: Reach = ONE_HOP,
    passive: bool = False,
    diagnostic: int = 0,
    silence: bool = False,
) -> str:
    session = Session(1, Timers(50_000, 50_000, 3, passive), random.Random(1), 0.0)
    for state in heard:
        session.receive(Packet(state, 3, 2, 1, 50_000, 50_000, diagnostic=diagnostic), 0.0)
    if silence:
        session.tick(10.0)
    return explain(reach, 4784 if reach.multi_hop else 3784, session, seen)


def error(number: int, of: str) -> Evidence:
    return NOTHING._replace(**{of: number})


UP = (State.DOWN, State.INIT)
ROWS = [
    (told(*UP), ""),
    (told(), "10.0.0.2 has never answered on UDP port 3784"),
    (told(reach=FAR), "10.9.0.2 has never answered on UDP port 4784"),
    (
        told(passive=True),
        "waiting for 10.0.0.2, as passive mode says; no packet has come yet",
    ),
    (
        told(seen=error(errno.ECONNREFUSED, "sending")),
        "10.0.0.2 refuses packets to UDP port 3784: no BFD runs there",
    ),
    (
        told(seen=error(errno.EHOSTUNREACH, "sending")),
        "there is no way to 10.0.0.2: No route to host",
    ),
    (
        told(seen=error(errno.ENETUNREACH, "opening")),
        "there is no way to 10.0.0.2: Network is unreachable",
    ),
    (told(seen=error(errno.ENODEV, "opening")), "interface eth0 is not there"),
    (
        told(seen=error(errno.EADDRNOTAVAIL, "opening"), reach=FAR),
        "this node has no address 10.0.0.1",
    ),
    (
        told(seen=error(errno.EPERM, "opening")),
        "no packet can be sent to 10.0.0.2: Operation not permitted",
    ),
    (
        told(seen=error(errno.EADDRINUSE, "listening")),
        "UDP port 3784 is taken: another program on this node speaks BFD",
    ),
    (
        told(seen=error(errno.EACCES, "listening")),
        "UDP port 3784 cannot be listened on: Permission denied",
    ),
    (
        told(seen=error(errno.ENODEV, "listening"), reach=ONE_HOP._replace(vrf="red")),
        "VRF red is not there",
    ),
    (
        told(seen=Evidence(wrong=Wrong.TTL, detail="they come with TTL 254")),
        "packets of 10.0.0.2 are discarded: they come with TTL 254, at least 255 is needed: "
        "it is more than one hop away",
    ),
    (
        told(
            seen=Evidence(wrong=Wrong.TTL, detail="they come with TTL 9", least_ttl=250), reach=FAR
        ),
        "packets of 10.9.0.2 are discarded: they come with TTL 9, at least 250 is needed: "
        "it is more hops away than allowed",
    ),
    (
        told(seen=Evidence(wrong=Wrong.VERSION, detail="version 2 is not BFD version 1")),
        "packets of 10.0.0.2 are discarded: version 2 is not BFD version 1",
    ),
    (told(*UP, State.ADMIN_DOWN), "10.0.0.2 has it administratively down"),
    (
        told(*UP, State.DOWN, diagnostic=Diagnostic.DETECTION_TIME_EXPIRED),
        "10.0.0.2 says that it is down: Control Detection Time Expired",
    ),
    (told(State.DOWN), "10.0.0.2 is heard; the session is coming up"),
    (
        told(*UP, silence=True),
        "10.0.0.2 fell silent: no packet within the Detection Time",
    ),
    (
        told(*UP, silence=True, seen=error(errno.ECONNREFUSED, "sending")),
        "10.0.0.2 fell silent: no packet within the Detection Time, and refuses packets now",
    ),
]


@pytest.mark.parametrize(("said", "expected"), ROWS)
def test_why_it_is_not_up_is_a_sentence(said: str, expected: str) -> None:
    assert said == expected
