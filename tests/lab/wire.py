"""Two namespaces and a wire between them: a node's end and a client's, without a cluster.

For what concerns one speaker and its links: how fast it answers, what it says when a link changes.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lab import netns, sockets
from lab.guard import TESTS, watch_signals
from lab.waiting import until

NODE_IP, CLIENT_IP = "10.76.0.1", "10.76.0.2"
LINK = "eth0"  # on both ends
_numbers = itertools.count(1)


class Wire:
    """`with Wire(tmp) as wire`: the namespaces are gone at the end, with all that runs there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        prefix = f"bmwire-{os.getpid()}-{next(_numbers)}"
        self.node, self.client = f"{prefix}-node", f"{prefix}-client"
        self._children: list[subprocess.Popen[bytes]] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Wire:
        watch_signals()
        for name in (self.node, self.client):
            netns.claim(name)
        veth = f"link add {LINK} type veth peer name {LINK} netns {self.client}"
        up = ["link set lo up", f"link set {LINK} up"]
        netns.ip([veth, *up, f"addr add {NODE_IP}/16 dev {LINK}"], self.node)
        netns.ip([*up, f"addr add {CLIENT_IP}/16 dev {LINK}"], self.client)
        for name in (self.node, self.client):
            until(lambda n=name: self.link_local(n) != "", "its link-local address may be used", 5)
        return self

    def __exit__(self, *problem: object) -> None:
        for opened in self._sockets:
            opened.close()
        for child in self._children:
            child.kill()
            child.wait()
        for name in (self.node, self.client):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def run(self, namespace: str, *argv: str) -> str:
        """Runs a program there to its end; what it said."""
        command = ["ip", "netns", "exec", namespace, *argv]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def link_local(self, namespace: str, link: str = LINK) -> str:
        """The link-local address of a link, once it may be used; empty before."""
        shown = self.run(namespace, "ip", "-6", "-o", "addr", "show", "dev", link, "scope", "link")
        return "" if not shown or "tentative" in shown else shown.split()[3].partition("/")[0]

    def mac(self, namespace: str, link: str = LINK) -> bytes:
        """The hardware address of a link."""
        return bytes.fromhex(sockets.inside(namespace, lambda: _mac(link)).replace(":", ""))

    def packets(self, namespace: str, ethertype: int = 3, link: str = LINK) -> socket.socket:
        """A packet socket there (3: every frame); closed with the wire."""
        opened = sockets.open_in(namespace, socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._sockets.append(opened)
        opened.bind((link, ethertype))
        return opened

    def start(self, namespace: str, log: str, *argv: str) -> subprocess.Popen[bytes]:
        """Starts one of the tests' own programs there (``-m module …``)."""
        with (self.path / log).open("wb") as output:
            child = subprocess.Popen(
                ["ip", "netns", "exec", namespace, sys.executable, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
        self._children.append(child)
        return child

    @contextlib.contextmanager
    def answerer(self, *flags: str) -> Iterator[Answerer]:
        """A layer-2 announcer on the node, once it answers; ended afterwards."""
        child = self.start(self.node, "answerer.log", "-m", "lab.answerer", *flags)
        it = Answerer(child, self.path / "answerer.log")
        until(lambda: '"ready"' in it.log() or child.poll() is not None, "the announcer", 60)
        if child.poll() is not None:
            raise RuntimeError(it.log())
        try:
            yield it
        finally:
            child.terminate()
            child.wait(10)


class Answerer:
    """The announcer's process."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        self._child, self._log = child, log

    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its pid: `ip netns exec` becomes the program."""
        return self._child.pid

    def cpu(self) -> float:
        """Seconds of CPU that it has used (/proc/PID/stat: utime and stime)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _mac(link: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        return sockets.mac_of(control, link)


class Ear:
    """Hears what comes in on a link's end from the moment on at which it was made."""

    def __init__(self, wire: Wire, namespace: str, link: str = LINK) -> None:
        self._socket = wire.packets(namespace, link=link)
        self._socket.settimeout(0.05)

    def listen(self, seconds: float) -> list[bytes]:
        """All frames of so many seconds, and those that came before."""
        end, found = time.monotonic() + seconds, []
        while time.monotonic() < end:
            try:
                found.append(self._socket.recv(2048))
            except TimeoutError:
                continue
            except OSError as problem:
                if problem.errno != errno.ENETDOWN:  # it is told once, and goes on when it is up
                    raise
        return found
