"""Sends ARP requests at a rate: ``python -m bench.flood RATE FIRST COUNT``, in a namespace.

They ask for COUNT addresses from FIRST on, one after the other, from the client's end of a wire.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import time

from bellmetal_layer2 import arp
from lab.wire import CLIENT_IP, LINK

TURN = 0.001  # seconds


def main(rate: int, first: str, count: int) -> None:
    """For ever; every second it says how many frames it sent in it."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.bind((LINK, 0))
    mac, sender = opened.getsockname()[4], ipaddress.IPv4Address(CLIENT_IP)
    frames = [
        arp.ArpFrame(
            arp.BROADCAST, mac, arp.REQUEST, mac, sender, bytes(6), ipaddress.IPv4Address(first) + n
        ).encode()
        for n in range(count)
    ]
    began, sent, told = time.monotonic(), 0, 1
    while True:
        passed = time.monotonic() - began
        while sent < passed * rate:
            opened.send(frames[sent % count])
            sent += 1
        if passed >= told:
            print(f"{sent / passed:.0f} a second", flush=True)
            told += 1
        time.sleep(TURN)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
