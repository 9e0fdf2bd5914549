"""What is around the layer-2 announcer, in memory: its sockets and its watcher of interfaces."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address
from typing import ClassVar

from bellmetal.facts import Interface
from bellmetal_layer2.filters import Instruction

LAN0 = Interface("lan0", 2, bytes.fromhex("02000000000a"), True, ("fe80::a/64",))


class FakeSocket:
    """A `PacketSocket`: what was sent is in ``sent``; `arrive` is a frame from the LAN."""

    broken: ClassVar[set[str]] = set()  # interfaces that cannot be opened
    opened: ClassVar[list[FakeSocket]] = []

    def __init__(self, interface: str, ethertype: int, program: Sequence[Instruction]) -> None:
        if interface in self.broken:
            raise OSError(19, "No such device")
        self.interface, self.ethertype = interface, ethertype
        self.programs = [list(program)]
        self.sent: list[bytes] = []
        self.flushed = 0
        self.closed = False
        self._receive: Callable[[str, bytes], None] | None = None
        self.opened.append(self)

    def filter(self, program: Sequence[Instruction]) -> None:
        assert not self.closed
        self.programs.append(list(program))

    def listen(self, receive: Callable[[str, bytes], None]) -> None:
        self._receive = receive

    def arrive(self, frame: bytes) -> None:
        assert self._receive is not None
        self._receive(self.interface, frame)

    def flush(self) -> None:
        self.flushed += 1

    def send(self, frame: bytes) -> bool:
        assert not self.closed
        self.sent.append(frame)
        return True

    def close(self) -> None:
        self.closed = True


class FakeMemberships:
    """A `Memberships`: the groups that are joined, by the interface's index."""

    joined: ClassVar[dict[int, set[IPv6Address]]] = {}

    def __init__(self, index: int) -> None:
        self._groups = self.joined[index] = set()

    def join(self, group: IPv6Address) -> None:
        assert group not in self._groups
        self._groups.add(group)

    def leave(self, group: IPv6Address) -> None:
        self._groups.remove(group)

    def close(self) -> None:
        self._groups.clear()


class FakeWatcher:
    """A `Watcher` of a node with lan0; `latest` is the one that was made last."""

    latest: ClassVar[FakeWatcher]

    def __init__(
        self,
        changed: Callable[[tuple[Interface, ...]], None],
        exclude: re.Pattern[str] | None = None,
    ) -> None:
        self.changed = changed
        FakeWatcher.latest = self

    async def run(self) -> None:
        self.changed((LAN0,))
        await asyncio.Event().wait()
