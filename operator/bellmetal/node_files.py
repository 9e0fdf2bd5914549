"""What /proc and /sys say of the node. Reading only; both are arguments, so a test has its own.

Everything here blocks a little: not for the loop that answers ARP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bellmetal.sights import NodeLink

UP, NO_ARP, PROMISCUOUS, MASTER = 0x1, 0x80, 0x100, 0x400  # linux/if.h
ETHERNET = 1  # linux/if_arp.h: ARPHRD_ETHER
# ARPHRD_TUNNEL, _TUNNEL6, _SIT, _IPGRE, _IP6GRE, _NONE (tun, wireguard)
TUNNELS = frozenset([768, 769, 776, 778, 823, 65534])
IPVS = "kube-ipvs0"  # kube-proxy puts the addresses of Services on it
MOST_LINKS = 64

# What the kernel calls a kind of link where it says so → what we call it.
_TYPES = {"wlan": "wireless", "vxlan": "tunnel", "geneve": "tunnel", "gretap": "tunnel"}
_OURS = frozenset(["bridge", "bond", "vlan", "macvlan", "macvtap", "ipvlan", "wireless", "tunnel"])


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Of one network namespace. ``exclude``: links that are not looked at, by name."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    exclude: re.Pattern[str] | None = None

    def kernel(self) -> str:
        """Its release."""
        return _text(self.proc / "sys/kernel/osrelease")

    def forwards(self) -> bool:
        """Whether the node forwards IPv4."""
        return _text(self.proc / "sys/net/ipv4/ip_forward") == "1"

    def has_ipvs(self) -> bool:
        """Whether kube-proxy's interface for IPVS is there."""
        return (self.sys / "class/net" / IPVS).exists()

    def ipvs_addresses6(self) -> int:
        """How many IPv6 addresses kube-proxy's interface for IPVS has."""
        return sum(row[5] == IPVS for row in self._global6())

    def links(self) -> tuple[NodeLink, ...]:
        """The links that matter, by name: not those of pods, which come and go."""
        try:
            names = sorted(entry.name for entry in (self.sys / "class/net").iterdir())
        except OSError:  # nothing to be seen: no network namespace is without lo
            return ()
        networks = self._with_networks()
        found = (self.link(name) for name in names if self._matters(name))
        kept = [item for item in found if item and not self._is_pods(item, networks)]
        return tuple(kept[:MOST_LINKS])

    def link(self, name: str) -> NodeLink | None:
        """One link; None if there is no such one (any more)."""
        files = self.sys / "class/net" / name
        flags = _number(files / "flags", 16)
        if not (files / "flags").exists():
            return None
        return NodeLink(
            name,
            kind_of(files, name, flags),
            up=bool(flags & UP) and _text(files / "carrier") == "1",
            promiscuous=bool(flags & PROMISCUOUS),
            rp_filter=self._greater(name, "rp_filter"),
            arp_ignore=self._greater(name, "arp_ignore"),
            arp_filter=bool(self._greater(name, "arp_filter")),
        )

    def _matters(self, name: str) -> bool:
        if name == IPVS:
            return True
        excluded = self.exclude is not None and self.exclude.search(name)
        return name != "lo" and not excluded

    def _is_pods(self, link: NodeLink, networks: frozenset[str]) -> bool:
        """A veth by which nothing is reached but what is at its other end. Both ends may happen to
        have the same number in their namespaces: then it looks like nothing special."""
        device = self.sys / "class/net" / link.name / "device"
        pair = link.kind == "veth" or (not link.kind and not device.exists())
        return pair and link.name not in networks

    def _with_networks(self) -> frozenset[str]:
        """Links over which more than one host is reached."""
        lines = _text(self.proc / "net/route").splitlines()[1:]
        rows = [line.split() for line in lines]
        found = {row[0] for row in rows if len(row) > 7 and row[7] != "FFFFFFFF"}
        return frozenset(found | {row[5] for row in self._global6()})

    def _global6(self) -> list[list[str]]:
        """The IPv6 addresses of global scope: address, index, length, scope, flags, link."""
        rows = [line.split() for line in _text(self.proc / "net/if_inet6").splitlines()]
        return [row for row in rows if len(row) > 5 and row[3] == "00"]

    def _greater(self, name: str, setting: str) -> int:
        """As the kernel takes it: the greater of the link's and that of all."""
        root = self.proc / "sys/net/ipv4/conf"
        return max(_number(root / which / setting) for which in ("all", name))


def kind_of(files: Path, name: str, flags: int = 0) -> str:
    """What a link is, by its directory in /sys/class/net; empty if it is nothing special."""
    if name == IPVS:
        return "ipvs"
    if (files / "wireless").exists() or (files / "phy80211").exists():
        return "wireless"
    if (files / "tun_flags").exists():
        return "tap" if _number(files / "type") == ETHERNET else "tunnel"
    if (files / "device").exists():
        return "virtio" if _driver(files).startswith("virtio") else ""
    told = re.search(r"^DEVTYPE=(\w+)$", _text(files / "uevent"), re.MULTILINE)
    kind = _TYPES.get(told[1], told[1]) if told else ""
    if kind in _OURS:
        return kind
    return _by_shape(files, flags)


def _by_shape(files: Path, flags: int) -> str:
    """Of a link that is software's and does not say of what kind."""
    for directory, kind in (("bridge", "bridge"), ("bonding", "bond")):
        if (files / directory).exists():
            return kind
    if _number(files / "type") in TUNNELS:
        return "tunnel"
    if flags & MASTER:
        return "vrf"
    if flags & NO_ARP:
        return "dummy"
    has_peer = _number(files / "iflink") != _number(files / "ifindex")
    return "veth" if has_peer else ""


def _driver(files: Path) -> str:
    try:
        return (files / "device/driver").readlink().name
    except OSError:
        return ""


def _text(path: Path) -> str:
    """What a file says; empty where there is none, or it cannot say (a carrier of what is down)."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path, base: int = 10) -> int:
    try:
        return int(_text(path), base)
    except ValueError:
        return 0
