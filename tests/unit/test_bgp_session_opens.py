"""OPEN messages that are refused, with what is told to whom; and those that are taken."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from bellmetal.config import Gateway
from bellmetal.facts import SessionState, SessionTrouble
from bellmetal_bgp.families import IPV6_UNICAST
from bellmetal_bgp.messages import Keepalive, Message, Notification, Open
from bellmetal_bgp.notifications import Code, OpenError
from bellmetal_bgp.session import LONGEST_WAIT
from bgp_bytes import KEEPALIVE, NOTIFICATION, capability, message, opened, parameter
from bgp_facts import peer
from bgp_sessions import CAPABLE, THEIR_OPEN, THEIRS, Lone

# --- OPENs that are refused ----------------------------------------------------------------------

SIX = replace(CAPABLE, families=frozenset({IPV6_UNICAST}))
BAD_OPENS = [
    (
        {},
        replace(THEIR_OPEN, asn=64999, capabilities=replace(CAPABLE, asn4=64999)),
        Notification(Code.OPEN, OpenError.BAD_PEER_AS, b"\0\0\xfd\xe7"),
        (SessionTrouble.WRONG_ASN, "the peer is in AS 64999, spec.peerASN is 64513"),
    ),
    (
        {"peer_asn": 0, "dynamic_asn": "internal"},
        THEIR_OPEN,
        Notification(Code.OPEN, OpenError.BAD_PEER_AS, b"\0\0\xfc\x01"),
        (
            SessionTrouble.WRONG_ASN,
            "the peer is in AS 64513, dynamicASN internal wants 64512",
        ),
    ),
    (
        {"peer_asn": 0, "dynamic_asn": "external", "my_asn": THEIRS},
        THEIR_OPEN,
        Notification(Code.OPEN, OpenError.BAD_PEER_AS, b"\0\0\xfc\x01"),
        (
            SessionTrouble.WRONG_ASN,
            "the peer is in our AS 64513, dynamicASN external wants another one",
        ),
    ),
    (
        {"my_asn": THEIRS},
        replace(THEIR_OPEN, router_id=IPv4Address("192.0.2.10")),
        Notification(Code.OPEN, OpenError.BAD_BGP_IDENTIFIER),
        (SessionTrouble.WRONG_ROUTER_ID, "the peer has our router ID 192.0.2.10"),
    ),
    (
        {"my_asn": 4200000000},
        replace(THEIR_OPEN, capabilities=replace(CAPABLE, asn4=None)),
        Notification(
            Code.OPEN, OpenError.UNSUPPORTED_CAPABILITY, capability(65, b"\xfa\x56\xea\x00")
        ),
        (
            SessionTrouble.PROTOCOL_ERROR,
            "the peer cannot understand our AS number 4200000000, which has four octets",
        ),
    ),
    (
        {},
        replace(THEIR_OPEN, capabilities=SIX),
        Notification(Code.OPEN, OpenError.UNSUPPORTED_CAPABILITY, capability(1, b"\0\1\0\1")),
        (SessionTrouble.PROTOCOL_ERROR, "the peer does not take IPv4 unicast"),
    ),
    (
        {},
        opened(version=3),
        Notification(Code.OPEN, OpenError.UNSUPPORTED_VERSION, b"\0\4"),
        (
            SessionTrouble.PROTOCOL_ERROR,
            "we ended it: OPEN error: unsupported version: version 4 is supported",
        ),
    ),
    (
        {},
        opened(asn=0),
        Notification(Code.OPEN, OpenError.BAD_PEER_AS),
        (SessionTrouble.WRONG_ASN, "we ended it: OPEN error: bad peer AS"),
    ),
    (
        {},
        opened(router_id=bytes(4)),
        Notification(Code.OPEN, OpenError.BAD_BGP_IDENTIFIER),
        (SessionTrouble.WRONG_ROUTER_ID, "we ended it: OPEN error: bad BGP identifier"),
    ),
    *(
        (
            {},
            opened(hold_time=seconds),
            Notification(Code.OPEN, OpenError.UNACCEPTABLE_HOLD_TIME),
            (
                SessionTrouble.PROTOCOL_ERROR,
                "we ended it: OPEN error: unacceptable hold time",
            ),
        )
        for seconds in (1, 2)
    ),
    (
        {},
        opened(parameter(b"", kind=1)),
        Notification(Code.OPEN, OpenError.UNSUPPORTED_OPTIONAL_PARAMETER),
        (
            SessionTrouble.PROTOCOL_ERROR,
            "we ended it: OPEN error: unsupported optional parameter",
        ),
    ),
    (
        {},
        opened(off=1),
        Notification(Code.OPEN, OpenError.UNSPECIFIC),
        (SessionTrouble.PROTOCOL_ERROR, "we ended it: OPEN error"),
    ),
    (
        {},
        Keepalive(),
        Notification(Code.FSM, 1),
        (
            SessionTrouble.PROTOCOL_ERROR,
            "we ended it: message unexpected in this state: in OpenSent",
        ),
    ),
    (
        {},
        message(KEEPALIVE, b"!"),
        Notification(Code.HEADER, 2, b"\0\x14"),
        (
            SessionTrouble.PROTOCOL_ERROR,
            "we ended it: message header error: bad message length: 20 octets",
        ),
    ),
    (
        {},
        b"GET / HTTP/1.1\r\n\r\n ",
        Notification(Code.HEADER, 1),
        (
            SessionTrouble.PROTOCOL_ERROR,
            "we ended it: message header error: connection not synchronized",
        ),
    ),
    (
        {},
        message(NOTIFICATION),
        Notification(Code.HEADER, 2, b"\0\x13"),
        (
            SessionTrouble.PROTOCOL_ERROR,
            "we ended it: message header error: bad message length: 19 octets",
        ),
    ),
]


@pytest.mark.parametrize(("fields", "said", "told", "facts"), BAD_OPENS)
def test_an_open_that_is_refused(
    fields: dict[str, object],
    said: Message | bytes,
    told: Notification,
    facts: tuple[SessionTrouble, str],
) -> None:
    plan = replace(peer(), **fields)  # type: ignore[arg-type]
    it = Lone(plan).start().connected()
    it.said()
    it.hear(said)
    assert it.said() == [told]
    assert (it.facts.trouble, it.facts.message) == facts
    assert it.facts.notification == str(told)
    assert it.facts.notification_sent
    assert it.closed() == [it.number]
    it.wait(LONGEST_WAIT)
    assert it.it.state is SessionState.CONNECT, "it is tried again"


@pytest.mark.parametrize(
    ("fields", "theirs"),
    [
        ({"peer_asn": 0, "dynamic_asn": "external"}, THEIR_OPEN),
        ({"peer_asn": 0, "dynamic_asn": "internal", "my_asn": THEIRS}, THEIR_OPEN),
        ({"local_asn": THEIRS}, THEIR_OPEN),
        ({}, replace(THEIR_OPEN, router_id=IPv4Address("192.0.2.10"))),  # RFC 6286: another AS
        ({}, Open(THEIRS, 90, IPv4Address("192.0.2.1"))),  # no capabilities at all
        ({"dual_stack": True}, replace(THEIR_OPEN, capabilities=SIX)),
        ({"interface": "eth1", "address": None}, replace(THEIR_OPEN, capabilities=SIX)),
        ({"gateway": Gateway.IPV6, "address": None}, replace(THEIR_OPEN, capabilities=SIX)),
    ],
)
def test_an_open_that_is_taken(fields: dict[str, object], theirs: Open) -> None:
    it = Lone(replace(peer(), **fields)).up(theirs)  # type: ignore[arg-type]
    assert it.facts.trouble is None
