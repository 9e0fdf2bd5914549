"""A BGPPeer: whether it is valid, which nodes have a session with it, and how each is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bellmetal.diagnosis import announced, catalogue
from bellmetal.diagnosis.catalogue import cause
from bellmetal.diagnosis.chain import Explanation, Link, Step, broken, note, ok
from bellmetal.diagnosis.situation import Situation
from bellmetal.explanation import Cause, explain_absent, explain_missing, explain_session, is_well

MOST = 10  # of anything that is listed


def explain_peer(situation: Situation, name: str) -> Explanation:
    """Everything about a BGPPeer that exists."""
    links = [*_validity(situation, name), *_sessions(situation, name), *_routes(situation, name)]
    return Explanation("BGPPeer", name, tuple(links))


def _validity(situation: Situation, name: str) -> Iterable[Link]:
    problems = [p for p in situation.problems if (p.kind, p.name) == ("BGPPeer", name)]
    names = {"system": situation.namespace, "object": f"BGPPeer/{name}"}
    for problem in problems:
        said = f"{problem.path}: {problem.message}"
        yield broken(Step.CONFIGURATION, cause(catalogue.INVALID, said, **names))
    nodes = _nodes(situation, name)
    if not nodes:
        yield broken(Step.NODES, explain_absent(name))
    elif not problems:
        yield ok(Step.CONFIGURATION, "it is valid")
        yield ok(Step.NODES, f"sessions from {', '.join(nodes[:MOST])}{' …' * (len(nodes) > MOST)}")


def _nodes(situation: Situation, name: str) -> list[str]:
    """The nodes that should have a session with it, as the slices say."""
    sets = situation.told.node_sets
    found: set[str] = set()
    for plan in situation.told.peers:
        if plan.name == name and plan.node_set in sets:
            found |= sets[plan.node_set].nodes.keys()
    return sorted(found)


def _sessions(situation: Situation, name: str) -> Iterable[Link]:
    known = {session.node: session for session in situation.sessions if session.facts.peer == name}
    for node in sorted({*_nodes(situation, name), *known}):
        session = known.get(node)
        if session is None:
            found = explain_missing(node, announced.no_speaker(situation, node))
            yield broken(Step.SESSIONS, _of(node, found))
        elif not session.doubt and is_well(session.facts):
            said = explain_session(session.facts, node).sentence
            yield ok(Step.SESSIONS, f"{node}: {session.facts.state.value}; {said}")
        else:
            found = announced.session_cause(session, situation.namespace)
            found = _of(node, found)
            established = session.facts.state.value == "Established" and not session.doubt
            yield (
                note(Step.SESSIONS, found.sentence, found)
                if established
                else broken(Step.SESSIONS, found)
            )


def _of(node: str, found: Cause) -> Cause:
    """A node's: said with its name."""
    return replace(found, sentence=f"{node}: {found.sentence}")


def _routes(situation: Situation, name: str) -> Iterable[Link]:
    prefixes = {
        str(route.prefix)
        for route in situation.told.routes
        if not route.peers or name in route.peers
    }
    if prefixes:
        number = "1 prefix is" if len(prefixes) == 1 else f"{len(prefixes)} prefixes are"
        yield ok(Step.ADVERTISEMENT, f"{number} for it")
    else:
        yield note(Step.ADVERTISEMENT, "no route is for it: no BGPAdvertisement selects a Service")
