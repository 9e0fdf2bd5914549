"""The lab's network: who is on it, with which addresses, and the batches of `ip` that make it.

The LAN is a bridge in a namespace of its own; every host is a namespace with one link to it.
With routers there is a second bridge behind them, on which the outside hosts are.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

from lab import netns, sockets
from lab.host import Host
from lab.run import Run

API_ADDRESS = "0.2"


@dataclass(frozen=True)
class Plan:
    """How many of each there are, and the addresses that follow from the lab's number."""

    slot: int
    nodes: int
    clients: int
    routers: int
    outsiders: int

    @property
    def base(self) -> str:
        """The first two bytes of every IPv4 address on the LAN (a /16)."""
        return f"172.{20 + self.slot}"

    @property
    def base6(self) -> str:
        """The /64 of the LAN, without its `/64`."""
        return f"fd00:be11:0:{self.slot:x}::"

    @property
    def outside(self) -> str:
        """The first three bytes behind the routers (a /24)."""
        return f"192.168.{200 + self.slot}"

    def numbers(self) -> dict[str, int]:
        """The last byte of each host's address on the LAN."""
        return {
            "cp": 2,
            **{f"n{i}": 10 + i for i in range(1, self.nodes + 1)},
            **{f"c{i}": 100 + i for i in range(1, self.clients + 1)},
            **{f"r{i}": 240 + i for i in range(1, self.routers + 1)},
        }

    def gateway(self) -> str:
        """The nodes' default gateway: a router, or nobody, where there is none.

        Without a default route a node cannot try a ClusterIP at all, as what it sends is routed
        before it is translated. Where there is no router, the LAN itself answers "unreachable",
        at once; else every name that a program looks up would take seconds to fail.
        """
        return f"{self.base}.0.{241 if self.routers else 1}"


def pods(index: int) -> str:
    """The pod network of node number `index` (a /24), without its last byte."""
    return f"10.244.{index}"


def pods6(index: int) -> str:
    """The IPv6 pod network of node number `index`, without its `/64`."""
    return f"fd00:10:244:{index:x}::"


def hosts(run: Run, plan: Plan) -> dict[str, Host]:
    """The hosts of a lab by name."""
    found = {
        name: Host(
            run, name, f"{plan.base}.0.{number}", str(IPv6Address(f"{plan.base6}{number:x}"))
        )
        for name, number in plan.numbers().items()
    }
    for i in range(1, plan.outsiders + 1):
        found[f"o{i}"] = Host(run, f"o{i}", f"{plan.outside}.{100 + i}")
    return found


def create(run: Run, plan: Plan) -> dict[str, Host]:
    """Make the whole network, links up; the hosts on it by name."""
    found = hosts(run, plan)
    lan = f"{run.prefix}lan"
    netns.ip([f"netns add {name}" for name in [lan, *(h.namespace for h in found.values())]])
    netns.ip(_lan(found, plan), lan)
    sockets.sysctls(lan, {"net/ipv4/ip_forward": "1"})
    for host in found.values():
        netns.ip(_host(host, plan), host.namespace)
        if host.name[0] in "nr":
            forwarding = {"net/ipv4/ip_forward": "1"}
            if netns.has_ipv6():
                forwarding["net/ipv6/conf/all/forwarding"] = "1"
            sockets.sysctls(host.namespace, forwarding)
    _join_host(run, found["cp"], plan)
    return found


def _lan(found: dict[str, Host], plan: Plan) -> list[str]:
    lines = ["link set lo up", "link add br0 type bridge", "link set br0 up"]
    if plan.routers:
        lines += ["link add br1 type bridge", "link set br1 up"]
    else:
        lines.append(f"addr add {plan.gateway()}/16 dev br0")
    for host in found.values():
        bridge = "br1" if host.name[0] == "o" else "br0"
        lines += _port(host.link, "eth0", host.namespace, bridge)
        if host.name[0] == "r":
            lines += _port(f"o-{host.name}", "eth1", host.namespace, "br1")
    return lines


def _port(link: str, peer: str, namespace: str, bridge: str) -> list[str]:
    return [
        f"link add {link} type veth peer name {peer} netns {namespace}",
        f"link set {link} master {bridge} up",
    ]


def _host(host: Host, plan: Plan) -> list[str]:
    kind, size = host.name[0], 24 if host.name[0] == "o" else 16
    lines = ["link set lo up", "link set eth0 up", f"addr add {host.address}/{size} dev eth0"]
    if host.address6 and netns.has_ipv6():
        lines.append(f"addr add {host.address6}/64 dev eth0 nodad")
    if kind == "r":
        lines += ["link set eth1 up", f"addr add {plan.outside}.{host.name[1:]}/24 dev eth1"]
    if kind == "o":
        lines.append(f"route add default via {plan.outside}.1")
    if kind == "n":
        lines.append(f"route add default via {plan.gateway()}")
    if kind == "c" and plan.routers:
        lines.append(f"route add {plan.outside}.0/24 via {plan.gateway()}")
    if kind in "n" or host.name == "cp":
        lines += _pod_routes(host, plan)
    return lines


def _pod_routes(host: Host, plan: Plan) -> list[str]:
    """The ways to all nodes' pods. Clients have none: they reach Services and node ports only."""
    lines = []
    for i in range(1, plan.nodes + 1):
        if host.name != f"n{i}":
            lines.append(f"route add {pods(i)}.0/24 via {plan.base}.0.{10 + i}")
            if netns.has_ipv6():
                lines.append(f"route add {pods6(i)}/64 via {plan.base6}{10 + i:x}")
    return lines


def _join_host(run: Run, control_plane: Host, plan: Plan) -> None:
    """Let the host, and it alone, reach the API server's address by a link of its own."""
    ours, theirs = (f"169.254.{100 + plan.slot}.{i}" for i in (1, 2))
    netns.ip([f"link set bm{plan.slot}-peer netns {control_plane.namespace} name host0"])
    netns.ip(["link set host0 up", f"addr add {theirs}/30 dev host0"], control_plane.namespace)
    netns.ip(
        [
            f"link set {run.host_link} up",
            f"addr add {ours}/30 dev {run.host_link}",
            f"route add {control_plane.address}/32 via {theirs}",
        ]
    )
