"""BFD between the speaker's end and a router, in two namespaces or three, without a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from lab import netns, sockets
from lab.guard import TESTS
from lab.routers.vty import Vty
from lab.waiting import until
from lab.wire import LINK, Wire

NODE6, ROUTER6 = "fd76::1", "fd76::2"
NODE_FAR, FAR = "10.76.0.1", "10.78.0.2"  # two hops away
FRR = "/usr/lib/frr"
_BIND = 'mount --bind "$0" /etc/frr && exec "$@"'

Row = Mapping[str, Any]


class BFDScene(Wire):
    """The node and the router's namespace, with IPv6; programs there end with it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._programs: list[subprocess.Popen[Any]] = []
        self.closing = contextlib.ExitStack()

    def __enter__(self) -> BFDScene:
        super().__enter__()
        netns.ip([f"addr add {NODE6}/64 dev {LINK} nodad"], self.node)
        netns.ip([f"addr add {ROUTER6}/64 dev {LINK} nodad"], self.client)
        return self

    def __exit__(self, *problem: object) -> None:
        for program in self._programs:
            program.kill()
            program.wait()
        self.closing.close()
        super().__exit__(*problem)

    def spawn(self, namespace: str, log: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Starts a program there."""
        with (self.path / log).open("wb") as output:
            child = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._programs.append(child)
        return child

    def speaker(self, namespace: str = "") -> Speaker:
        """The speaker's end of BFD, on the node if nothing else is said."""
        with (self.path / "speaker.err").open("ab") as errors:
            child = subprocess.Popen(
                ["ip", "netns", "exec", namespace or self.node, sys.executable, "-m", SPEAKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
        self._programs.append(child)
        speaker = Speaker(child)
        self.closing.callback(speaker.end)
        return speaker

    def frr(self, namespace: str, name: str, lines: Iterable[str]) -> FRRBFD:
        """FRR's bfdd with these lines of its configuration."""
        return FRRBFD(self, namespace, self.path / name, lines)

    def bird(self, namespace: str, lines: Iterable[str]) -> BIRDBFD:
        """BIRD with these lines in its protocol bfd."""
        return BIRDBFD(self, namespace, lines)

    def link(self, namespace: str, up: bool) -> float:
        """Sets its link up or down at once; when that was."""
        with sockets.open_in(namespace, 2, 2) as control:  # AF_INET, SOCK_DGRAM
            sockets.set_link(control, LINK, up)
            return time.monotonic()

    def far(self) -> str:
        """A third namespace behind the router's, with FAR; its name."""
        name = f"{self.node}-far"
        netns.claim(name)
        self.closing.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        netns.ip([f"link add far0 type veth peer name {LINK} netns {name}"], self.client)
        netns.ip(["link set far0 up", "addr add 10.78.0.1/16 dev far0"], self.client)
        lines = ["link set lo up", f"link set {LINK} up", f"addr add {FAR}/16 dev {LINK}"]
        netns.ip([*lines, "route add default via 10.78.0.1"], name)
        netns.ip(["route add 10.78.0.0/16 via 10.76.0.2"], self.node)
        sockets.sysctls(self.client, {"net/ipv4/ip_forward": "1"})
        return name


SPEAKER = "lab.bfd_speaker"


class Speaker:
    """The program `lab.bfd_speaker`; ``rows``: all that it said of sessions, oldest first."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.child = child
        self.rows: list[Row] = []
        self._said: queue.SimpleQueue[Row] = queue.SimpleQueue()
        assert child.stdout is not None
        self._thread = threading.Thread(target=self._read, args=[child.stdout], daemon=True)
        self._thread.start()

    def end(self) -> None:
        """After its end: closes what led to it."""
        self._thread.join()
        for stream in (self.child.stdin, self.child.stdout):
            assert stream is not None
            stream.close()

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            row = json.loads(line)
            if "key" in row:
                self.rows.append(row)
            else:
                self._said.put(row)

    def say(self, **order: object) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(order) + "\n")
        self.child.stdin.flush()

    def want(self, **wishes: Row) -> None:
        """The whole truth."""
        self.say(want=wishes)

    def facts(self, key: str) -> Row:
        """As they are now."""
        self.say(facts=True)
        assert self._said.get(timeout=10) == {"told": True}
        return self.last(key)

    def stall(self, seconds: float) -> None:
        """Its event loop stands still for so long."""
        self.say(stall=seconds)
        assert self._said.get(timeout=seconds + 10) == {"stalled": seconds}

    def close(self, gracefully: bool) -> None:
        self.say(close=gracefully)
        assert self._said.get(timeout=10) == {"closed": True}

    def last(self, key: str) -> Row:
        """What was said of a session last."""
        return next((row for row in reversed(self.rows) if row["key"] == key), {"state": ""})

    def downs(self, key: str) -> int:
        """How often a session went down, as its counter says."""
        return int(self.facts(key)["counters"]["session_down_events"])

    def until(self, key: str, timeout: float = 10, **wanted: object) -> Row:
        """Until the last that was said of a session is that; a text need only begin so."""

        def so() -> bool:
            row = self.last(key)
            return all(_fits(row.get(name), value) for name, value in wanted.items())

        try:
            until(so, f"{key} {wanted}", timeout, every=0.005)
        except Exception as problem:
            problem.add_note(f"the last: {self.last(key)}")
            raise
        return self.last(key)

    def up(self, *keys: str) -> None:
        """Until they are up, and have agreed on their intervals."""
        for key in keys:
            self.until(key, state="Up", remote_state="Up")

    @property
    def process(self) -> int:
        """The pid of the process that keeps time; 0 if there is none."""
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return int((children.split() or ["0"])[0])


def _fits(value: object, wanted: object) -> bool:
    if isinstance(wanted, str) and isinstance(value, str):
        return value.startswith(wanted) if wanted else value == ""
    return value == wanted


class FRRBFD:
    """zebra and bfdd; a peer's facts as ``show bfd peers json`` gives them."""

    def __init__(self, scene: BFDScene, namespace: str, path: Path, lines: Iterable[str]) -> None:
        path.mkdir()
        shutil.chown(path, "frr", "frr")
        self.processes = []
        for name in ("zebra", "bfdd"):
            (path / f"{name}.conf").write_text("log file /etc/frr/frr.log\n")
            flags = ["--vty_socket", "/etc/frr", "-A", "127.0.0.1", "-P", "0"]
            flags += ["-z", "/etc/frr/zserv.api", "-i", f"/etc/frr/{name}.pid"]
            flags += ["-f", f"/etc/frr/{name}.conf"]
            flags += ["--bfdctl", "/etc/frr/bfdd.sock"] if name == "bfdd" else []
            argv = ["sh", "-c", _BIND, str(path), f"{FRR}/{name}", *flags]
            self.processes.append(scene.spawn(namespace, f"{path.name}-{name}.log", argv))
            file = path / f"{name}.vty"
            until(file.exists, f"FRR's {name}", 10)
        self.vty = Vty(path / "bfdd.vty")
        scene.closing.callback(self.vty.close)
        self.configure(lines)

    def configure(self, lines: Iterable[str]) -> None:
        against = self.vty.configure(["bfd", *lines])
        assert not against, against

    def peer(self, address: str) -> Row:
        """What it shows of one peer."""
        rows = self.vty.json("show bfd peers")
        return next((row for row in rows if row["peer"] == address), {})

    def counters(self, address: str) -> Row:
        rows = self.vty.json("show bfd peers counters")
        return next((row for row in rows if row["peer"] == address), {})

    def until(self, address: str, timeout: float = 10, **wanted: object) -> Row:
        """Until it shows that; names with underscores for its dashes."""

        def so() -> Row | None:
            row = self.peer(address)
            names = {name.replace("_", "-"): value for name, value in wanted.items()}
            return row if all(row.get(key) == value for key, value in names.items()) else None

        try:
            found = until(so, f"FRR: {address} {wanted}", timeout, every=0.01)
        except Exception as problem:
            problem.add_note(f"it shows {self.peer(address)}")
            raise
        assert found is not None
        return found


class BIRDBFD:
    """BIRD with nothing but BFD; asked by birdc."""

    def __init__(self, scene: BFDScene, namespace: str, lines: Iterable[str]) -> None:
        self._scene, self._namespace = scene, namespace
        self._control = str(scene.path / "bird.ctl")
        config = scene.path / "bird.conf"
        body = "\n".join(["protocol device { }", "protocol bfd {", *lines, "}"])
        config.write_text(f"log stderr all;\nrouter id 10.76.0.2;\n{body}\n")
        argv = ["bird", "-f", "-c", str(config), "-s", self._control]
        argv += ["-P", str(scene.path / "bird.pid")]
        scene.spawn(namespace, "bird.log", argv)
        until((scene.path / "bird.ctl").exists, "BIRD", 10)

    def shows(self) -> str:
        return self._scene.run(
            self._namespace, "birdc", "-s", self._control, "show", "bfd", "sessions"
        )

    def until(self, address: str, state: str, timeout: float = 10) -> list[str]:
        """Until a session is in that state; the words of its line."""

        def so() -> list[str]:
            rows = [line.split() for line in self.shows().splitlines()]
            return next((row for row in rows if row[:1] == [address] and row[2] == state), [])

        try:
            return until(so, f"BIRD: {address} {state}", timeout)
        except Exception as problem:
            problem.add_note(self.shows())
            raise
