"""What speakers doubt: in their reports, and as conditions on Services."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from bellmetal import kube, resources
from bellmetal import speaker_metrics as metrics
from bellmetal.addresses import parse_address
from bellmetal.allocation import Allocations
from bellmetal.cluster import Condition
from bellmetal.facts import Doubt, DoubtKind, Facts, Proved
from bellmetal.intents import ServiceId
from bellmetal.reports import MOST_DOUBTS, Identity, Reports
from bellmetal.sightings import conditions
from builders import allocation, announcement, cluster, node, report_object, service

IP = parse_address("192.0.2.10")
WEB = ServiceId("shop", "web", "uid-1")
HELD = Doubt(IP, DoubtKind.HELD, "eth0", "n1", ("02:00:00:00:00:09",))
UNSEEN = Doubt(IP, DoubtKind.UNSEEN, "eth0", "n1")
SENTENCES = {
    DoubtKind.HELD: "192.0.2.10 is held by 02:00:00:00:00:09 on eth0, which is no node of this"
    " cluster: not announcing it",
    DoubtKind.CONTESTED: "192.0.2.10 is claimed by 02:00:00:00:00:09 on eth0, which is no node of"
    " this cluster: n1 goes on announcing it",
    DoubtKind.FOREIGN: "192.0.2.10 is answered for by 02:00:00:00:00:09 on eth0, which is no node"
    " of this cluster; its owner is n1",
    DoubtKind.OTHER_NODE: "192.0.2.10 is answered for by 02:00:00:00:00:09 on eth0, a node that"
    " does not own it; its owner is n1",
    DoubtKind.UNSEEN: "192.0.2.10 is announced by n1, but asked for on eth0 nobody answers",
}


@pytest.mark.parametrize("kind", DoubtKind)
def test_each_doubt_is_a_sentence(kind: DoubtKind) -> None:
    assert Doubt(IP, kind, "eth0", "n1", HELD.macs).message == SENTENCES[kind]


# --- the controller -------------------------------------------------------------------------------


def report(name: str, *doubts: Doubt) -> resources.SpeakerReport:
    found = report_object(name)
    told = [
        resources.ReportedDoubt(str(d.address), d.kind.value, d.interface, d.owner, list(d.macs))
        for d in doubts
    ]
    return msgspec.structs.replace(found, status=msgspec.structs.replace(found.status, doubts=told))


def shown(*reports: resources.SpeakerReport, ready: bool = True) -> Iterable[Condition]:
    nodes = [node("n1", ready=ready), node("n2", ready=ready)]
    granted = Allocations({"shop/web": allocation("shop/web", "192.0.2.10")})
    return conditions(reports, cluster(service(), nodes=nodes), granted).values()


def test_a_service_of_an_address_in_doubt_has_a_condition() -> None:
    message = f"{UNSEEN.message} (as n2 sees it)"
    expected = Condition(kube.SEEN, "False", "AddressNotSeen", message)
    assert list(shown(report("n2", UNSEEN))) == [expected]


def test_of_several_doubts_the_worst_is_told() -> None:
    (condition,) = shown(report("n2", UNSEEN), report("n1", HELD))
    assert condition.reason == "AddressConflict"
    assert condition.message == f"{HELD.message} (as n1 sees it)"


def test_without_doubt_there_is_none() -> None:
    assert list(shown(report("n1"), report("n2"))) == []


def test_what_a_node_said_that_is_gone_counts_for_nothing() -> None:
    assert list(shown(report("n9", HELD))) == []
    assert list(shown(report("n1", HELD), ready=False)) == []


def test_what_cannot_be_read_is_left_out() -> None:
    odd = resources.ReportedDoubt("nonsense", "unseen"), resources.ReportedDoubt("192.0.2.10", "?")
    found = report_object("n2")
    status = msgspec.structs.replace(found.status, doubts=list(odd))
    assert list(shown(msgspec.structs.replace(found, status=status))) == []


# --- the speaker ----------------------------------------------------------------------------------


class Story:
    """A speaker's reports; what it would write."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.reports = Reports(
            None,  # type: ignore[arg-type]  # nothing is written here
            "metallb-system",
            Identity("n1", 1, "10.0.0.1"),
            self,  # type: ignore[arg-type]
        )

    def record(self, about: object, reason: str, message: str, **_: object) -> None:
        self.events.append((reason, message))

    def doubt(self, *doubts: Doubt) -> dict[str, object]:
        facts = Facts(doubts=doubts, proved=Proved(3, 2))
        self.reports._tell_doubts(doubts, {IP: announcement(services=(WEB,))})
        return self.reports._report(facts)


@pytest.fixture(autouse=True)
def _clean() -> Iterable[None]:
    yield
    metrics.FOREIGN_HOLDERS.clear()
    metrics.NOT_SEEN.clear()


def test_a_new_doubt_is_an_event_once_and_stays_in_the_report_as_it_was() -> None:
    story = Story()
    first = story.doubt(HELD)
    assert story.events == [("AddressConflict", HELD.message)]
    assert story.doubt(HELD) == first
    assert len(story.events) == 1
    assert first["proved"] == {"asked": 3, "seen": 2}
    assert {"code": "foreignHolder", "message": HELD.message} in first["findings"]  # type: ignore[operator]


def test_one_that_is_gone_is_gone_and_comes_back_as_news() -> None:
    story = Story()
    story.doubt(UNSEEN)
    assert metrics.NOT_SEEN.collect()[0].samples[0].value == 1
    assert story.doubt()["doubts"] == []
    assert metrics.NOT_SEEN.collect()[0].samples == []
    story.doubt(UNSEEN)
    assert story.events == [("AddressNotSeen", UNSEEN.message)] * 2


def test_a_report_names_a_hundred_at_most() -> None:
    story = Story()
    many = [Doubt(IP + n, DoubtKind.UNSEEN, "eth0", "n1") for n in range(MOST_DOUBTS + 20)]
    found = story.doubt(*many)
    assert len(found["doubts"]) == MOST_DOUBTS  # type: ignore[arg-type]
    assert len(found["findings"]) == MOST_DOUBTS  # type: ignore[arg-type]
