"""Nodes, routers and clients without a cluster: where BGP speakers meet real routers.

    client c1 ── br1 ── r1, r2 … ── br0 (the LAN) ── n1, n2 …
                                     └── hop ── br2 ── x1 …     a router one hop further away
    n1 ═ wire ═ r1                   a link of two ends with link-local addresses only

Every scene has namespaces of its own, so all have the same addresses.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import guard, netns, paths, run, sockets
from lab.host import Host
from lab.processes import Process
from lab.run import Run

LAN, BEHIND, FAR = "10.90.0", "10.91.0", "10.92.0"
LAN6, BEHIND6, FAR6 = "fd00:90::", "fd00:91::", "fd00:92::"
NUMBERS = {"n": 10, "r": 240, "x": 10, "c": 100}  # the last byte of the zeroth of each kind
HOP = 200
# by the first letter of a host's name: to what its links go
_BRIDGES = {
    "n": ("br0",),
    "r": ("br0", "br1"),
    "h": ("br0", "br2"),
    "x": ("br2",),
    "c": ("br1",),
}
WEB_PORT = 8080

_WEB = """
import asyncio, sys
async def answer(reader, writer):
    await reader.readline()
    writer.write(f"HTTP/1.0 200 OK\\r\\nConnection: close\\r\\n\\r\\n{sys.argv[1]}\\n".encode())
    await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(answer, None, int(sys.argv[2]), backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/fib_multipath_hash_policy": "1",  # by ports too
    "net/ipv6/fib_multipath_hash_policy": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/accept_dad": "0",  # link-local addresses are good at once
    "net/ipv6/conf/default/dad_transmits": "0",
}


@dataclass(frozen=True)
class Layout:
    """How many of each there are; ``wires``: pairs of a node and a router."""

    nodes: int = 1
    routers: int = 1
    clients: int = 0
    far: int = 0
    wires: tuple[tuple[str, str], ...] = ()

    def names(self) -> Iterator[str]:
        """All hosts but the forwarding one."""
        for kind, number in zip("nrxc", self._numbers(), strict=True):
            yield from (f"{kind}{i}" for i in range(1, number + 1))

    def _numbers(self) -> tuple[int, int, int, int]:
        return self.nodes, self.routers, self.far, self.clients


class Scene:
    """`with Scene(Layout(nodes=2)) as scene`: all is gone at the end, with all that runs there."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.hosts: dict[str, Host] = {}
        self.run: Run
        self._warden: guard.Warden | None = None

    def __enter__(self) -> Scene:
        guard.watch_signals()
        claimed = False
        try:
            with guard.uninterrupted():
                self.run = run.claim(None, None)
                claimed = True
                self._warden = guard.Warden(self.run)
                guard.at_exit(id(self), self.close)
            self._make()
        except BaseException:
            if claimed:
                self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *problem: object) -> None:
        if kind is not None:
            self._keep()
        self.close()

    def close(self) -> None:
        """Ends everything and removes every trace; safe to repeat."""
        with guard.uninterrupted():
            self.run.destroy()
            for host in self.hosts.values():
                host.close()
            guard.at_exit(id(self), None)
            if self._warden is not None:
                self._warden.dismiss()
                self._warden = None

    def _keep(self) -> None:
        """After a failure: logs and configurations, where other labs leave theirs too."""
        kept = paths.cache() / "last-failure"
        shutil.rmtree(kept, ignore_errors=True)
        for part in ("logs", "hosts"):
            if (self.run.path / part).exists():
                shutil.copytree(self.run.path / part, kept / part, ignore=_sockets)

    # --- the network ------------------------------------------------------------------------------

    def _make(self) -> None:
        for name in self.layout.names():
            self.hosts[name] = Host(self.run, name, *addresses(name))
        self.hosts["hop"] = Host(self.run, "hop", f"{LAN}.{HOP}", f"{LAN6}{HOP:x}")
        lan = f"{self.run.prefix}lan"
        netns.ip([f"netns add {name}" for name in [lan, *self._namespaces()]])
        for name in (lan, *self._namespaces()):
            sockets.sysctls(name, _SYSCTLS)
        netns.ip(list(self._links()), lan)
        for host in self.hosts.values():
            netns.ip(list(self._own(host)), host.namespace)
        for node, router in self.layout.wires:
            self._wire(self.hosts[node], self.hosts[router])

    def _namespaces(self) -> list[str]:
        return [host.namespace for host in self.hosts.values()]

    def _links(self) -> Iterator[str]:
        yield "link set lo up"
        for bridge in ("br0", "br1", "br2"):
            yield f"link add {bridge} type bridge mcast_snooping 0"
            yield f"link set {bridge} up"
        for host in self.hosts.values():
            for index, bridge in enumerate(_BRIDGES[host.name[0]]):
                port = f"{'vwy'[index]}-{host.name}"
                peer = f"type veth peer name eth{index} netns {host.namespace}"
                yield f"link add {port} {peer}"
                yield f"link set {port} master {bridge} up"

    def _own(self, host: Host) -> Iterator[str]:
        kind = host.name[0]
        yield "link set lo up"
        yield "link set eth0 up"
        yield f"addr add {host.address}/24 dev eth0"
        yield f"addr add {host.address6}/64 dev eth0 nodad"
        if kind == "r":
            yield from _second(BEHIND, BEHIND6, int(host.address.rpartition(".")[2]))
        if kind == "h":
            yield from _second(FAR, FAR6, 1)
        if kind in "nr":
            yield f"route add {FAR}.0/24 via {LAN}.{HOP}"
            yield f"route add {FAR6}/64 via {LAN6}{HOP:x}"
        if kind == "n" and self.layout.routers:
            yield f"route add {BEHIND}.0/24 via {LAN}.{NUMBERS['r'] + 1}"
            yield f"route add {BEHIND6}/64 via {LAN6}{NUMBERS['r'] + 1:x}"
        if kind == "x":
            yield f"route add default via {FAR}.1"
            yield f"route add default via {FAR6}1"
        if kind == "c":
            yield f"route add default via {BEHIND}.{NUMBERS['r'] + 1}"
            yield f"route add default via {BEHIND6}{NUMBERS['r'] + 1:x}"

    def _wire(self, node: Host, router: Host) -> None:
        ours, theirs = wire(router.name), wire(node.name)
        netns.ip(
            [
                f"link add {ours} type veth peer name {theirs} netns {router.namespace}",
                f"link set {ours} up",
            ],
            node.namespace,
        )
        netns.ip([f"link set {theirs} up"], router.namespace)

    # --- what is on it ----------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def ip(self, name: str, *lines: str) -> None:
        """Lines of `ip` on a host."""
        netns.ip(lines, self.hosts[name].namespace)

    def serve(self, node: str, *service: str) -> Process:
        """Lets a node have these addresses and answer HTTP on them with its name."""
        self.ip(node, *(f"addr add {address} dev lo" for address in service))
        web = [sys.executable, "-S", "-c", _WEB, node, str(WEB_PORT)]
        return self.hosts[node].spawn(web, log="web")

    def cut(self, node: str) -> None:
        """Takes a node's link from the LAN, as a pulled cable; its own end stays up."""
        netns.ip([f"link set v-{node} nomaster"], f"{self.run.prefix}lan")

    def join(self, node: str) -> None:
        """Puts it back."""
        netns.ip([f"link set v-{node} master br0"], f"{self.run.prefix}lan")


def _second(base: str, base6: str, number: int) -> Iterator[str]:
    yield "link set eth1 up"
    yield f"addr add {base}.{number}/24 dev eth1"
    yield f"addr add {base6}{number:x}/64 dev eth1 nodad"


def _sockets(folder: str, names: Sequence[str]) -> list[str]:
    return [n for n in names if not Path(folder, n).is_file() and not Path(folder, n).is_dir()]


def addresses(name: str) -> tuple[str, str]:
    """A host's addresses: of a router or a node on the LAN, of others on their network."""
    kind, number = name[0], NUMBERS[name[0]] + int(name[1:])
    base, base6 = {"x": (FAR, FAR6), "c": (BEHIND, BEHIND6)}.get(kind, (LAN, LAN6))
    return f"{base}.{number}", f"{base6}{number:x}"


def wire(other: str) -> str:
    """The name of a host's link whose other end is at `other`."""
    return f"p-{other}"


# --- our speaker ----------------------------------------------------------------------------------


class Speaker:
    """`bellmetal speaker --intents FILE` on a node; passwords reach it as a mounted Secret's files.

    ``peers`` and ``routes`` are those of an AnnouncementSlice; the set of nodes is this node alone.
    """

    def __init__(self, host: Host, flags: Sequence[str] = ()) -> None:
        self.host, self.flags = host, tuple(flags)
        self.intents = host.dir / "intents.yaml"
        self.passwords = host.dir / "passwords"
        self._process: Process | None = None

    def want(
        self,
        peers: Sequence[Mapping[str, Any]],
        routes: Sequence[Mapping[str, Any]],
        passwords: Mapping[str, str] | None = None,
        draining: bool = False,
    ) -> None:
        """Writes what it shall do; a speaker that runs takes it up."""
        self.host.dir.mkdir(parents=True, exist_ok=True)
        self.passwords.mkdir(exist_ok=True)
        for peer, password in (passwords or {}).items():
            (self.passwords / peer).write_text(password)
        node = {"name": self.host.name, "address": self.host.address}
        leaving = [self.host.name] if draining else []
        spec = {
            "nodeSets": [{"name": "all", "nodes": [node], "draining": leaving}],
            "peers": [{"nodeSet": "all", **peer} for peer in peers],
            "routes": [{"nodeSet": "all", **route} for route in routes],
        }
        new = self.intents.with_suffix(".new")
        new.write_text(yaml.safe_dump(spec, sort_keys=False))
        new.replace(self.intents)

    def start(self) -> Process:
        """Starts it."""
        argv = [sys.executable, "-m", "bellmetal", "speaker", "--intents", str(self.intents)]
        argv += ["--node-name", self.host.name, "--state-dir", str(self.host.dir / "state")]
        argv += ["--bgp-password-dir", str(self.passwords), "--port", "0"]
        argv += ["--health-probe-port", "0", *self.flags]
        self._process = self.host.spawn(argv, log="speaker")
        return self._process

    @property
    def process(self) -> Process:
        """Its process, as it was started last."""
        if self._process is None:
            raise RuntimeError(f"the speaker of {self.host.name} was not started")
        return self._process

    def stop(self, timeout: float = 15) -> int | None:
        """Ends it in an orderly way; its exit status."""
        self.process.terminate()
        return self.process.wait(timeout)

    def kill(self) -> None:
        """Ends it at once."""
        self.process.kill()

    def log(self) -> str:
        """All that it has written."""
        return self.process.log()

    def events(self) -> list[Mapping[str, Any]]:
        """The lines of its log that are JSON."""
        rows = []
        for line in self.log().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return [row for row in rows if isinstance(row, dict)]
