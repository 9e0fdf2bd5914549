"""What the watch of the LAN makes of frames that are cut off."""

from __future__ import annotations

import ipaddress
import random

import pytest

from bellmetal_layer2 import arp, ndp
from bellmetal_layer2.watch import Overheard, Watch

MAC = bytes.fromhex("020000000009")
IP, IP6 = ipaddress.IPv4Address("192.0.2.10"), ipaddress.IPv6Address("2001:db8::10")
FRAMES = [arp.gratuitous(IP, MAC, arp.REPLY).encode(), ndp.unsolicited(IP6, MAC).encode()]


@pytest.mark.parametrize("frame", FRAMES, ids=["ARP", "NDP"])
def test_a_frame_of_any_length_is_read_or_ignored(frame: bytes) -> None:
    it = Watch("n1", random.Random(1), lambda address: "n2")
    it.want({IP: frozenset(), IP6: frozenset()}, (), 0.0)
    for length in range(len(frame) + 1):
        cut = frame[:length]
        assert it.may_matter(cut) in (True, False)
        assert isinstance(it.receive(Overheard("lan0", cut), 0.0), list)
