"""What speakers see of their nodes: kube-proxy at work, interfaces, kernel settings, each other.

What several nodes have in common is one finding.
"""

from __future__ import annotations

from collections.abc import Iterator

from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import REPORTED, Check, Finding, Given
from bellmetal.preflight.seen import Seen
from bellmetal.preflight.words import few, nodes_named
from bellmetal.sights import NodeLink, NodeSights

GOSSIP_PORT = 7946
STRICT, LOOSE = 1, 2  # rp_filter
# Interfaces that pass on what is behind them, as they were told to.
LAYERED = ("bridge", "macvlan", "ipvlan", "tap")


def answers_arp(seen: Seen) -> Iterator[Finding]:
    """IPVS holds every address on every node, and the kernel answers for all of its own."""
    if not seen.by_layer2:
        return
    found: dict[str, list[str]] = {}
    for name, view in seen.views.items():
        if view.ipvs_addresses is None and view.kube_proxy.mode != "ipvs":
            continue
        for link in _in_use(seen, name, view):
            if link.arp_ignore == 0:
                found.setdefault(name, []).append(link.name)
    if found:
        first = next(iter(found))
        yield Finding(
            Code.ANSWERS_ARP,
            f"Node/{first}",
            f"kube-proxy works with IPVS and arp_ignore is 0 on {nodes_named(found)} (on {first}:"
            f" {few(found[first])}): they answer for every address",
            "ipvs.strictARP: true in kube-proxy's configuration (--ipvs-strict-arp); restart it",
        )


def proxy_health(seen: Seen) -> Iterator[Finding]:
    """What kube-proxy says of itself, on each node."""
    sick = {n: v.kube_proxy.message for n, v in seen.views.items() if v.kube_proxy.healthy is False}
    for name, message in sick.items():
        yield Finding(
            Code.PROXY_SICK,
            f"Node/{name}",
            f"its kube-proxy is not healthy{f': {message}' if message else ''}; Services may not be"
            " reached on it",
            f"look at kube-proxy's log on node {name}",
        )
    silent = [name for name, view in seen.views.items() if view.kube_proxy.healthy is None]
    if silent and not (seen.kube_proxy and seen.kube_proxy.replaced_by):
        yield Finding(
            Code.PROXY_SILENT,
            f"Node/{silent[0]}",
            f"no kube-proxy answers on {nodes_named(silent)} (port 10256): something else does its"
            " work, or it does not run",
            "kubectl get pods -A -o wide | grep -e proxy -e cilium",
        )


def proxy_modes(seen: Seen) -> Iterator[Finding]:
    """Modes of kube-proxy, where nodes differ."""
    found: dict[str, list[str]] = {}
    for name, view in seen.views.items():
        if view.kube_proxy.mode:
            found.setdefault(view.kube_proxy.mode, []).append(name)
    if len(found) > 1:
        said = "; ".join(f"{mode} on {nodes_named(names)}" for mode, names in sorted(found.items()))
        about = f"Node/{found[max(found)][0]}"
        todo = "kubectl -n kube-system rollout restart daemonset kube-proxy"
        yield Finding(Code.PROXY_MODES, about, f"kube-proxy works as {said}", todo)


def wireless(seen: Seen) -> Iterator[Finding]:
    """Access points pass on frames for addresses and MACs that they know."""
    if found := _with_kind(seen, "wireless") if seen.by_layer2 else {}:
        yield Finding(
            Code.WIRELESS,
            f"Node/{next(iter(found))}",
            f"{_places(found)} is Wi-Fi: many access points do not pass on ARP for an address that"
            " their client did not get from DHCP",
            "use a cable, or spec.interfaces of the L2Advertisement",
        )


def layered(seen: Seen) -> Iterator[Finding]:
    """Bridges and their like: good to know when a question never arrives."""
    if found := _with_kind(seen, *LAYERED) if seen.by_layer2 else {}:
        yield Finding(
            Code.LAYERED,
            f"Node/{next(iter(found))}",
            f"{_places(found)} is a bridge, macvlan, ipvlan or tap: ARP arrives only if what is"
            " below passes on broadcasts",
            "if nobody gets an answer: hairpin mode of the bridge's ports, promiscuous mode below",
        )


def virtual(seen: Seen) -> Iterator[Finding]:
    """Virtual machines: hypervisors and clouds drop what a machine was not given."""
    if found := _with_kind(seen, "virtio") if seen.by_layer2 else {}:
        yield Finding(
            Code.VIRTUAL,
            f"Node/{next(iter(found))}",
            f"{_places(found)} is a virtual machine's: clouds and hypervisors may drop ARP for"
            " addresses that they did not give it",
            "if nobody gets an answer: allowed address pairs (OpenStack), MAC and IP spoof guards"
            " off (Proxmox, VMware, Hyper-V); in a public cloud use BGP or the cloud's own",
        )


def reverse_path(seen: Seen) -> Iterator[Finding]:
    """Questions that come in where answers would not go out are dropped without a word."""
    found: dict[str, list[str]] = {}
    for name, view in seen.views.items():
        links = _in_use(seen, name, view)
        if len(links) > 1:
            strict = [link.name for link in links if link.rp_filter == STRICT]
            if strict:
                found[name] = strict
    if found:
        yield Finding(
            Code.REVERSE_PATH,
            f"Node/{next(iter(found))}",
            f"rp_filter is strict on {_places(found)}, and there are several interfaces: what comes"
            " in on one and would be answered on another is dropped",
            f"sysctl -w net.ipv4.conf.all.rp_filter={LOOSE}, and in /etc/sysctl.d",
        )


def forwarding(seen: Seen) -> Iterator[Finding]:
    """A node that forwards nothing brings nothing to pods."""
    off = [name for name, view in seen.views.items() if not view.ip_forward]
    if off:
        yield Finding(
            Code.NO_FORWARDING,
            f"Node/{off[0]}",
            f"net.ipv4.ip_forward is 0 on {nodes_named(off)}: what arrives there in IPv4 does not"
            " get to pods",
            "sysctl -w net.ipv4.ip_forward=1, and in /etc/sysctl.d",
        )


def unheard(seen: Seen) -> Iterator[Finding]:
    """Speakers that should hear each other and do not; of nodes that are there."""
    ready = {node.name for node in seen.nodes if node.ready}
    pairs = {
        name: [other for other in view.unheard if other in ready]
        for name, view in seen.views.items()
    }
    found = {name: others for name, others in pairs.items() if others and name in ready}
    if found:
        said = [f"{name} does not hear {few(others)}" for name, others in found.items()]
        yield Finding(
            Code.UNHEARD,
            f"Node/{next(iter(found))}",
            f"speakers do not hear each other ({few(said)}): one of them takes over what the other"
            " still has",
            f"let TCP and UDP {GOSSIP_PORT} pass between the nodes, and multicast on their LAN",
        )


SIGHTS = Given(lambda seen: seen.views, "no speaker has said yet what it sees of its node")
_GIVEN = (REPORTED, SIGHTS)
CHECKS = (
    Check("no node answers for all addresses (IPVS)", answers_arp, ("reports", "config"), _GIVEN),
    Check("kube-proxy is healthy on every node", proxy_health, ("reports",), _GIVEN),
    Check("kube-proxy works alike on all nodes", proxy_modes, ("reports",), _GIVEN),
    Check("nodes announce on no Wi-Fi", wireless, ("reports", "config"), _GIVEN),
    Check("nodes announce on no bridge or the like", layered, ("reports", "config"), _GIVEN),
    Check("nodes are no virtual machines", virtual, ("reports", "config"), _GIVEN),
    Check("rp_filter drops no question", reverse_path, ("reports",), _GIVEN),
    Check("nodes forward IPv4", forwarding, ("reports",), _GIVEN),
    Check("speakers hear each other", unheard, ("reports", "nodes"), _GIVEN),
)


def _in_use(seen: Seen, node: str, view: NodeSights) -> list[NodeLink]:
    """The interfaces that have an address of a network and are not left out."""
    named = {
        item.name
        for report in seen.reports
        if report.metadata.name == node
        for item in report.status.interfaces
        if item.up and any(not _is_local(text) for text in item.subnets)
    }
    return [link for link in view.links if link.name in named]


def _is_local(subnet: str) -> bool:
    return subnet.startswith(("fe80:", "169.254.", "127.", "::1/"))


def _with_kind(seen: Seen, *kinds: str) -> dict[str, list[str]]:
    """Node → its interfaces of these kinds that it may announce on."""
    found = {
        name: [link.name for link in _in_use(seen, name, view) if link.kind in kinds]
        for name, view in seen.views.items()
    }
    return {name: links for name, links in found.items() if links}


def _places(found: dict[str, list[str]]) -> str:
    """``eth0 of node n1; br0 of nodes n2, n3``."""
    by_link: dict[str, list[str]] = {}
    for name, links in found.items():
        by_link.setdefault(", ".join(links), []).append(name)
    return "; ".join(f"{links} of {nodes_named(names)}" for links, names in by_link.items())
