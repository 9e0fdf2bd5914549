"""Asks the LAN who has an address, every few milliseconds: ARP requests, neighbour solicitations.

A program of its own that sits at the switch, so no partition is in its way: every host hears every
question, and what is sniffed tells who answered. It reads no answer itself.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from lab import processes
from lab.floor import Floor
from lab.processes import Process

LINK = "br0"
_ETHERNET = struct.Struct("!6s6sH")


class Asker:
    """Asks for addresses in turn, one every ``interval`` seconds; a context manager."""

    def __init__(self, lab: Floor, addresses: Sequence[str], interval: float = 0.005) -> None:
        self._lab, self._interval = lab, interval
        self._list = lab.run.path / "asked"
        self._list.write_text("\n".join(addresses))
        self._process: Process | None = None

    def __enter__(self) -> Asker:
        sender = self._lab.address(0, 1)  # the LAN's own
        script = [sys.executable, "-m", "lab.asker", self._list, sender, str(self._interval)]
        self._process = processes.start(
            ["ip", "netns", "exec", f"{self._lab.run.prefix}lan", *map(str, script)],
            "lan/asker",
            self._lab.run.path / "logs" / "lan-asker.log",
            self._lab.run.records,
            {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()


def question(address: str, mac: bytes, sender: str) -> bytes:
    """The frame that asks for an address: to everybody, or to its solicited-node group.

    ``sender`` is who asks in IPv4; in IPv6 it is the MAC's link-local address.
    """
    target = ipaddress.ip_address(address)
    if isinstance(target, ipaddress.IPv6Address):
        return _solicitation(target, mac)
    head = _ETHERNET.pack(b"\xff" * 6, mac, 0x0806) + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return head + mac + socket.inet_aton(sender) + bytes(6) + target.packed


def _solicitation(target: ipaddress.IPv6Address, mac: bytes) -> bytes:
    """RFC 4861, section 4.3, from the link-local address that belongs to the MAC."""
    source = b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]
    group = b"\xff\x02" + bytes(9) + b"\x01\xff" + target.packed[13:]
    rest = bytes(4) + target.packed + b"\x01\x01" + mac
    pseudo = source + group + struct.pack("!II", 4 + len(rest), 58)
    total = sum(struct.unpack("!36H", pseudo + b"\x87\0\0\0" + rest))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    message = struct.pack("!BBH", 135, 0, ~total & 0xFFFF) + rest
    head = _ETHERNET.pack(b"\x33\x33" + group[12:], mac, 0x86DD)
    return head + struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + source + group + message


def main(path: Path, sender: str, interval: float) -> None:
    """Asks until it is killed."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((LINK, 0))
        mac = wire.getsockname()[4]
        questions = [question(address, mac, sender) for address in path.read_text().split()]
        due = time.monotonic()
        for frame in itertools.cycle(questions):
            wire.send(frame)
            due += interval
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
