"""The links behind an announcement: owner or sessions, the LAN, the node's data path."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from bellmetal.addresses import Family, IPAddress, family_of
from bellmetal.cluster import Service
from bellmetal.diagnosis import catalogue
from bellmetal.diagnosis.catalogue import cause
from bellmetal.diagnosis.chain import Link, Step, broken, note, ok, unknown
from bellmetal.diagnosis.situation import NodeSession, ServiceDetail, Situation
from bellmetal.explanation import Cause, explain_absent, explain_missing, explain_session
from bellmetal.explanation import explain_silence as silence
from bellmetal.facts import Doubt, DoubtKind, SessionState
from bellmetal.holdings import seconds_between
from bellmetal.intents import Announcement, Route, WithheldReason
from bellmetal.resources import ReportedInterface
from bellmetal.sights import LookKind, NodeSights, Outcome, Sight

OFTEN, LATELY = 3, 3600.0  # so many moves in so many seconds are too many
MOST = 8  # of anything, in the evidence
STRICT = 1  # of rp_filter
# nobody has looked: that says nothing of what there is to see
NOT_SEEN = frozenset([Outcome.DENIED, Outcome.FAILED, Outcome.NO_INTERFACE])
ASKED_ONLY = 0  # of arp_ignore: answers for any address of any interface


def explain(
    situation: Situation, service: Service, detail: ServiceDetail, addresses: Iterable[IPAddress]
) -> list[Link]:
    """All links behind the announcement of a Service's addresses."""
    links: list[Link] = []
    announcers: set[str] = set()
    for address in addresses:
        item = situation.told.announcements.get(address)
        if item is not None:
            links += [_owner(situation, service, item), *_lan(situation, item)]
            announcers.add(owner_of(situation, item))
        routes = routes_of(situation, service, address)
        if routes:
            links += _sessions(situation, service, address, routes)
            announcers |= senders(situation, service)
        if item is None and not routes:
            said = f"{address} should be announced, and no AnnouncementSlice has it"
            links.append(broken(Step.OWNER, _behind(situation, said)))
    for node in sorted(announcers):
        links += _data_path(situation, detail, node, tuple(addresses))
    return links


def _behind(situation: Situation, said: str) -> Cause:
    return cause(catalogue.BEHIND, said, system=situation.namespace)


# --- layer 2: the owner --------------------------------------------------------------------------


def owner_of(situation: Situation, item: Announcement) -> str:
    """Who owns an address now: by claim, or as the slices say."""
    standing = situation.standing.get(item.address)
    return standing.owner if standing else item.owner


def _owner(situation: Situation, service: Service, item: Announcement) -> Link:
    owner = owner_of(situation, item)
    names = {"node": owner, "system": situation.namespace, "address": str(item.address)}
    if found := _unable(situation, item, owner, names):
        return broken(Step.OWNER, found)
    held_back = any(
        node == owner and doubt.address == item.address and doubt.kind is DoubtKind.HELD
        for node, doubt in situation.doubts
    )
    if owner not in situation.answering.get(service.key, frozenset()) and not held_back:
        said = f"{owner} should answer for {item.address} and does not say that it does"
        return broken(Step.OWNER, cause(catalogue.NOT_CLAIMED, said, **names))
    said = f"{owner} answers for {item.address}, term {item.term}"
    if item.successors:
        said += f"; after it {', '.join(item.successors)}"
    moves = _moves(situation, item.address)
    if len(moves) >= OFTEN:
        often = f"{item.address} has moved {len(moves)} times in the last hour"
        return note(Step.OWNER, f"{said}; {often}", cause(catalogue.MOVES, often, moves, **names))
    return ok(Step.OWNER, said)


def _unable(
    situation: Situation, item: Announcement, owner: str, names: dict[str, str]
) -> Cause | None:
    """What keeps an owner from answering, as the cluster and its speaker say."""
    node = situation.cluster.nodes.get(owner)
    if node is None or not node.ready:
        what = "is not ready" if node else "is no node of the cluster"
        said = f"{owner} should answer for {item.address}, and {what}"
        return cause(catalogue.NOT_READY, said, **names)
    if no := no_speaker(situation, owner):
        said = f"{owner} should answer for {item.address}, and {no}"
        return cause(catalogue.NO_SPEAKER, said, **names)
    for finding in situation.findings.get(owner, ()):
        if finding.code == "noInterface" and _names(finding.message, item.address):
            said = f"{owner} should answer for {item.address}: {finding.message}"
            return cause(
                catalogue.OWNER_INTERFACE, said, interface_table(situation, owner), **names
            )
    return None


def no_speaker(situation: Situation, node: str) -> str:
    """That no speaker runs there, in words; empty: one does, or nobody can say."""
    pods = situation.speakers
    if pods is not None and not pods.get(node):
        return "its speaker's pod is not ready" if node in pods else "no speaker runs there"
    return "" if node in situation.cluster.speakers else "no speaker has reported from there"


def interface_table(situation: Situation, node: str) -> list[str]:
    """The interfaces of a node as its speaker reports them."""
    return [
        f"{item.name}: {'up' if item.up else 'down'}, {', '.join(item.subnets) or 'no address'}"
        for item in situation.interfaces.get(node, ())
    ] or ["it reports no interface"]


def _names(text: str, address: IPAddress) -> bool:
    return re.search(rf"(?<![\w.:]){re.escape(str(address))}(?![\w.:])", text) is not None


def _moves(situation: Situation, address: IPAddress) -> list[str]:
    """Its moves within the last hour, the latest first, with their reasons."""
    holding = situation.held.get(address)
    return [
        f"{tenure.since}: {tenure.node}, {tenure.why}"
        for tenure in (holding.owners[:-1] if holding else ())
        if tenure.since and seconds_between(tenure.since, situation.now) <= LATELY
    ]


# --- layer 2: the LAN ----------------------------------------------------------------------------


def _lan(situation: Situation, item: Announcement) -> list[Link]:
    owner, address = owner_of(situation, item), item.address
    names = {"address": str(address), "node": owner, "system": situation.namespace}
    links = [*_not_strict(situation, names)]
    doubts = [
        (node, doubt)
        for node, doubt in situation.doubts
        if doubt.address == address and _is_believed(situation, node)
    ]
    links += [_doubted(situation, node, doubt, names) for node, doubt in doubts]
    links += _resolved(situation, address, names)
    links += _unheard(situation, item, names)
    return links or [ok(Step.LAN, f"no node doubts that the LAN finds {address} at {owner}")]


def _is_believed(situation: Situation, node: str) -> bool:
    found = situation.cluster.nodes.get(node)
    return found is not None and found.ready


def _not_strict(situation: Situation, names: dict[str, str]) -> Iterator[Link]:
    loose = sorted(node for node, sights in situation.sights.items() if _answers_by_itself(sights))
    if loose:
        where = ", ".join(loose[:MOST]) + (", …" if len(loose) > MOST else "")
        said = f"kube-proxy is in IPVS mode without strict ARP on {where}"
        evidence = [f"{node}: kube-ipvs0 is there and arp_ignore is 0" for node in loose[:MOST]]
        yield broken(Step.LAN, cause(catalogue.NOT_STRICT, said, evidence, **names))


def _answers_by_itself(sights: NodeSights) -> bool:
    """Whether the kernel of a node answers ARP for what IPVS has put on kube-ipvs0."""
    if not sights.ipvs_addresses:
        return False
    plain = [link for link in sights.links if link.kind != "ipvs" and link.up]
    return any(link.arp_ignore == ASKED_ONLY for link in plain)


def _doubted(situation: Situation, node: str, doubt: Doubt, names: dict[str, str]) -> Link:
    said = f"{doubt.message} (as {node} sees it)"
    evidence = [f"answered by {mac} on {doubt.interface}" for mac in doubt.macs]
    evidence += _guards(situation, names["node"]) if doubt.kind is DoubtKind.UNSEEN else []
    found = cause(doubt.kind.reason, said, evidence, **names)
    if doubt.kind is DoubtKind.CONTESTED:
        return note(Step.LAN, said, found)
    return broken(Step.LAN, found)


def _guards(situation: Situation, node: str) -> list[str]:
    """What about a node's interfaces often keeps ARP from passing."""
    sights = situation.sights.get(node)
    odd = ("wireless", "bridge", "macvlan", "virtio", "tunnel")
    return [
        f"{link.name} of {node} is {'an' if link.kind[0] in 'aeiou' else 'a'} {link.kind} interface"
        for link in (sights.links if sights else ())
        if link.kind in odd and link.up
    ]


def _resolved(situation: Situation, address: IPAddress, names: dict[str, str]) -> Iterator[Link]:
    """What nodes saw that were asked to look for it on the LAN."""
    for node, sight in situation.looked(LookKind.RESOLVE, address):
        if sight.outcome in NOT_SEEN:
            yield unknown(Step.LAN, f"{node} could not ask the LAN: {sight.message}")
        elif sight.ok:
            yield _answered(situation, node, sight, names)
        else:
            said = f"{node} asked the LAN for {address} just now: {sight.message}"
            yield broken(Step.LAN, cause(catalogue.UNSEEN, said, **names))
    for node, sight in situation.looked(LookKind.LISTEN, address):
        yield ok(Step.LAN, f"{node} listened: {sight.message}")


def _answered(situation: Situation, node: str, sight: Sight, names: dict[str, str]) -> Link:
    """Who answered a node that asked: the owner, and nobody else, is as it should be."""
    macs = {mac: name for name in situation.interfaces for mac in _macs(situation, name)}
    said = f"{node} asked the LAN for {names['address']} just now:"
    others = [mac for mac in sight.macs if macs.get(mac) != names["node"]]
    strangers = [mac for mac in others if mac not in macs]
    who = ", ".join(f"{mac} ({macs.get(mac) or 'no node of this cluster'})" for mac in sight.macs)
    if not others:
        return ok(Step.LAN, f"{said} {who} answers")
    code = catalogue.CONFLICT if strangers else catalogue.OTHER_NODE
    evidence = [f"its owner is {names['node']}"]
    return broken(Step.LAN, cause(code, f"{said} {who} answer", evidence, **names))


def _macs(situation: Situation, node: str) -> set[str]:
    return {item.mac for item in situation.interfaces.get(node, ())}


def _unheard(situation: Situation, item: Announcement, names: dict[str, str]) -> Iterator[Link]:
    """Nodes that may own it and do not hear each other."""
    node_set = situation.told.node_sets.get(item.node_set)
    able = frozenset(node_set.nodes) if node_set else frozenset()
    missed = [
        f"{node} does not hear {other}"
        for node in sorted(able & situation.sights.keys())
        for other in situation.sights[node].unheard
        if other in able and _is_believed(situation, other) and not no_speaker(situation, other)
    ]
    missed += [
        f"{node}: {finding.message}"
        for node in sorted(able)
        for finding in situation.findings.get(node, ())
        if finding.code in ("unknownKey", "foreignBeacon")
    ]
    if missed:
        said = "; ".join(missed[:2]) + ("; …" if len(missed) > 2 else "")
        yield note(Step.LAN, said, cause(catalogue.SPLIT, said, missed[:MOST], **names))


# --- BGP -----------------------------------------------------------------------------------------


def routes_of(situation: Situation, service: Service, address: IPAddress) -> list[Route]:
    """The routes that lead to an address of a Service, as the slices say."""
    return [
        route
        for route in situation.told.routes
        if route.prefix.version == address.version
        and address in route.prefix
        and any(one.uid == service.uid for one in route.services)
    ]


def senders(situation: Situation, service: Service) -> set[str]:
    """The nodes that have sent a route to a Service."""
    return {node for node, peers in situation.sent.get(service.key, {}).items() if peers}


def _sessions(
    situation: Situation, service: Service, address: IPAddress, routes: list[Route]
) -> list[Link]:
    pairs = sorted(_pairs(situation, family_of(address), routes))
    sent = situation.sent.get(service.key, {})
    reached = [
        (peer, node)
        for peer, node in pairs
        if peer in sent.get(node, frozenset()) and not _silent(situation, node)
    ]
    lost = [pair for pair in pairs if pair not in reached]
    reasons = [(peer, node, _why_unsent(situation, peer, node)) for peer, node in lost]
    links = []
    if reached:
        peers: dict[str, list[str]] = {}
        for peer, node in reached:
            peers.setdefault(peer, []).append(node)
        said = "; ".join(f"to {peer} by {', '.join(found)}" for peer, found in peers.items())
        links.append(ok(Step.SESSIONS, f"{address} was sent {said}"))
    for peer, node, why in reasons[:MOST]:
        said = f"{node} with {peer}: {why.sentence}"
        found = Cause(why.code, said, why.evidence, why.edit, why.command, why.router)
        links.append(note(Step.SESSIONS, said, found) if reached else broken(Step.SESSIONS, found))
    if not pairs:
        links.append(_no_pairs(situation, address, routes))
    return links


def _no_pairs(situation: Situation, address: IPAddress, routes: list[Route]) -> Link:
    """Nobody could hear of it; where it is announced on layer 2, nobody may have asked for that."""
    named = sorted({name for route in routes for name in route.peers})
    there = sorted({plan.name for plan in situation.told.peers})
    said = f"no BGPPeer has a session with a node that announces {address}"
    evidence = [f"the advertisement is for {', '.join(named)}"] if named else []
    evidence.append(f"there are the BGPPeers {', '.join(there) or '(none)'}")
    code = WithheldReason.NO_PEERS.value
    found = cause(code, said, evidence, system=situation.namespace)
    on_lan = address in situation.told.announcements
    return note(Step.SESSIONS, said, found) if on_lan else broken(Step.SESSIONS, found)


def _pairs(situation: Situation, family: Family, routes: list[Route]) -> set[tuple[str, str]]:
    """The peers and nodes that should have a session which carries the routes."""
    found: set[tuple[str, str]] = set()
    sets = situation.told.node_sets
    for route in routes:
        if (announcing := sets.get(route.node_set)) is None:
            continue
        nodes = announcing.nodes.keys() - announcing.draining
        for plan in situation.told.peers:
            there = sets.get(plan.node_set)
            if there is None or family not in plan.families:
                continue
            if not route.peers or plan.name in route.peers:
                found |= {(plan.name, node) for node in nodes & there.nodes.keys()}
    return found


def _silent(situation: Situation, node: str) -> str:
    """Why what a node has said last may not be true any more; empty: it is to be believed."""
    if not _is_believed(situation, node):
        return "the node is not ready, or gone"
    return no_speaker(situation, node)


def _why_unsent(situation: Situation, peer: str, node: str) -> Cause:
    session = next((s for s in situation.sessions if (s.facts.peer, s.node) == (peer, node)), None)
    if why := _silent(situation, node):
        return silence(node, why)
    if session is None:
        known = any(plan.name == peer for plan in situation.told.peers)
        return explain_missing(node, no_speaker(situation, node)) if known else explain_absent(peer)
    return session_cause(session, situation.namespace)


def session_cause(session: NodeSession, system: str) -> Cause:
    """Why a session has not sent a route that it should send."""
    if session.doubt:
        return silence(session.node, session.doubt)
    if session.facts.state is not SessionState.ESTABLISHED or not session.facts.prefixes_sent:
        return explain_session(session.facts, session.node)
    number = session.facts.prefixes_sent
    said = f"the session is established and has sent {number} prefixes, this one not"
    return cause(catalogue.NOT_SENT, said, session.facts.warnings, system=system)


# --- the node's data path ------------------------------------------------------------------------


def _data_path(
    situation: Situation, detail: ServiceDetail, node: str, addresses: tuple[IPAddress, ...]
) -> list[Link]:
    names = {"node": node, "system": situation.namespace, "port": str(detail.tcp_port or 80)}
    links = list(_connected(situation, node, addresses, names))
    return links + inside(situation, node)


def inside(situation: Situation, node: str) -> list[Link]:
    """What a node does with packets that have reached it, as its speaker sees it."""
    names = {"node": node, "system": situation.namespace}
    sights = situation.sights.get(node)
    if sights is None:
        said = f"what {node} looks like inside is not known: its speaker does not report it"
        return [unknown(Step.DATAPATH, said)]
    links = [*_proxied(situation, node, sights, names), *_returns(situation, node, sights, names)]
    return links or [ok(Step.DATAPATH, _well(node, sights))]


def _well(node: str, sights: NodeSights) -> str:
    proxy = sights.kube_proxy
    mode = f" ({proxy.mode})" if proxy.mode else ""
    if proxy.healthy is None:
        return f"{node} forwards; kube-proxy is not asked: {proxy.message}"
    return f"{node} forwards, and its kube-proxy{mode} is well"


def _connected(
    situation: Situation, node: str, addresses: tuple[IPAddress, ...], names: dict[str, str]
) -> Iterator[Link]:
    """What a connection from the node to the address came to."""
    for address in addresses:
        for seen_by, sight in situation.looked(LookKind.CONNECT, address):
            if seen_by != node:
                continue
            if sight.outcome in NOT_SEEN:
                yield unknown(Step.DATAPATH, f"{node} did not connect: {sight.message}")
            elif sight.ok:
                yield ok(Step.DATAPATH, f"a connection from {node} to {address}: {sight.message}")
            else:
                said = f"a connection from {node} to {address}: {sight.message}"
                found = cause(catalogue.NOT_SERVED, said, **names, address=str(address))
                yield broken(Step.DATAPATH, found)


def _proxied(
    situation: Situation, node: str, sights: NodeSights, names: dict[str, str]
) -> Iterator[Link]:
    """What kube-proxy says; where it answers on no node at all, something else is in its place."""
    proxy = sights.kube_proxy
    elsewhere = any(other.kube_proxy.healthy for other in situation.sights.values())
    if proxy.healthy is False:
        said = f"kube-proxy on {node} is not healthy: {proxy.message}"
        yield broken(Step.DATAPATH, cause(catalogue.NO_PROXY, said, **names))
    elif proxy.healthy is None and elsewhere:
        said = f"kube-proxy does not answer on {node}, as it does on others: {proxy.message}"
        yield note(Step.DATAPATH, said, cause(catalogue.NO_PROXY, said, **names))
    if not sights.ip_forward:
        said = f"{node} forwards no packets: net.ipv4.ip_forward is 0"
        yield broken(Step.DATAPATH, cause(catalogue.NOT_FORWARDING, said, **names))


def _returns(
    situation: Situation, node: str, sights: NodeSights, names: dict[str, str]
) -> Iterator[Link]:
    """The way back to a client; else strict filters (rp_filter) where there are several ways."""
    strict = {link.name for link in sights.links if link.rp_filter == STRICT and link.up}
    if situation.client is not None:
        yield from _way_back(situation, node, strict, names)
        return
    here = situation.interfaces.get(node, ())
    ways = [item.name for item in here if item.up and item.subnets]
    if len(ways) < 2 or not strict & set(ways):
        return
    said = f"{node} has the interfaces {', '.join(ways)}, and rp_filter is strict on"
    said += f" {', '.join(name for name in ways if name in strict)}: a client that is reached by"
    said += " another one than its packets come in by is not served (--client IP looks)"
    yield note(Step.DATAPATH, said, cause(catalogue.STRICT_RETURN, said, **names))


def _way_back(
    situation: Situation, node: str, strict: set[str], names: dict[str, str]
) -> Iterator[Link]:
    """Whether the way back to one client is the way that it comes by."""
    comes_by = {item.name for item in _around(situation, node)}
    client = situation.client
    assert client is not None
    for seen_by, sight in situation.looked(LookKind.ROUTE, client):
        if seen_by != node:
            continue
        said = f"{node} and the client {client}: {sight.message}"
        if not sight.ok:
            yield unknown(Step.DATAPATH, said)
        elif not comes_by or sight.interface in comes_by or not comes_by & strict:
            yield ok(Step.DATAPATH, said)
        else:
            said = f"{node} reaches {client} by {sight.interface}, its packets come in by"
            said += f" {', '.join(sorted(comes_by))}, and rp_filter is strict"
            yield broken(Step.DATAPATH, cause(catalogue.STRICT_RETURN, said, **names))


def _around(situation: Situation, node: str) -> list[ReportedInterface]:
    """The interfaces of a node that are in the subnet of an address that it announces."""
    announced = [item.address for item in situation.told.announcements.values()]
    return [
        item
        for item in situation.interfaces.get(node, ())
        for text in item.subnets
        if any(address in ipaddress.ip_interface(text).network for address in announced)
    ]
