"""How fast a question is answered, beside the kernel's own answers in the same run.

``python -m bench.replies [SAMPLES [rest|once|floods …]]``, with PYTHONPATH=tests, as root.
A raw prober in a namespace of its own asks in turn for an address that the node's kernel has and
for one that the announcer answers for, with one and with thousands of addresses, at rest and in
floods; and it watches what goes out when five thousand addresses come at once. There is no cluster:
the announcer is alone, in a process of its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bellmetal.addresses import IPAddress
from bellmetal_layer2 import arp, beacon, ipv6, ndp
from bench.figures import percentile
from lab.wire import CLIENT_IP, NODE_IP, Answerer, Wire

FIRST, FIRST6 = "10.77.0.1", "2001:db8::1"
COUNTS = (1, 2000, 5000)
BURST = 7.0  # seconds after which announcements are over
FOREIGN, OWNED = 50_000, 10_000  # requests a second
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35  # asm-generic/socket.h
IPV6, PORT = ipv6.ETHERTYPE, beacon.PORT.to_bytes(2, "big")


class Prober:
    """Asks on the wire, one question at a time; seconds until the answer, or None."""

    def __init__(self, wire: Wire) -> None:
        self._mac, self._node = wire.mac(wire.client), wire.mac(wire.node)
        self._ip = ipaddress.IPv4Address(CLIENT_IP)
        self._ip6 = ipaddress.IPv6Address(wire.link_local(wire.client))
        self._sockets = {
            4: wire.packets(wire.client, arp.ETHERTYPE_ARP),
            6: wire.packets(wire.client, IPV6),
        }
        for opened in self._sockets.values():
            opened.settimeout(1.0)

    def ask(self, target: IPAddress) -> float | None:
        """One question, as a kernel asks it."""
        opened, question = self._sockets[target.version], self._question(target)
        began = time.perf_counter()
        opened.send(question)
        try:
            while not self._answers(opened.recv(2048), target):
                pass
        except TimeoutError:
            return None
        return time.perf_counter() - began

    def _question(self, target: IPAddress) -> bytes:
        if isinstance(target, ipaddress.IPv4Address):
            return arp.ArpFrame(
                arp.BROADCAST, self._mac, arp.REQUEST, self._mac, self._ip, bytes(6), target
            ).encode()
        group = ndp.solicited_node(target)
        to = ndp.group_mac(group)
        return ndp.Solicitation(to, self._mac, self._ip6, group, target, self._mac).encode()

    def _answers(self, frame: bytes, target: IPAddress) -> bool:
        """Whether it is the answer; gratuitous ones go to everybody, not to us."""
        if frame[:6] != self._mac:
            return False
        at = 28 if target.version == 4 else 62
        return frame[at : at + len(target.packed)] == target.packed

    def flush(self) -> None:
        """Forgets what is queued."""
        for opened in self._sockets.values():
            opened.setblocking(False)
            try:
                while True:
                    opened.recv(2048)
            except BlockingIOError:
                opened.settimeout(1.0)


@dataclass(frozen=True)
class Pairs:
    """Answers of both, asked in turn."""

    ours: list[float]
    kernels: list[float]
    lost: tuple[int, int]  # ours, the kernel's: no answer within a second

    def line(self, what: str) -> str:
        """Microseconds, of both."""
        texts = [
            f"{who} p50 {statistics.median(took) * 1e6:.0f} µs,"
            f" p99 {percentile(took, 0.99) * 1e6:.0f} µs, max {max(took) * 1e6:.0f} µs"
            for who, took in (("ours", self.ours), ("the kernel's", self.kernels))
        ]
        return f"{what}: {'; '.join(texts)} ({len(self.ours)} pairs; lost {self.lost})"


def pairs(prober: Prober, kernels: IPAddress, first: IPAddress, count: int, samples: int) -> Pairs:
    """Asks in turn for the kernel's address and one of ours."""
    dice, ours, theirs = random.Random(1), list[float](), list[float]()
    prober.flush()
    lost = [0, 0]
    for _ in range(samples):
        one, other = prober.ask(kernels), prober.ask(first + dice.randrange(count))
        lost[0] += other is None
        lost[1] += one is None
        if one is not None and other is not None:
            theirs.append(one)
            ours.append(other)
    return Pairs(ours, theirs, (lost[0], lost[1]))


class Scene:
    """A wire, a prober, and what the kernel on the other end has itself."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.prober = wire, Prober(wire)
        self.kernels: tuple[IPAddress, IPAddress] = (
            ipaddress.IPv4Address(NODE_IP),
            ipaddress.IPv6Address(wire.link_local(wire.node)),
        )
        self.firsts = tuple(ipaddress.ip_address(text) for text in (FIRST, FIRST6))

    def measure(self, what: str, count: int, samples: int, families: int = 2) -> None:
        """Both families, or IPv4 alone."""
        for kernels, first in list(zip(self.kernels, self.firsts, strict=True))[:families]:
            name = "ARP" if first.version == 4 else "NDP"
            found = pairs(self.prober, kernels, first, count, samples)
            print(found.line(f"{name}, {what}"), flush=True)

    @contextlib.contextmanager
    def flood(self, rate: int, first: str, count: int) -> Iterator[None]:
        """Requests from a process of its own."""
        argv = ["-m", "bench.flood", str(rate), first, str(count)]
        child = self.wire.start(self.wire.client, "flood.log", *argv)
        time.sleep(1.5)
        try:
            yield
        finally:
            child.kill()
            child.wait()
            print("  flood:", (self.wire.path / "flood.log").read_text().split("\n")[-2])


def at_rest(scene: Scene, samples: int) -> None:
    """One address and thousands."""
    for count in COUNTS:
        with scene.wire.answerer(
            "--addresses", f"{FIRST}+{count}", "--addresses", f"{FIRST6}+{count}"
        ):
            time.sleep(2 * BURST)
            scene.measure(f"{count} addresses", count, samples)


def floods(scene: Scene, samples: int) -> None:
    """Requests for addresses that nobody here has, then for ours."""
    with scene.wire.answerer("--addresses", f"{FIRST}+5000") as it:
        time.sleep(BURST)
        before, began = it.cpu(), time.monotonic()
        time.sleep(5.0)
        print(f"  CPU at rest {_share(it, before, began):.1%}")
        with scene.flood(FOREIGN, "10.200.0.1", 10_000):
            before, began = it.cpu(), time.monotonic()
            time.sleep(5.0)
            print(f"  CPU in a flood of foreign requests {_share(it, before, began):.1%}")
            scene.measure("in that flood", 5000, samples, families=1)
        ear = Ear(scene.wire, IPV6)
        with scene.flood(OWNED, FIRST, 5000):
            before, began = it.cpu(), time.monotonic()
            list(ear.heard())
            time.sleep(10.0)
            print(f"  CPU in a storm of requests for ours {_share(it, before, began):.1%}")
            print(f"  {ear.beacons()}")


def _share(it: Answerer, cpu: float, began: float) -> float:
    return (it.cpu() - cpu) / (time.monotonic() - began)


class Ear:
    """Hears frames on the client's end, with the kernel's own time of arrival."""

    def __init__(self, wire: Wire, ethertype: int) -> None:
        self._socket = wire.packets(wire.client, ethertype)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)

    def heard(self) -> Iterator[tuple[float, bytes]]:
        """What came since it was asked last."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, controls, _, _ = self._socket.recvmsg(2048, 128)
                seconds, nanoseconds = struct.unpack("@qq", controls[0][2][:16])
                yield seconds + nanoseconds / 1e9, frame

    def beacons(self) -> str:
        """The pauses between the node's beacons since."""
        times = [at for at, frame in self.heard() if frame[20] == 17 and frame[56:58] == PORT]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        if not gaps:
            return "no beacon came"
        p50, worst = statistics.median(gaps), max(gaps)
        return f"beacons every {p50 * 1e3:.0f} ms, at most {worst * 1e3:.0f} ms apart ({len(gaps)})"

    def announced(self) -> str:
        """How long it took until every address was announced."""
        seen, times = dict[bytes, float](), list[float]()
        for at, frame in self.heard():
            if (address := _announced(frame)) is not None:
                seen.setdefault(address, at)
                times.append(at)
        took = max(seen.values()) - min(seen.values())
        peak = max(bisect(times, start + 1) - number for number, start in enumerate(times))
        return (
            f"{len(seen)} announced, the last {took:.2f} s after the first;"
            f" {len(times)} frames in all, {peak} in the busiest second"
        )


def _announced(frame: bytes) -> bytes | None:
    """The address that a frame tells everybody of."""
    if frame[12:14] == b"\x08\x06":
        return frame[28:32] if frame[:6] == arp.BROADCAST and frame[28:32] == frame[38:42] else None
    told = frame[20] == ndp.ICMPV6 and frame[54] == ndp.ADVERTISEMENT
    return frame[62:78] if told and frame[:6] == ndp.group_mac(ipv6.ALL_NODES) else None


def at_once(scene: Scene, _: int) -> None:
    """Five thousand addresses come at once: when is the last one announced, who answers."""
    for first in scene.firsts:
        ear = Ear(scene.wire, arp.ETHERTYPE_ARP if first.version == 4 else IPV6)
        with scene.wire.answerer("--addresses", f"{first}+5000", "--pulse") as it:
            kernels = scene.kernels[first == scene.firsts[1]]
            found = pairs(scene.prober, kernels, first, 5000, 2000)
            time.sleep(BURST)
        rows = it.log().splitlines()
        name = "IPv4" if first.version == 4 else "IPv6"
        print(f"{name}, 5000 at once: {ear.announced()}")
        print("  " + next(row for row in rows if '"ready"' in row), rows[-1])
        print("  " + found.line("asked meanwhile"), flush=True)


PARTS = {"rest": at_rest, "once": at_once, "floods": floods}


def main(samples: int, parts: Sequence[str]) -> None:
    """All of it, or some parts; some minutes."""
    with tempfile.TemporaryDirectory() as path, Wire(Path(path)) as wire:
        scene = Scene(wire)
        for name in parts or PARTS:
            PARTS[name](scene, samples)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000, sys.argv[2:])
