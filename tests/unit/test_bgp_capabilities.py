"""Capabilities: read, written, and in words."""

from __future__ import annotations

import pytest

from bellmetal_bgp import capabilities
from bellmetal_bgp.capabilities import BOTH, RECEIVE, SEND, Capabilities, GracefulRestart
from bellmetal_bgp.families import IPV4_UNICAST, IPV6_UNICAST, Family
from bellmetal_bgp.notifications import DecodeError, Notification
from bgp_bytes import capability, number

V4, V6 = bytes.fromhex("00010001"), bytes.fromhex("00020001")

# what is said, its octets, its words
SAID = [
    (Capabilities(), "", ()),
    (Capabilities(frozenset({IPV6_UNICAST, IPV4_UNICAST})), "010400010001" "010400020001",
     ("IPv4 unicast", "IPv6 unicast")),
    (Capabilities(frozenset({Family(25, 70)})), "010400190046", ("L2VPN EVPN",)),
    (Capabilities(route_refresh=True), "0200", ("route refresh",)),
    (Capabilities(enhanced_refresh=True), "4600", ("enhanced route refresh",)),
    (Capabilities(extended_messages=True), "0600", ("extended messages",)),
    (Capabilities(asn4=4200000000), "4104fa56ea00", ("4-octet AS",)),
    (Capabilities(graceful_restart=GracefulRestart(time=120)), "40020078",
     ("graceful restart 120 s",)),
    (Capabilities(graceful_restart=GracefulRestart(True, True, 4095, {IPV4_UNICAST: True})),
     "4006cfff00010180", ("graceful restart 4095 s", "graceful restart after NOTIFICATION")),
    (Capabilities(graceful_restart=GracefulRestart(True, families={IPV6_UNICAST: False})),
     "4006800000020100", ("graceful restart 0 s",)),
    (Capabilities(extended_next_hop=frozenset({(IPV4_UNICAST, 2)})), "0506000100010002",
     ("IPv4 unicast with IPv6 next hop",)),
    (Capabilities(add_path={IPV6_UNICAST: BOTH, IPV4_UNICAST: SEND}), "45080001010200020103",
     ("ADD-PATH IPv4 unicast (send)", "ADD-PATH IPv6 unicast (send and receive)")),
]  # fmt: skip


@pytest.mark.parametrize(("said", "octets", "words"), SAID)
def test_what_is_said(said: Capabilities, octets: str, words: tuple[str, ...]) -> None:
    assert said.encode().hex() == octets
    assert capabilities.decode(said.encode()) == said
    assert said.words() == words


HEARD = [
    pytest.param(capability(99, b"abc") + capability(99) + capability(2),
                 Capabilities(route_refresh=True, unknown=(99,)), id="unknown ones are ignored"),
    pytest.param(capability(64, b"\0\1") + capability(64, b"\0\2"),
                 Capabilities(graceful_restart=GracefulRestart(time=2)), id="the last one counts"),
    pytest.param(capability(1, V4) + capability(1, V4), Capabilities(frozenset({IPV4_UNICAST})),
                 id="the same twice"),
    pytest.param(capability(1, bytes.fromhex("0001ff01")), Capabilities(frozenset({IPV4_UNICAST})),
                 id="the reserved octet is ignored"),
    pytest.param(capability(69, V4[:2] + b"\1\4"), Capabilities(unknown=(69,)),
                 id="a mode of ADD-PATH that is none"),
    pytest.param(capability(69, bytes.fromhex("00010101 00020100")), Capabilities(unknown=(69,)),
                 id="one such mode of two"),
    pytest.param(capability(69, bytes.fromhex("00010101")),
                 Capabilities(add_path={IPV4_UNICAST: RECEIVE}), id="ADD-PATH, receive"),
    pytest.param(capability(64, bytes.fromhex("3001")),
                 Capabilities(graceful_restart=GracefulRestart(time=1)), id="reserved flags"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "heard"), HEARD)
def test_what_is_heard(data: bytes, heard: Capabilities) -> None:
    assert capabilities.decode(data) == heard


SIZES = {  # what is right, for each that we know
    1: [4], 2: [0], 5: [0, 6, 12], 6: [0], 64: [2, 6, 10], 65: [4], 69: [0, 4, 8, 12], 70: [0],
}  # fmt: skip


@pytest.mark.parametrize("code", SIZES)
@pytest.mark.parametrize("size", range(14))
def test_a_length_that_cannot_be_is_malformed(code: int, size: int) -> None:
    data = capability(code, b"\1" * size)
    if size in SIZES[code]:
        capabilities.decode(data)
        return
    with pytest.raises(DecodeError, match=f"^OPEN: .* of {size} octets$") as caught:
        capabilities.decode(data)
    assert caught.value.notification == Notification(2, 0)


def test_one_that_is_cut_off_is_malformed() -> None:
    whole = capability(65, number(65001, 4))
    for end in range(1, len(whole)):
        with pytest.raises(DecodeError, match=r"^OPEN: a capability goes beyond") as caught:
            capabilities.decode(whole[:end])
        assert caught.value.notification == Notification(2, 0)


def test_others_are_told_by_their_names() -> None:
    assert capabilities.decode(capability(73) + capability(71) + capability(200)).words() == (
        "long lived graceful restart",
        "host name",
        "capability 200",
    )


def test_a_time_that_has_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="graceful restart: 4096 s are not 0 to 4095"):
        Capabilities(graceful_restart=GracefulRestart(time=4096)).encode()
