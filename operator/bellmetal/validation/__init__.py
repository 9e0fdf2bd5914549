"""Custom resources → Config, or every Problem at once. Each kind of rule has its room here.

What is invalid counts for no new decision, and the sound rest is in force: an invalid pool is
`broken` (what was given out of it stays), the rest that is invalid is left out. Of two objects
that do not go together, the younger is the invalid one. A name that leads nowhere is a problem,
and the rest of its object stays in force; each room says where that is otherwise.

MetalLB's rules are those of its FRR modes: what only its native mode refuses is accepted here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bellmetal.config import (
    QUOTA,
    BFDProfile,
    BGPAdvertisement,
    Config,
    L2Advertisement,
    Labelled,
    Peer,
    Pool,
    Problem,
)
from bellmetal.resources import BFDProfile as BFDProfileObject
from bellmetal.resources import BGPAdvertisement as BGPAdvertisementObject
from bellmetal.resources import BGPPeer as BGPPeerObject
from bellmetal.resources import Community as CommunityObject
from bellmetal.resources import IPAddressPool as IPAddressPoolObject
from bellmetal.resources import L2Advertisement as L2AdvertisementObject
from bellmetal.validation.advertisements import read_bgp_advertisements, read_l2_advertisements
from bellmetal.validation.agreement import check_agreement
from bellmetal.validation.annotations import read_annotations
from bellmetal.validation.bfd import read_profiles
from bellmetal.validation.communities import read_communities
from bellmetal.validation.labelled import Index
from bellmetal.validation.neighbours import check_neighbours
from bellmetal.validation.peers import read_peers
from bellmetal.validation.pools import read_pools
from bellmetal.validation.remotes import annotations_of_nodes
from bellmetal.validation.report import Report, Reports

__all__ = ["Objects", "Validated", "validate"]

Noun = TypeVar("Noun", Pool, L2Advertisement, BGPAdvertisement, Peer, BFDProfile)


@dataclass(frozen=True)
class Objects:
    """All that the configuration is made of, in any order.

    ``unreadable`` are problems of objects that could not even be decoded (wrong types).
    """

    pools: tuple[IPAddressPoolObject, ...] = ()
    l2_advertisements: tuple[L2AdvertisementObject, ...] = ()
    bgp_advertisements: tuple[BGPAdvertisementObject, ...] = ()
    peers: tuple[BGPPeerObject, ...] = ()
    bfd_profiles: tuple[BFDProfileObject, ...] = ()
    communities: tuple[CommunityObject, ...] = ()
    namespaces: Mapping[str, Labelled] = field(default_factory=dict)
    nodes: Mapping[str, Labelled] = field(default_factory=dict)
    unreadable: tuple[Problem, ...] = ()

    def unreadable_names(self, kind: str) -> set[str]:
        """The names of the objects of a kind that are there but cannot be read."""
        return {problem.name for problem in self.unreadable if problem.kind == kind}


@dataclass(frozen=True, slots=True)
class Validated:
    """The configuration that holds, and what is wrong with the rest."""

    config: Config
    problems: tuple[Problem, ...]


def validate(objects: Objects) -> Validated:
    """The whole configuration at once."""
    reports = Reports()
    nodes, namespaces = Index(objects.nodes), Index(objects.namespaces)
    pools = read_pools(objects.pools, namespaces, reports)
    pools += [Pool(name, (), broken=True) for name in objects.unreadable_names("IPAddressPool")]
    pool_names = {pool.name for pool in pools}
    l2_advertisements = read_l2_advertisements(objects.l2_advertisements, pool_names, reports)
    profiles = read_profiles(objects.bfd_profiles, reports)
    peers = read_peers(
        objects.peers,
        _names(objects.bfd_profiles) | objects.unreadable_names("BFDProfile"),
        {profile.name for profile in profiles},
        nodes,
        reports,
    )
    check_neighbours(peers, nodes)
    sound_peers = _sound(peers)
    aliases = read_communities(objects.communities, reports)
    bgp_advertisements = read_bgp_advertisements(
        objects.bgp_advertisements,
        pool_names,
        _names(objects.peers) | objects.unreadable_names("BGPPeer"),
        aliases,
        reports,
    )
    check_agreement(bgp_advertisements, pools, sound_peers, profiles, nodes)
    quotas = _quotas(objects.namespaces, reports)
    _check_nodes(objects.nodes, annotations_of_nodes(objects.peers), reports)
    config = Config(
        pools=_by_name(pools),
        l2_advertisements=_by_name(l2_advertisements),
        quotas=quotas,
        bgp_advertisements=_by_name(_sound(bgp_advertisements)),
        peers=_by_name(sound_peers),
        bfd_profiles=_by_name(profiles),
        communities=aliases.sound(),
    )
    unreadable = tuple(sorted(objects.unreadable, key=str))
    return Validated(config, unreadable + reports.problems())


def _names(bodies: Iterable[BGPPeerObject | BFDProfileObject]) -> set[str]:
    return {body.metadata.name for body in bodies}


def _sound(judged: Iterable[tuple[Noun, Report]]) -> list[Noun]:
    return [noun for noun, report in judged if report.sound]


def _by_name(nouns: Iterable[Noun]) -> tuple[Noun, ...]:
    return tuple(sorted(nouns, key=lambda noun: noun.name))


def _quotas(namespaces: Mapping[str, Labelled], reports: Reports) -> dict[str, int]:
    """By namespace; one that cannot be understood is 0: nothing more is given."""
    found = {}
    for name, item in sorted(namespaces.items()):
        if item.annotations:
            report = reports.about("Namespace", name, item.uid)
            asked = read_annotations("Namespace", item.annotations, report)
            if QUOTA in asked:
                found[name] = asked[QUOTA]
    return found


def _check_nodes(
    nodes: Mapping[str, Labelled], peers_say: frozenset[str], reports: Reports
) -> None:
    for name, item in sorted(nodes.items()):
        if item.annotations:
            report = reports.about("Node", name, item.uid)
            read_annotations("Node", item.annotations, report, peers_say)
