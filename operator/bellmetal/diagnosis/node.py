"""A node: whether it may announce, whether its speaker does, and what it announces."""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal.cluster import Node
from bellmetal.diagnosis import announced, catalogue
from bellmetal.diagnosis.catalogue import cause
from bellmetal.diagnosis.chain import Explanation, Link, Step, broken, note, ok
from bellmetal.diagnosis.situation import Situation
from bellmetal.explanation import explain_session, is_well
from bellmetal.intents import WithheldReason

MOST = 10  # of anything that is listed


def explain_node(situation: Situation, name: str) -> Explanation:
    """Everything about a node that exists."""
    node = situation.cluster.nodes[name]
    links = [*_eligible(situation, node), *_speaker(situation, name)]
    links += [*_interfaces(situation, name), *_owned(situation, name)]
    links += [*_doubted(situation, name), *_sessions(situation, name)]
    links += announced.inside(situation, name)
    return Explanation("Node", name, tuple(links))


def _eligible(situation: Situation, node: Node) -> Iterable[Link]:
    names = {"node": node.name, "system": situation.namespace}
    if not node.ready:
        said = "the node is not ready"
        yield broken(Step.NODES, cause(catalogue.NOT_READY, said, **names))
    if node.network_unavailable:
        said = "the node has the condition NetworkUnavailable"
        yield broken(Step.NODES, cause(WithheldReason.NO_NETWORK.value, said, **names))
    if node.excluded and not situation.cluster.ignore_exclude_label:
        said = f"the node has the label {Node.EXCLUDED}: it announces nothing"
        found = cause(catalogue.NODE_EXCLUDED, said, **names)
        yield note(Step.NODES, said, found)
    if node.draining:
        yield note(Step.NODES, f"it is draining: {node.draining}")
    for problem in situation.problems:
        if (problem.kind, problem.name) == ("Node", node.name):
            found = cause(catalogue.INVALID, str(problem), **names, object=f"Node/{node.name}")
            yield note(Step.NODES, str(problem), found)
    if node.ready and not node.network_unavailable:
        yield ok(Step.NODES, f"ready, with network, address {node.address or 'unknown'}")


def _speaker(situation: Situation, name: str) -> Iterable[Link]:
    names = {"node": name, "system": situation.namespace}
    if no := announced.no_speaker(situation, name):
        yield broken(Step.SPEAKER, cause(catalogue.NO_SPEAKER, no, **names))
    else:
        yield ok(Step.SPEAKER, "its speaker has reported")
    for finding in situation.findings.get(name, ()):
        yield note(Step.SPEAKER, f"{finding.code}: {finding.message}")


def _interfaces(situation: Situation, name: str) -> Iterable[Link]:
    sights = situation.sights.get(name)
    kinds = {link.name: link.kind for link in sights.links} if sights else {}
    for item in situation.interfaces.get(name, ()):
        kind = f", {kinds[item.name]}" if kinds.get(item.name) else ""
        said = f"{item.name}{kind}: {'up' if item.up else 'down'},"
        said += f" {', '.join(item.subnets) or 'no address'}"
        yield ok(Step.INTERFACES, said) if item.up else note(Step.INTERFACES, said)


def _owned(situation: Situation, name: str) -> Iterable[Link]:
    mine = [
        f"{item.address} ({', '.join(service.key for service in item.services)})"
        for item in situation.told.announcements.values()
        if announced.owner_of(situation, item) == name
    ]
    if mine:
        number = f"{len(mine)} address{'es' if len(mine) > 1 else ''}"
        more = " …" if len(mine) > MOST else ""
        yield ok(Step.OWNER, f"it owns {number}: {', '.join(mine[:MOST])}{more}")
    else:
        yield ok(Step.OWNER, "it owns no address on layer 2")


def _doubted(situation: Situation, name: str) -> Iterable[Link]:
    for node, doubt in situation.doubts:
        if node == name:
            found = cause(doubt.kind.reason, doubt.message, node=name, address=str(doubt.address))
            yield note(Step.LAN, doubt.message, found)


def _sessions(situation: Situation, name: str) -> Iterable[Link]:
    for session in situation.sessions:
        if session.node != name:
            continue
        found = announced.session_cause(session, situation.namespace)
        peer, facts = session.facts.peer, session.facts
        if not session.doubt and is_well(facts):
            said = explain_session(facts, name).sentence
            yield ok(Step.SESSIONS, f"{peer}: {facts.state.value}; {said}")
        else:
            yield note(Step.SESSIONS, f"{peer}: {found.sentence}", found)
