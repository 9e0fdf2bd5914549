"""A Service, link by link: from what it asks for to who may announce it.

What follows when it is announced is `announced.py`'s. Reasons are the controller's own: what is
explained here was decided by its functions on the cluster as it is now.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bellmetal.addresses import Family, IPAddress, family_of
from bellmetal.choice import why_not
from bellmetal.cluster import Endpoints, Service
from bellmetal.config import Advertisement, Pool
from bellmetal.diagnosis import announced, catalogue
from bellmetal.diagnosis.catalogue import cause
from bellmetal.diagnosis.chain import Explanation, Link, State, Step, broken, note, ok, until_broken
from bellmetal.diagnosis.eligible import lacking, selecting
from bellmetal.diagnosis.pool import in_use
from bellmetal.diagnosis.situation import EndpointCounts, ServiceDetail, Situation
from bellmetal.explanation import Cause
from bellmetal.intents import LAYER2, Refused, RefusedReason, Withheld, WithheldReason

MOST = 8  # of anything, in the evidence
ADVERTISEMENTS = ("L2Advertisement", "BGPAdvertisement")
REMOVES = (WithheldReason.NO_ADVERTISEMENT, WithheldReason.CONFLICT)
NOTHING_GIVEN = (
    RefusedReason.NO_POOL_OPEN,
    RefusedReason.NO_FAMILY,
    RefusedReason.NO_ADDRESS_LEFT,
)
ABOUT_ENDPOINTS = (WithheldReason.NO_ENDPOINTS, WithheldReason.NO_LOCAL_ENDPOINTS)


@dataclass(frozen=True, slots=True)
class Subject:
    """The Service that is explained, in its situation."""

    situation: Situation
    service: Service
    detail: ServiceDetail

    @property
    def names(self) -> dict[str, str]:
        """What fills the blanks of the catalogue."""
        service = self.service
        return {
            "namespace": service.namespace,
            "name": service.name,
            "system": self.situation.namespace,
        }

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """What it is given."""
        granted = self.situation.allocations.granted.get(self.service.key)
        return granted.addresses if granted else ()

    @property
    def withheld(self) -> tuple[Withheld, ...]:
        """What is not announced of it."""
        return self.situation.withheld.get(self.service.key, ())


def explain_service(situation: Situation, key: str, detail: ServiceDetail) -> Explanation:
    """Why a Service is not reached, or that nothing is wrong as far as can be seen."""
    it = Subject(situation, situation.cluster.services[key], detail)
    links: list[Link] = []
    for step in (claim, pool, address, advertisement, nodes, endpoints):
        links += step(it)
        if any(link.state is State.BROKEN for link in links):
            return Explanation("Service", key, until_broken(links))
    links += announced.explain(situation, it.service, detail, it.addresses)
    found = Explanation("Service", key, until_broken(links))
    return found if found.broken else Explanation("Service", key, found.links, hints(it))


# --- claim ---------------------------------------------------------------------------------------


def claim(it: Subject) -> list[Link]:
    """Whether it is ours to serve, and whether anybody decides."""
    service, detail, situation = it.service, it.detail, it.situation
    if detail.type != "LoadBalancer":
        said = f"it is of type {detail.type or 'ClusterIP'}"
        return [broken(Step.CLAIM, cause(catalogue.NOT_LOAD_BALANCER, said, **it.names))]
    if not service.ours:
        wants = f'class "{detail.lb_class}"' if detail.lb_class else "no class"
        serves = f'class "{situation.lb_class}"' if situation.lb_class else "Services without one"
        said = f"it has {wants}, and this controller serves {serves}"
        return [broken(Step.CLAIM, cause(catalogue.OTHER_CLASS, said, **it.names))]
    if detail.ending:
        said = "it is being deleted, and a finalizer waits"
        return [broken(Step.CLAIM, cause(catalogue.ENDING, said, **it.names))]
    links = [ok(Step.CLAIM, f"type LoadBalancer, asks for {_wish(service)}")]
    if service.problems:
        said = "; ".join(service.problems)
        names = {**it.names, "object": f"Service/{service.name} metadata.annotations"}
        found = cause(catalogue.ODD_ANNOTATION, said, **names)
        links.append(note(Step.CLAIM, said, found))
    return links + _leader(it)


def _wish(service: Service) -> str:
    request = service.request
    if request.addresses:
        return ", ".join(map(str, request.addresses))
    families = " and ".join(family.value for family in service.families)
    article = "an" if service.per_family == 1 else str(service.per_family)
    noun = "address" if service.per_family == 1 else "addresses"
    out_of = f" out of pool {request.pool}" if request.pool else ""
    shares = f', shared by key "{service.sharing.key}"' if service.sharing.key else ""
    return f"{article} {families} {noun}{out_of}{shares}"


def _leader(it: Subject) -> list[Link]:
    leader = it.situation.leader
    if leader is None or leader.leads:
        return []
    said = "no controller leads"
    if leader.name:
        said = f"the controller that led, {leader.name}, has been silent for"
        said += f" {leader.silent_for:.0f} s"
    found = cause(catalogue.NO_LEADER, said, **it.names)
    decided = set(it.addresses) == set(it.service.shown.addresses) and it.addresses
    return [note(Step.CLAIM, said, found) if decided else broken(Step.CLAIM, found)]


# --- pool ----------------------------------------------------------------------------------------


def pool(it: Subject) -> list[Link]:
    """Which pools it may have an address of, and why it has none."""
    allocations, key = it.situation.allocations, it.service.key
    refused, granted = allocations.refused.get(key), allocations.granted.get(key)
    if refused is not None and granted is None:
        return [broken(Step.POOL, _refusal(it, refused))]
    if granted is None:
        said = allocations.cleared.get(key, "nothing is decided for it yet")
        return [broken(Step.POOL, cause(catalogue.BEHIND, said, **it.names))]
    links = []
    for name in dict.fromkeys(granted.pools):
        found = it.situation.cluster.config.pool(name)
        links.append(ok(Step.POOL, _use(it.situation, found) if found else "no pool has it"))
    if granted.orphaned:
        texts = ", ".join(str(item) for item, _ in granted.orphaned)
        said = f"no pool allows {texts} to it any more; it keeps what it has"
        names = {**it.names, "pool": granted.orphaned[0][1] or granted.pool}
        links.append(note(Step.POOL, said, cause(catalogue.ORPHANED, said, **names)))
    if refused is not None:
        found_cause = _refusal(it, refused)
        links.append(note(Step.POOL, f"it got no other: {refused.message}", found_cause))
    return links


def _refusal(it: Subject, refused: Refused) -> Cause:
    config, names = it.situation.cluster.config, it.names
    asked = it.service.request.pool
    first = asked or next((item.name for item in config.pools), "")
    for wanted in it.service.request.addresses:
        if (owner := config.pool_of(wanted)) is not None:
            first = owner.name
    evidence = [
        f"condition {condition.type}: {condition.reason}"
        for condition in it.service.shown.conditions
        if condition.reason == refused.reason.value
    ]
    evidence += _evidence(it, refused.reason, config.pool(asked))
    return cause(refused.reason.value, refused.message, evidence, **names, pool=first)


def _evidence(it: Subject, reason: RefusedReason, asked: Pool | None) -> list[str]:
    situation = it.situation
    if reason is RefusedReason.NO_POOL:
        return [f"not in the namespace {situation.namespace}: {item}" for item in situation.strays]
    pools = [asked] if asked else list(situation.cluster.config.pools)
    found = []
    for item in pools[:MOST]:
        found.append(_use(situation, item) + _no(item, it.service, reason))
        if problem := situation.problem_of("IPAddressPool", item.name):
            found.append(str(problem))
    if reason is RefusedReason.NO_ADDRESS_LEFT:
        found += _holders(situation, pools)
    return found


def _no(item: Pool, service: Service, reason: RefusedReason) -> str:
    """Why a pool gave nothing by itself, where that is what was asked of it."""
    if reason not in NOTHING_GIVEN:
        return ""
    lacking = [family for family in service.families if not item.capacity(family)]
    return f": {why_not(item, service, Counter(lacking or service.families))}"


def _use(situation: Situation, item: Pool) -> str:
    """How many of a pool's addresses are in use."""
    size = sum(item.capacity(family) for family in Family)
    used = len(in_use(situation, item))
    return f"IPAddressPool/{item.name}: {used} of {size} in use"


def _holders(situation: Situation, pools: Iterable[Pool]) -> list[str]:
    """Who has had an address of these pools the longest."""
    held = [
        (holder.since, str(holding.address), holder.key)
        for holding in situation.held.values()
        for holder in holding.holders
        if any(item.allows(holding.address) for item in pools)
    ]
    return [f"{text}: {key} since {since or '?'}" for since, text, key in sorted(held)[:MOST]]


# --- address -------------------------------------------------------------------------------------


def address(it: Subject) -> list[Link]:
    """Whether it shows what it is given."""
    service, texts = it.service, ", ".join(map(str, it.addresses))
    shown = ", ".join(map(str, service.shown.addresses))
    rival = next((c for c in service.shown.conditions if c.reason == catalogue.RIVAL), None)
    if rival is not None:
        found = cause(catalogue.RIVAL, rival.message, _writers(it), **it.names)
        return [broken(Step.ADDRESS, found)]
    if set(service.shown.addresses) == set(it.addresses):
        return [ok(Step.ADDRESS, f"{texts}{_since(it)}, shown in its status")]
    if shown and it.detail.writer not in ("", "bellmetal"):
        said = f'it is given {texts} and shows {shown}, which field manager "{it.detail.writer}"'
        found = cause(catalogue.RIVAL, f"{said} has written", _writers(it), **it.names)
        return [broken(Step.ADDRESS, found)]
    said = f"it is given {texts} and shows {shown or 'none'}"
    return [broken(Step.ADDRESS, cause(catalogue.BEHIND, said, it.detail.events, **it.names))]


def _writers(it: Subject) -> list[str]:
    writer = it.detail.writer
    return [f'field manager "{writer}" wrote status.loadBalancer last'] if writer else []


def _since(it: Subject) -> str:
    holding = it.situation.held.get(it.addresses[0])
    holders = holding.holders if holding else ()
    since = next((item.since for item in holders if item.uid == it.service.uid), "")
    return f" since {since}" if since else ""


# --- advertisement -------------------------------------------------------------------------------


def advertisement(it: Subject) -> list[Link]:
    """Which advertisements select its addresses, and which mean nothing."""
    links = [*_invalid(it)]
    for one in it.addresses:
        no = _withheld(it, one, REMOVES)
        if no is not None and not no.how:
            evidence = _near_misses(it, one)
            found = cause(no.reason.value, no.sentence, evidence, **it.names)
            if (meant := _meant_by(it, one)) is not None:
                kind, name = type(meant).__name__.lower(), meant.name
                found = replace(
                    found, command=f"kubectl edit {kind} -n {it.names['system']} {name}"
                )
            return [*links, broken(Step.ADVERTISEMENT, found)]
        names = [f"{type(item).__name__}/{item.name}" for item in _selecting(it, one)]
        links.append(ok(Step.ADVERTISEMENT, f"{', '.join(names)} selects {one}"))
        if no is not None:
            found = cause(no.reason.value, no.sentence, **it.names)
            links.append(note(Step.ADVERTISEMENT, no.sentence, found))
    return links


def _invalid(it: Subject) -> Iterable[Link]:
    """Advertisements that are not in force, or not wholly: what they say has no effect."""
    for problem in it.situation.problems:
        if problem.kind in ADVERTISEMENTS:
            names = {**it.names, "object": f"{problem.kind}/{problem.name} {problem.path}"}
            found = cause(catalogue.INVALID, str(problem), **names)
            yield note(Step.ADVERTISEMENT, str(problem), found)


def _selecting(it: Subject, one: IPAddress) -> list[Advertisement]:
    return selecting(it.situation.cluster, it.service, _pool_of(it, one))


def _pool_of(it: Subject, one: IPAddress) -> str:
    granted = it.situation.allocations.granted[it.service.key]
    return dict(zip(granted.addresses, granted.pools, strict=True))[one]


def _withheld(it: Subject, one: IPAddress, reasons: Iterable[WithheldReason]) -> Withheld | None:
    found = (no for no in it.withheld if no.address == one and no.reason in tuple(reasons))
    return next(found, None)


def _near_misses(it: Subject, one: IPAddress) -> list[str]:
    """What keeps each advertisement from selecting an address."""
    config, situation = it.situation.cluster.config, it.situation
    name = _pool_of(it, one)
    labels = found.labels if (found := config.pool(name)) else {}
    every: list[Advertisement] = [*config.l2_advertisements, *config.bgp_advertisements]
    said = []
    for item in every[:MOST]:
        label = f"{type(item).__name__}/{item.name}"
        if not item.selects_pool(name, labels):
            said.append(f"{label} selects {_named(item)}{_meant(item, name)}")
        elif not item.selects_service(it.service.labels):
            said.append(f"{label}: spec.serviceSelectors do not match the Service's labels")
    said += [str(p) for p in situation.problems if p.kind in ADVERTISEMENTS][:MOST]
    said += [f"not in the namespace {situation.namespace}: {item}" for item in situation.strays]
    return said or ["there is no L2Advertisement and no BGPAdvertisement"]


def _meant_by(it: Subject, one: IPAddress) -> Advertisement | None:
    """The advertisement that nearly names the pool of an address."""
    config, name = it.situation.cluster.config, _pool_of(it, one)
    every = [*config.l2_advertisements, *config.bgp_advertisements]
    return next((item for item in every if _meant(item, name)), None)


def _named(item: Advertisement) -> str:
    pools = ", ".join(f'"{name}"' for name in sorted(item.pools))
    return f"pool {pools}" if pools else "pools by label"


def _meant(item: Advertisement, name: str) -> str:
    near = difflib.get_close_matches(name[:253], sorted(item.pools), n=1)
    return f': is "{name}" meant?' if near else ""


# --- nodes ---------------------------------------------------------------------------------------


def nodes(it: Subject) -> list[Link]:
    """Which nodes may announce its addresses."""
    links = []
    for one in it.addresses:
        lack = lacking(it.situation.cluster, it.service, _pool_of(it, one), one)
        no = next(
            (
                item
                for item in it.withheld
                if item.address == one and item.reason not in (*REMOVES, *ABOUT_ENDPOINTS)
            ),
            None,
        )
        if no is not None:
            found = cause(no.reason.value, no.sentence, lack.values(), **it.names)
            links.append(
                note(Step.NODES, no.sentence, found) if no.how else broken(Step.NODES, found)
            )
            continue
        able = sorted(it.situation.cluster.nodes.keys() - lack.keys())
        said = f"{_few(able)} may announce {one}"
        links.append(ok(Step.NODES, "; ".join([said, *list(lack.values())[:MOST]])))
    return links


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:MOST])
    rest = len(names) - MOST
    return (f"{shown} and {rest} more" if rest > 0 else shown) or "no node"


# --- endpoints -----------------------------------------------------------------------------------


def endpoints(it: Subject) -> list[Link]:
    """Whether anything serves it."""
    counts = it.detail.endpoints
    for no in it.withheld:
        if no.reason in ABOUT_ENDPOINTS:
            found = cause(no.reason.value, no.sentence, _counted(counts), **it.names)
            if no.how and no.how != LAYER2:
                return [note(Step.ENDPOINTS, no.sentence, found)]
            return [broken(Step.ENDPOINTS, found)]
    serving = it.situation.cluster.endpoints.get(it.service.key, Endpoints())
    where = _few(sorted(serving.nodes)) if serving.nodes else "no node of the cluster"
    policy = "Local" if it.service.local_only else "Cluster"
    number = f"{counts.usable} endpoint{'s' if counts.usable != 1 else ''}"
    said = f"{number} serve{'s' if counts.usable == 1 else ''}, on {where}"
    return [ok(Step.ENDPOINTS, f"{said}; externalTrafficPolicy {policy}")]


def _counted(counts: EndpointCounts) -> list[str]:
    words = (
        ("ready", counts.ready),
        ("ending but serving", counts.ending),
        ("not ready", counts.not_ready),
    )
    said = []
    for word, found in words:
        places = ", ".join(f"{node or 'no node named'}: {n}" for node, n in sorted(found.items()))
        if places:
            said.append(f"{word}: {places}")
    return said or ["there is no endpoint at all: the selector matches no pod"]


# --- hints ---------------------------------------------------------------------------------------


def hints(it: Subject) -> tuple[str, ...]:
    """What makes people believe that it does not work, though it does."""
    port = f":{it.detail.tcp_port}" if it.detail.tcp_port else ""
    found = [
        f"try it from a client on the network, not from a node or a pod: curl http://{_host(one)}{port}"
        for one in it.addresses[:1]
    ]
    found.append("ping gets no answer: no interface has the address; use curl, nc or arping")
    if it.detail.endpoints.usable == 1:
        found.append(
            "one endpoint serves it: if its node dies, it is away until Kubernetes has made"
            " another pod (about 5 minutes by default), whoever answers for the address"
        )
    if it.detail.source_ranges:
        ranges = ", ".join(it.detail.source_ranges)
        found.append(f"spec.loadBalancerSourceRanges lets in only {ranges} (kube-proxy does that)")
    if not it.situation.looks:
        found.append("with --look the nodes look for themselves: they connect, and ask the LAN")
    return tuple(found)


def _host(one: IPAddress) -> str:
    return f"[{one}]" if family_of(one) is Family.IPV6 else str(one)
