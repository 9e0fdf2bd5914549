"""What may go wrong on the LAN: links cut, partitions, loss. All of it acts on frames, ARP too.

Rules live in a bridge-family nftables table in the LAN's namespace and name the bridge's ports,
so no host can see or undo them.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from lab import sockets
from lab.errors import LabError
from lab.host import Host
from lab.run import Run

# What a partition may be confined to (gossip: both ways, as replies come from its port).
EVERYTHING, GOSSIP, NEIGHBOURS = "", "gossip", "neighbours"
_MATCHES = {
    EVERYTHING: ("",),
    GOSSIP: ("meta l4proto {tcp, udp} th dport 7946", "meta l4proto {tcp, udp} th sport 7946"),
    # ARP, neighbour discovery, beacons
    NEIGHBOURS: (
        "ether type arp",
        "icmpv6 type {nd-neighbor-solicit, nd-neighbor-advert}",
        "udp dport 7947",
    ),
}


class Faults:
    """The faults in force on one LAN; kept in the run's state, so that any process may add one."""

    def __init__(self, run: Run, hosts: Mapping[str, Host]) -> None:
        self._run = run
        self._hosts = hosts
        self._lan = f"{run.prefix}lan"
        self._control: socket.socket | None = None

    def close(self) -> None:
        """Forget what is kept open."""
        if self._control is not None:
            self._control.close()
            self._control = None

    def link(self, name: str, up: bool) -> None:
        """Pull a host's cable, or put it back (microseconds: one ioctl)."""
        self._known(name)
        if self._control is None:
            self._control = sockets.open_in(self._lan, socket.AF_INET, socket.SOCK_DGRAM)
        sockets.set_link(self._control, self._hosts[name].link, up)

    def partition(
        self, these: Iterable[str], those: Iterable[str], oneway: bool, only: str = EVERYTHING
    ) -> None:
        """Let no frame pass from these to those hosts, nor back unless it is one way only.

        ``only``: no frame of gossip, or none by which neighbours find each other and speakers
        live; everything else passes.
        """
        if only not in _MATCHES:
            raise LabError(f"a partition of {only!r}: {', '.join(filter(None, _MATCHES))}")
        rows = self._between(these, those, oneway, only)
        self._apply(partitions=self._state("partitions") + rows)

    def mend(
        self, these: Iterable[str], those: Iterable[str], oneway: bool, only: str = EVERYTHING
    ) -> None:
        """End this one partition; others stay."""
        kept = self._state("partitions")
        for row in self._between(these, those, oneway, only):
            kept.remove(row)
        self._apply(partitions=kept)

    def _between(
        self, these: Iterable[str], those: Iterable[str], oneway: bool, only: str
    ) -> list[list[Any]]:
        one, other = sorted(these), sorted(those)
        self._known(*one, *other)
        return [[one, other, only]] if oneway else [[one, other, only], [other, one, only]]

    def loss(self, name: str, fraction: float, direction: str) -> None:
        """Lose a fraction of a host's frames: `in` to it, `out` of it, or `both`; 0 ends it."""
        if not 0 <= fraction <= 1 or direction not in ("in", "out", "both"):
            raise LabError(f"loss of {fraction} {direction!r}: 0 to 1, in, out or both")
        self._known(name)
        kept = [
            row for row in self._state("losses") if row[0] != name or _differ(row[2], direction)
        ]
        ways = ["in", "out"] if direction == "both" else [direction]
        rows = [[name, fraction, way] for way in ways] if fraction else []
        self._apply(losses=[*kept, *rows])

    def heal(self) -> None:
        """No partition and no loss any more. Links that were cut stay cut."""
        self._apply(partitions=[], losses=[])

    def _known(self, *names: str) -> None:
        for name in names:
            if name not in self._hosts:
                raise LabError(f"no host {name!r}: {', '.join(self._hosts)}")

    def _state(self, kind: str) -> list[list[Any]]:
        return list(self._run.state.get(kind, []))

    def _apply(self, **changed: list[list[Any]]) -> None:
        self._run.save(**changed)
        rules = [rule for row in self._state("partitions") for rule in self._partition_rules(*row)]
        rules += [self._loss_rule(*row) for row in self._state("losses")]
        text = "\n".join(
            [
                "table bridge lab",  # so that there is one to delete: all in one transaction
                "delete table bridge lab",
                "table bridge lab {",
                "chain forward {",
                "type filter hook forward priority 0;",
                *rules,
                "}",
                "}",
            ]
        )
        command = ["ip", "netns", "exec", self._lan, "nft", "-f", "-"]
        done = subprocess.run(command, input=text, text=True, capture_output=True)
        if done.returncode:
            raise LabError(f"nft refused:\n{done.stderr}\n{text}")

    def _ports(self, names: list[str]) -> str:
        return "{" + ", ".join(f'"{self._hosts[name].link}"' for name in names) + "}"

    def _partition_rules(self, these: list[str], those: list[str], only: str) -> list[str]:
        between = f"iifname {self._ports(these)} oifname {self._ports(those)}"
        return [f"{between} {match} drop;" for match in _MATCHES[only]]

    def _loss_rule(self, name: str, fraction: float, direction: str) -> str:
        side = "oifname" if direction == "in" else "iifname"
        threshold = round(fraction * 10_000)
        return f"{side} {self._ports([name])} numgen random mod 10000 < {threshold} drop;"


def _differ(way: str, direction: str) -> bool:
    return direction not in ("both", way)
