"""Packet sockets: which frames are a link's own. What they do on a wire is in the lab's tests."""

from __future__ import annotations

import socket

import pytest

from bellmetal_layer2.sockets import concerns

FRAMES = [
    pytest.param("eth0", socket.PACKET_HOST, True, id="to us"),
    pytest.param("eth0", socket.PACKET_BROADCAST, True, id="to everybody"),
    pytest.param("eth0", socket.PACKET_MULTICAST, True, id="to a group"),
    pytest.param("eth0", socket.PACKET_OUTGOING, False, id="what we sent"),
    pytest.param("eth0", socket.PACKET_OTHERHOST, False, id="of a VLAN without an interface"),
    pytest.param("eth0.5", socket.PACKET_BROADCAST, False, id="of a VLAN with one"),
]


@pytest.mark.parametrize(("came_by", "kind", "ours"), FRAMES)
def test_what_a_link_is_asked(came_by: str, kind: int, ours: bool) -> None:
    assert concerns("eth0", came_by, kind) is ours
