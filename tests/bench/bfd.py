"""What BFD costs, and whether it keeps time on a busy machine, beside FRR in the same run.

``python -m bench.bfd [SECONDS]``, with PYTHONPATH=tests, as root. Two wires: on one our process and
FRR's bfdd, on the other FRR on both ends, all with the same sessions at 3 x 50 ms. First at rest:
memory and CPU. Then two programs burn both cores and the speaker's event loop stands still for
400 ms at a time: sessions lost on each wire, and the gaps between packets as a sniffer sees them.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench.figures import cpu, percentile, rss
from lab import netns, packages
from lab.bfd_scene import FRRBFD, BFDScene
from lab.progress import Lines
from lab.wire import LINK

COUNTS = (1, 10)  # sessions
REST = 8.0  # seconds of nothing to do, over which CPU is counted
AGREED = 2.0  # seconds after up, in which both have polled down to the intervals of ``FAST``
STALL, BETWEEN = 0.4, 0.1  # seconds: the loop stands still, and goes on
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
PORT = 3784
FAST = [" profile fast", "  transmit-interval 50", "  receive-interval 50", " exit"]


def main(seconds: float) -> int:
    """Prints the figures; 1 if we lost a session and FRR beside us did not."""
    packages.install(Lines())
    worse = False
    for count in COUNTS:
        with tempfile.TemporaryDirectory(prefix="bfd-") as folder:
            Path(folder).chmod(0o755)
            with Pair(Path(folder), count) as pair:
                pair.rest()
                worse |= pair.busy(seconds)
    return int(worse)


class Pair:
    """Both wires, with so many sessions on each."""

    def __init__(self, folder: Path, count: int) -> None:
        self._stack = contextlib.ExitStack()
        for name in ("ours", "theirs"):
            (folder / name).mkdir(mode=0o755)
        self.count = count
        self._ours, self._theirs = BFDScene(folder / "ours"), BFDScene(folder / "theirs")
        self._keys = [str(number) for number in range(count)]

    def __enter__(self) -> Pair:
        for wire in (self._ours, self._theirs):
            self._stack.enter_context(wire)
            lines = [f"addr add {ip}/16 dev {LINK}" for ip in map(_node, range(self.count))]
            netns.ip(lines, wire.node)
            lines = [f"addr add {ip}/16 dev {LINK}" for ip in map(_router, range(self.count))]
            netns.ip(lines, wire.client)
        self._router = self._frr(self._ours, "router")
        self._far = self._frr(self._theirs, "far")
        self._near = self._frr(self._theirs, "near", node=True)
        self.speaker = self._ours.speaker()
        self.speaker.want(
            **{
                key: {"remote": _router(n), "local": _node(n), "interface": LINK}
                for n, key in enumerate(self._keys)
            }
        )
        self.speaker.up(*self._keys)
        for number in range(self.count):
            self._far.until(_node(number), status="up")
        time.sleep(AGREED)
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    def _frr(self, wire: BFDScene, name: str, node: bool = False) -> FRRBFD:
        lines = list(FAST)
        for number in range(self.count):
            here, there = _router(number), _node(number)
            if node:
                here, there = there, here
            lines += [f" peer {there} local-address {here} interface {LINK}", "  profile fast"]
            lines += [" exit"]
        return wire.frr(wire.node if node else wire.client, name, lines)

    # --- measuring --------------------------------------------------------------------------------

    def rest(self) -> None:
        """Memory and CPU of both when nothing happens."""
        ours, theirs = self.speaker.process, _bfdd(self._near)
        before = cpu(ours), cpu(theirs)
        time.sleep(REST)
        spent = cpu(ours) - before[0], cpu(theirs) - before[1]
        for name, pid, used in (("ours", ours, spent[0]), ("FRR's bfdd", theirs, spent[1])):
            share = 100 * used / REST
            print(
                f"{self.count} sessions at rest, {name}: {rss(pid):.1f} MB RSS, "
                f"{anonymous(pid):.1f} MB of it its own, {share:.1f} % of a core",
                flush=True,
            )

    def busy(self, seconds: float) -> bool:
        """Two hogs and a loop that stands still; whether we lost more than FRR."""
        before = self._losses()
        sniffers = [Sniffer(wire, wire.node) for wire in (self._ours, self._theirs)]
        with hogs(2), contextlib.ExitStack() as stack:
            for sniffer in sniffers:
                stack.enter_context(sniffer)
            spent = cpu(self.speaker.process), cpu(_bfdd(self._near))
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.speaker.stall(STALL)
                time.sleep(BETWEEN)
            spent = (
                cpu(self.speaker.process) - spent[0],
                cpu(_bfdd(self._near)) - spent[1],
            )
        after = self._losses()
        lost = tuple(now - then for now, then in zip(after, before, strict=True))
        for name, sniffer, losses, used in zip(
            ("ours", "FRR's"), sniffers, lost, spent, strict=True
        ):
            print(
                f"{self.count} sessions, both cores busy for {seconds:.0f} s, {name}: "
                f"{losses} lost, {100 * used / seconds:.1f} % of a core; {sniffer.figures()}",
                flush=True,
            )
        return lost[0] > 0 and lost[1] == 0

    def _losses(self) -> tuple[int, int]:
        """Sessions that went down so far on each wire, as the router at its far end counts."""
        found = []
        for frr in (self._router, self._far):
            rows = frr.vty.json("show bfd peers counters")
            found.append(sum(row["session-down"] for row in rows))
        return found[0], found[1]


class Sniffer:
    """When the node's packets leave, by the kernel's clock."""

    def __init__(self, wire: BFDScene, namespace: str) -> None:
        self._socket = wire.packets(namespace)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self._socket.settimeout(0.2)
        self._times: dict[bytes, list[float]] = defaultdict(list)
        self._over = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Sniffer:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._over = True
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            try:
                frame, notes, _, source = self._socket.recvmsg(256, 64)
            except TimeoutError:
                continue
            if source[2] != socket.PACKET_OUTGOING or frame[12:14] != b"\x08\x00":
                continue
            if frame[23] == 17 and int.from_bytes(frame[36:38], "big") == PORT:
                seconds, nanoseconds = struct.unpack("qq", notes[0][2])
                self._times[frame[26:34]].append(seconds + nanoseconds / 1e9)

    def figures(self) -> str:
        """Gaps between packets of one session; 50 ms is what was agreed on, 150 ms is lost."""
        gaps = [
            after - before
            for times in self._times.values()
            for before, after in itertools.pairwise(times)
        ]
        if not gaps:
            return "no packet seen"
        p50, p99 = percentile(gaps, 0.5) * 1e3, percentile(gaps, 0.99) * 1e3
        worst = max(gaps) * 1e3
        return f"gaps p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {worst:.1f} ms ({len(gaps)})"


@contextlib.contextmanager
def hogs(number: int) -> Iterator[None]:
    """So many programs that do nothing but burn."""
    command = [sys.executable, "-S", "-c", "while True: pass"]
    running = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for child in running:
            child.kill()
            child.wait()


def _node(number: int) -> str:
    return f"10.76.1.{number + 1}"


def _router(number: int) -> str:
    return f"10.76.2.{number + 1}"


def _bfdd(frr: FRRBFD) -> int:
    return frr.processes[1].pid


def anonymous(pid: int) -> float:
    """What a process shares with nobody, in MB as `rss` counts."""
    text = Path(f"/proc/{pid}/status").read_text()
    return (
        int(next(row for row in text.splitlines() if row.startswith("RssAnon")).split()[1]) / 1024
    )


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
