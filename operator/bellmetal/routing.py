"""Which nodes announce which prefix to which peers, and what they say of it.

For each address, in this order, each "no" with its reason (MetalLB's order, for all nodes at once):

=====  =================================================================  =======================
step   question                                                           if not
=====  =================================================================  =======================
1      does a BGPAdvertisement select its pool and Service?               noMatchingAdvertisement
2      do selected nodes have network, are not excluded?                  noEligibleNodes,
                                                                          nodesExcluded, …
3      do all that a node and a peer hear give one local preference?      conflictingAdvertisements
4      does an endpoint serve anywhere?                                   noEndpoints
5      externalTrafficPolicy Local: on such a node?                       noLocalEndpoints
6      has a peer a session with such a node?                             noPeers
=====  =================================================================  =======================

Each advertisement gives its own route; what a peer hears of a prefix in several is the speaker's
to unite. What many addresses have in common is looked at once: a `Choice` stands for the
advertisements that select the same pools and Services, a `Group` for nodes that are chosen alike.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from bellmetal.addresses import Family, IPAddress, IPNetwork
from bellmetal.cluster import Cluster, Endpoints, Service
from bellmetal.config import BGPAdvertisement
from bellmetal.eligibility import digest, none_usable
from bellmetal.intents import (
    Attributes,
    NodeSet,
    Route,
    ServiceId,
    Withheld,
    WithheldReason,
)
from bellmetal.peering import Peering
from bellmetal.selectors import Selector, text_of

MOST_SERVICES = 1000  # that a route names
MOST_NAMED = 5  # nodes that a sentence names


class Group:
    """Nodes that may announce alike, with their gossip addresses. Its name says what chooses."""

    def __init__(self, name: str, nodes: Mapping[str, str]) -> None:
        self.name, self.nodes = name, nodes
        self._here: dict[Endpoints, Endpoints] = {}

    def here(self, endpoints: Endpoints) -> Endpoints:
        """The endpoints on these nodes."""
        if endpoints not in self._here:
            nodes = endpoints.nodes.intersection(self.nodes)
            self._here[endpoints] = Endpoints(bool(nodes), nodes, endpoints.staying & nodes)
        return self._here[endpoints]


@dataclass(frozen=True, eq=False)
class Said:
    """What routes say alike, to whom, and of which part (``length``) of an address (``bits``)."""

    attributes: Attributes
    peers: frozenset[str]
    length: int
    bits: int

    def prefix(self, number: int) -> IPNetwork:
        """The prefix that begins with these bits."""
        return network(number << (self.bits - self.length), self.length, self.bits)


@dataclass(frozen=True, eq=False)
class Offer:
    """What one advertisement makes of addresses of one family."""

    said: Said
    group: Group


@dataclass(frozen=True, eq=False)
class Choice:
    """What some advertisements make of addresses of one family. ``no``: if they make nothing.

    ``conflict``: why some nodes (``disputed``, for a sentence) are not among those of the offers.
    ``heard``: by any peer.
    """

    offers: tuple[Offer, ...]
    no: tuple[WithheldReason, str] | None = None
    conflict: str = ""
    disputed: str = ""
    heard: bool = True


class Routing:
    """Takes one address after the other; then has the ``routes``, their ``node_sets``, and what is
    ``withheld`` of what was taken."""

    def __init__(self, cluster: Cluster, peering: Peering) -> None:
        self._cluster, self._choices = cluster, Choices(cluster, peering)
        self._endpoints = cluster.endpoints
        self._services: dict[tuple[int, Said, Group | None], list[Service]] = {}
        self._local: dict[tuple[int, Said, None], Endpoints] = {}
        self._local_sets: dict[Endpoints, NodeSet] = {}
        self.withheld: list[Withheld] = []

    def take(self, service: Service, address: IPAddress, pool: str) -> bool:
        """One address of a Service, that is given out of a pool; whether it is selected at all."""
        choice = self._choices.choice(service, pool, address.version)
        if choice is None:
            return False
        no, how = choice.no or self._offer(choice, service, address), ""
        if no is None and choice.conflict:
            no, how = (WithheldReason.CONFLICT, choice.conflict), f"from {choice.disputed}"
        if no is None and not choice.heard:
            no = WithheldReason.NO_PEERS, "no BGPPeer hears of it from a node that may announce it"
        if no is not None:
            self.withheld.append(Withheld(service.key, address, *no, how))
        return True

    def _offer(
        self, choice: Choice, service: Service, address: IPAddress
    ) -> tuple[WithheldReason, str] | None:
        endpoints = self._endpoints.get(service.key)
        if endpoints is None or not endpoints.serving:
            return WithheldReason.NO_ENDPOINTS, "the Service has no endpoint that serves"
        if service.local_only:
            return self._offer_local(choice, service, address, endpoints)
        for offer in choice.offers:
            said = offer.said
            self._lead((int(address) >> (said.bits - said.length), said, offer.group), service)
        return None

    def _offer_local(
        self, choice: Choice, service: Service, address: IPAddress, endpoints: Endpoints
    ) -> tuple[WithheldReason, str] | None:
        """Services with one prefix are announced together: nobody can hear of one alone."""
        offered = False
        for offer in choice.offers:
            here, said = offer.group.here(endpoints), offer.said
            if here.nodes:
                offered = True
                key = int(address) >> (said.bits - said.length), said, None
                before = self._local.get(key)
                self._local[key] = here if before is None else before | here
                self._lead(key, service)
        if offered:
            return None
        message = "externalTrafficPolicy is Local and no eligible node has a serving endpoint"
        return WithheldReason.NO_LOCAL_ENDPOINTS, message

    def _lead(self, key: tuple[int, Said, Group | None], service: Service) -> None:
        """A route leads to a Service."""
        services = self._services.get(key)
        if services is None:
            self._services[key] = [service]
        elif services[-1] is not service:
            services.append(service)

    # --- what comes of it ------------------------------------------------------------------------

    def finish(self) -> tuple[tuple[Route, ...], dict[str, NodeSet], dict[IPNetwork, int]]:
        """The routes, the sets that they name, and how many Services of a prefix are not named."""
        sets: dict[str, NodeSet] = {}
        routes, unnamed = [], {}
        for (number, said, group), services in self._services.items():
            if group is None:
                node_set = self._local_set(self._local[number, said, None])
                sets[node_set.name] = node_set
                name = node_set.name
            else:
                name = group.name
                if name not in sets:
                    draining = self._draining(group.nodes, group.nodes)
                    sets[name] = NodeSet(name, group.nodes, (), draining)
            prefix = said.prefix(number)
            if len(services) > MOST_SERVICES:
                unnamed[prefix] = len(services) - MOST_SERVICES
            named = tuple([_id(item) for item in services[:MOST_SERVICES]])
            routes.append(Route(prefix, name, said.attributes, said.peers, named))
        return tuple(routes), sets, unnamed

    def _local_set(self, here: Endpoints) -> NodeSet:
        """Named by its nodes, and by those whose last endpoint ends: many Services share it."""
        if here not in self._local_sets:
            nodes = self._cluster.nodes
            found = {name: nodes[name].address for name in sorted(here.nodes)}
            text = f"{','.join(found)}-{','.join(sorted(here.nodes - here.staying))}"
            draining = self._draining(found, here.staying)
            self._local_sets[here] = NodeSet(f"bgp-local-{digest(text)}", found, (), draining)
        return self._local_sets[here]

    def _draining(self, nodes: Iterable[str], staying: Iterable[str]) -> frozenset[str]:
        """A node gives way where another lives that stays, and does not drain."""
        cluster, every = self._cluster, frozenset(nodes)
        stay = {name for name in frozenset(staying) or every if not cluster.nodes[name].draining}
        return every - stay if any(map(cluster.living, stay)) else frozenset()


class Choices:
    """All choices of one pass."""

    def __init__(self, cluster: Cluster, peering: Peering) -> None:
        self._cluster, self._peering = cluster, peering
        self._of_pool: dict[str, tuple[tuple[BGPAdvertisement, ...], bool]] = {}
        self._choices: dict[tuple[tuple[str, ...], int], Choice | None] = {}
        self._plain: dict[tuple[str, int], Choice | None] = {}
        self._groups: dict[tuple[Selector, ...], Group] = {}
        self._less: dict[str, Group] = {}
        self._said: dict[tuple[Attributes, frozenset[str], int, int], Said] = {}

    def choice(self, service: Service, pool: str, version: int) -> Choice | None:
        """What selects a Service's addresses of a pool, of an IP version; None: nothing."""
        key = pool, version
        if key in self._plain:
            return self._plain[key]
        advertisements, plain = self._selecting(pool)
        chosen = [item for item in advertisements if item.selects_service(service.labels)]
        names = tuple([item.name for item in chosen]), version
        if names not in self._choices:
            family = Family.IPV4 if version == 4 else Family.IPV6
            self._choices[names] = self._choose(chosen, family) if chosen else None
        if plain:
            self._plain[key] = self._choices[names]
        return self._choices[names]

    def _selecting(self, pool: str) -> tuple[tuple[BGPAdvertisement, ...], bool]:
        """Those that select a pool, and whether they do it for every Service."""
        if pool not in self._of_pool:
            found = self._cluster.config.pool(pool)
            labels = found.labels if found else {}
            selecting = tuple(
                item
                for item in self._cluster.config.bgp_advertisements
                if item.selects_pool(pool, labels)
            )
            plain = not any(item.service_selectors for item in selecting)
            self._of_pool[pool] = selecting, plain
        return self._of_pool[pool]

    def _choose(self, chosen: list[BGPAdvertisement], family: Family) -> Choice:
        groups = [self._group(item.node_selectors) for item in chosen]
        names = ", ".join(item.name for item in chosen)
        if not any(group.nodes for group in groups):
            no = none_usable(
                self._cluster,
                lambda labels: any(item.selects_node(labels) for item in chosen),
                f"BGPAdvertisement {names}",
            )
            return Choice((), no)
        conflict, disputed = self._disputed(chosen, groups, family)
        found = [
            (self._saying(item, family), self._without(group, disputed[at]))
            for at, (item, group) in enumerate(zip(chosen, groups, strict=True))
        ]
        offers = tuple(Offer(*item) for item in dict.fromkeys(found) if item[1].nodes)
        if not offers:
            return Choice((), (WithheldReason.CONFLICT, conflict))
        heard = any(
            self._peering.hear(offer.said.peers, offer.group.nodes, family) for offer in offers
        )
        return Choice(offers, None, conflict, _some(set().union(*disputed)), heard)

    def _group(self, selectors: tuple[Selector, ...]) -> Group:
        """The nodes with network that selectors choose; its name stays while they come and go."""
        if selectors not in self._groups:
            cluster = self._cluster
            nodes = {
                name: node.address
                for name, node in cluster.nodes.items()
                if not node.network_unavailable
                and (cluster.ignore_exclude_label or not node.excluded)
                and (not selectors or any(item.matches(node.labels) for item in selectors))
            }
            name = f"bgp-{digest(text_of(selectors))}" if selectors else "bgp-all"
            self._groups[selectors] = Group(name, nodes)
        return self._groups[selectors]

    def _without(self, group: Group, disputed: set[str]) -> Group:
        if not disputed:
            return group
        name = f"{group.name}-less-{digest(','.join(sorted(disputed)))}"
        if name not in self._less:
            nodes = {node: ip for node, ip in group.nodes.items() if node not in disputed}
            self._less[name] = Group(name, nodes)
        return self._less[name]

    def _saying(self, item: BGPAdvertisement, family: Family) -> Said:
        attributes = Attributes(
            item.local_pref, item.communities, item.med, item.prepend, item.next_hop(family)
        )
        key = attributes, item.peers, item.length(family), 32 if family is Family.IPV4 else 128
        return self._said.setdefault(key, Said(*key))

    def _disputed(
        self, chosen: list[BGPAdvertisement], groups: list[Group], family: Family
    ) -> tuple[str, list[set[str]]]:
        """Nodes on which two disagree about the local preference, for each advertisement; why.

        Where peers are named in both and none in common, or prefixes differ, they go together.
        """
        disputed: list[set[str]] = [set() for _ in chosen]
        said = []
        for (at, one), (to, other) in combinations(enumerate(chosen), 2):
            both = groups[at].nodes.keys() & groups[to].nodes.keys()
            if not both or one.local_pref == other.local_pref or _apart(one, other, family):
                continue
            disputed[at] |= both
            disputed[to] |= both
            said.append(
                f"BGPAdvertisement {one.name} gives it the local preference {one.local_pref}, and"
                f" BGPAdvertisement {other.name} {other.local_pref}, on {_some(both)}"
            )
        return "; ".join(said), disputed


def _apart(one: BGPAdvertisement, other: BGPAdvertisement, family: Family) -> bool:
    if one.length(family) != other.length(family):
        return True
    return bool(one.peers and other.peers) and one.peers.isdisjoint(other.peers)


def _some(names: Iterable[str]) -> str:
    """Node names for a sentence."""
    every = sorted(names)
    shown = every[:MOST_NAMED]
    if rest := len(every) - len(shown):
        shown.append(f"{rest} more")
    return ", ".join(shown)


def _id(service: Service) -> ServiceId:
    return ServiceId(service.namespace, service.name, service.uid)


@lru_cache(maxsize=65536)
def network(number: int, length: int, bits: int) -> IPNetwork:
    """A prefix of IPv4 (32 bits) or IPv6, with its first address as a number."""
    make = ipaddress.IPv4Network if bits == 32 else ipaddress.IPv6Network
    return make((number, length))
