"""BGPPeers that share a node: what a node has for all its sessions. The younger is the invalid one.

As in MetalLB's FRR modes: on a node no two peers are the same, all have one router ID, and all in
one VRF have one myASN. What the oldest peer of a node says is what the others are measured by,
also when it is invalid for other reasons: a typo brings no younger one into force.
"""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal.config import Peer
from bellmetal.validation.labelled import Index
from bellmetal.validation.report import Report


class _Site:
    """The first word on one node about each matter."""

    def __init__(self) -> None:
        self.by_id: dict[str, Peer] = {}
        self.by_vrf: dict[str, Peer] = {}
        self.router: Peer | None = None


def check_neighbours(judged: Iterable[tuple[Peer, Report]], nodes: Index) -> None:
    """``judged`` is oldest first. Without any node, all peers are taken to share one."""
    sites: dict[str, _Site] = {}
    for peer, report in judged:
        names = nodes.matching(peer.node_selectors) if nodes.items else frozenset([""])
        said: dict[tuple[str, str], str] = {}
        readable = all(problem.path != "spec.routerID" for problem in report.problems)
        for name in sorted(names):
            site = sites.setdefault(name, _Site())
            _compare(peer, name, site, said)
            if readable:
                _compare_routers(peer, site, said)
        for (path, _), message in said.items():
            report.add(path, message)


def _compare(peer: Peer, node: str, site: _Site, said: dict[tuple[str, str], str]) -> None:
    """Tells where a peer differs from the first on a node, once for each other peer."""
    remote = peer.id_on(node)
    if remote and (other := site.by_id.setdefault(remote, peer)) is not peer:
        said["spec.interface" if peer.interface else "spec.peerAddress", other.name] = (
            f"peer {remote} already exists as BGPPeer/{other.name}: duplicate BGPPeers selecting"
            " the same node are not supported"
        )
    if peer.my_asn and (other := site.by_vrf.setdefault(peer.vrf, peer)).my_asn != peer.my_asn:
        said["spec.myASN", other.name] = (
            f"peer {peer.id} has myAsn {peer.my_asn}, different from {other.my_asn} of"
            f" BGPPeer/{other.name}: peers selecting the same node must have the same myAsn within"
            " the same VRF"
        )


def _compare_routers(peer: Peer, site: _Site, said: dict[tuple[str, str], str]) -> None:
    site.router = other = site.router or peer
    if other.router_id != peer.router_id:
        said["spec.routerID", other.name] = (
            f"peer {peer.id} has RouterID {peer.router_id or 'unset'}, different from"
            f" {other.router_id or 'unset'} of BGPPeer/{other.name}: peers selecting the same node"
            " must all have the same RouterID"
        )
