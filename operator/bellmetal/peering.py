"""Config → the peers that nodes have sessions with, and which nodes hear whom. No routes here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from bellmetal.addresses import Family
from bellmetal.cluster import Cluster
from bellmetal.config import BFDProfile, Peer, Remote
from bellmetal.eligibility import digest
from bellmetal.intents import NodeSet, PeerPlan
from bellmetal.selectors import text_of


class Peering:
    """All peers of a cluster: the ``plans``, and the ``node_sets`` that they name."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._profiles = {profile.name: profile for profile in cluster.config.bfd_profiles}
        self.node_sets: dict[str, NodeSet] = {}
        self.plans = tuple(
            self._plan(peer, remote)
            for peer in cluster.config.peers
            for remote in ((None,) if peer.remotes is None else peer.remotes)
        )

    def _plan(self, peer: Peer, remote: Remote | None) -> PeerPlan:
        address = peer.peer_address
        if remote is not None and remote.address is not None:
            address = remote.address
        asn = remote.asn if remote is not None else 0
        return PeerPlan(
            name=peer.name,
            uid=peer.uid,
            node_set=self._node_set(peer, remote),
            my_asn=peer.my_asn,
            peer_asn=asn or peer.peer_asn,
            local_asn=peer.local_asn,
            dynamic_asn="" if asn else peer.dynamic_asn,
            address=address,
            interface=peer.interface,
            gateway=peer.gateway,
            source_address=peer.source_address,
            port=peer.peer_port,
            hold_time=_whole(peer.hold_time),
            keepalive_time=_whole(peer.keepalive_time),
            connect_time=_whole(peer.connect_time),
            router_id=peer.router_id,
            signed=peer.signed,
            ao=peer.tcp_ao,
            bfd=self._bfd(peer.bfd_profile),
            graceful_restart=peer.enable_graceful_restart,
            multi_hop=peer.ebgp_multi_hop,
            vrf=peer.vrf,
            dual_stack=peer.dual_stack_address_family,
            passive=peer.passive,
            ttl_security=peer.ttl_security,
            drain_time=peer.drain_time,
            max_prefixes=peer.max_prefixes,
            add_path=peer.add_path,
        )

    def _bfd(self, name: str) -> BFDProfile | None:
        """The profile in force; one that is not there, or is invalid, has the default times."""
        return self._profiles.get(name, BFDProfile(name)) if name else None

    def _node_set(self, peer: Peer, remote: Remote | None) -> str:
        """Excluded nodes and those without network too: what they announce is none of a session's.

        It is named by what chooses the nodes, so that the name stays while nodes come and go.
        """
        text = text_of(peer.node_selectors)
        if remote is not None:
            text = f"{peer.name} {remote.address} {remote.asn}"
        name = f"sessions-{digest(text)}" if text else "sessions-all"
        if name not in self.node_sets:
            nodes = self._cluster.nodes
            chosen = {
                node.name: node.address
                for node in nodes.values()
                if (
                    node.name in remote.nodes
                    if remote is not None
                    else peer.selects_node(node.labels)
                )
            }
            self.node_sets[name] = NodeSet(name, chosen)
        return name

    @cached_property
    def _hearing(self) -> tuple[tuple[PeerPlan, frozenset[Family], frozenset[str]], ...]:
        return tuple(
            (plan, plan.families, frozenset(self.node_sets[plan.node_set].nodes))
            for plan in self.plans
        )

    def hear(self, names: frozenset[str], nodes: Iterable[str], family: Family) -> bool:
        """Whether any peer, of those ``names`` if there are any, hears routes of that family from
        any of the nodes."""
        wanted = frozenset(nodes)
        return any(
            (not names or plan.name in names) and family in spoken and not wanted.isdisjoint(there)
            for plan, spoken, there in self._hearing
        )


def _whole(seconds: float | None) -> int | None:
    """Whole seconds, as on the wire; what is less than one is one."""
    return None if seconds is None else max(int(seconds), 1 if seconds else 0)
