"""What chaos judges by: pure functions over made-up recordings, each of which breaks a rule."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from typing import Any

import pytest

from chaos import report
from chaos.agreement import Seen, lacking
from chaos.bounds import BOUNDS, TOGETHER
from chaos.door import Mood
from chaos.invariants import contested, judge, outages
from chaos.plan import BURST, BY_NAME, QUIET, Place, Step, collide, rounds
from chaos.playing import PLAYS
from chaos.recorder import given, stills, writes
from chaos.recording import (
    BGP,
    V4,
    V6,
    Calm,
    Client,
    Given,
    Played,
    Recording,
    Still,
    Verdict,
    Write,
)
from chaos.run import main, planned
from lab.capture import Word
from lab.prober import Attempt

ADDRESS = "192.0.2.1"
CLIENT = "c1 to 192.0.2.1"


def attempts(*dark: tuple[float, float], until: float = 60.0) -> list[Attempt]:
    """One every 50 ms; those that begin in a dark time fail."""
    times = [number / 20 for number in range(round(until * 20))]
    return [Attempt(at, not any(a <= at < b for a, b in dark), 0.001) for at in times]


def words(text: str) -> list[Word]:
    """``a1 b2.5``: who said at which second that the address is its own."""
    return [Word(float(part[1:]), part[0]) for part in text.split()]


def client(*dark: tuple[float, float], way: str = V4) -> Client:
    return Client(CLIENT, way, attempts(*dark))


def broken(**seen: Any) -> dict[str, list[str]]:
    """What was broken in a recording, by invariant."""
    recording = Recording(began=0.0, ended=60.0, **seen)
    return {v.name: [x.seen for x in v.violations] for v in judge(recording) if v.violations}


# --- the plan -------------------------------------------------------------------------------------


def test_one_seed_is_one_plan() -> None:
    assert planned(7, 5) == planned(7, 5)
    assert planned(7, 5) != planned(8, 5)


def test_a_plan_is_printed_alike_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--plan", "--seed", "7", "--minutes", "3", "--only", "node-killed,api-gone"]
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert main(arguments) == 0
    assert capsys.readouterr().out == first
    assert first.startswith("plan of seed 7:\n")
    assert {line.split()[2] for line in first.splitlines()[1:]} == {"node-killed", "api-gone"}


def test_an_unknown_fault_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--plan", "--only", "node-killed,flood"])
    assert "no fault flood: there are speaker-killed" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(40))
def test_every_plan_keeps_the_rules(seed: int) -> None:
    plan = planned(seed, 5)
    assert len(plan) == 5
    for each in plan:
        assert each.steps
        assert each.quiet - each.begins == BURST
        assert each.ends - each.quiet == QUIET
        for step in each.steps:
            assert each.begins < step.at
            assert step.end <= each.quiet
        assert not any(collide(*pair) for pair in itertools.combinations(each.steps, 2))


def test_all_kinds_are_played_in_time() -> None:
    played = {step.fault for each in planned(1, 30) for step in each.steps}
    assert played == set(BY_NAME)


def test_faults_overlap() -> None:
    steps = [step for each in planned(1, 30) for step in each.steps]
    pairs = itertools.combinations(steps, 2)
    assert sum(one.at < other.end and other.at < one.end for one, other in pairs) >= 10


def test_only_some_kinds_are_played_where_some_are_wanted() -> None:
    played = {step.fault for each in planned(1, 5, ["loss", "secret"]) for step in each.steps}
    assert played == {"loss", "secret"}


@pytest.mark.parametrize(
    ("one", "other", "forbidden"),
    [
        (Step(5, "node-killed", "n1", 3), Step(7, "link-cut", "n2", 3), True),
        (Step(5, "node-killed", "n1", 3), Step(9, "link-cut", "n2", 3), True),  # not back yet
        (Step(5, "node-killed", "n1", 3), Step(15, "link-cut", "n2", 3), False),
        (Step(5, "node-killed", "n1", 3), Step(5, "api-gone", "-", 3), False),
        (Step(5, "upgrade", "-", 12), Step(9, "controller-killed", "controller-1", 3), True),
        (Step(5, "disk-full", "n1", 3), Step(5, "clock-ahead", "n1", 3), False),
    ],
)
def test_what_may_overlap(one: Step, other: Step, forbidden: bool) -> None:
    assert collide(one, other) is collide(other, one) is forbidden


def test_every_kind_has_a_bound_and_is_played() -> None:
    assert set(BOUNDS) == set(PLAYS) == set(BY_NAME)
    assert {kind.place for kind in BY_NAME.values()} == set(Place)


def test_the_plan_is_of_these_nodes_alone() -> None:
    plan = rounds(random.Random(3), 600, ["n1"], ["c1"])
    assert {s.target for each in plan for s in each.steps} <= {"n1", "c1", "owner", "-"}


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "twice", "moved"),
    [
        ([], [], []),
        ([Given(1, "a", (ADDRESS,)), Given(2, "a", (ADDRESS,))], [], []),
        (
            [Given(1, "a", (ADDRESS,)), Given(2, "b", (ADDRESS,))],
            [f"{ADDRESS} was given to b while a had it"],
            [],
        ),
        # it was free again
        ([Given(1, "a", (ADDRESS,)), Given(2, "a", gone=True), Given(3, "b", (ADDRESS,))], [], []),
        (
            [Given(1, "a", (ADDRESS,)), Given(2, "a", ("192.0.2.2",))],
            [],
            [f"a lost {ADDRESS} and has 192.0.2.2"],
        ),
        ([Given(1, "a", (ADDRESS,)), Given(2, "a")], [], [f"a lost {ADDRESS} and has nothing"]),
        ([Given(1, "a", (ADDRESS,)), Given(2, "a", (ADDRESS, "2001:db8::1"))], [], []),
    ],
)
def test_addresses(history: list[Given], twice: list[str], moved: list[str]) -> None:
    found = broken(given=history)
    assert found.get("no address given twice", []) == twice
    assert found.get("no address moved", []) == moved


# --- one owner ------------------------------------------------------------------------------------


def test_two_in_one_step_are_contested() -> None:
    assert contested(words("a1 b1.02 a1.2 b1.3")) == [1.0]


def both(since: float, seconds: float) -> list[Word]:
    times = [since + n / 20 for n in range(round(seconds * 20))]
    return [Word(at + shift, mac) for at in times for mac, shift in (("a", 0), ("b", 0.01))]


@pytest.mark.parametrize(
    ("faults", "said", "count"),
    [
        ([], both(10, 0.8), 0),
        ([], both(10, 1.5), 1),
        ([Played("partition", "n1", 9, 14)], both(10, 3), 0),  # one on each side
        ([Played("partition", "n1", 9, 14)], both(14.05, 1.5), 1),  # they hear each other again
        ([Played("api-gone", "-", 9, 14)], both(10, 3), 1),
    ],
)
def test_one_owner(faults: list[Played], said: list[Word], count: int) -> None:
    found = broken(faults=faults, words={ADDRESS: said}).get("one owner", [])
    assert len(found) == count


def test_a_machine_that_stood_still_is_forgiven_that() -> None:
    said = both(10, TOGETHER + 0.5)
    assert broken(words={ADDRESS: said})
    assert not broken(words={ADDRESS: said}, stills=[Still(11, 0.6)])


# --- clients --------------------------------------------------------------------------------------


def test_failures_that_follow_each_other_are_one_outage() -> None:
    found = list(outages(attempts((1, 1.2), (1.3, 1.5), (3, 3.1), until=5)))
    assert [(round(a, 2), round(b, 2)) for a, b in found] == [(1, 1.5), (3, 3.1)]


def test_an_outage_that_does_not_end_is_one() -> None:
    assert list(outages(attempts((4, 9), until=5))) == [(4, 4.95)]


@pytest.mark.parametrize(
    ("faults", "who", "allowed"),
    [
        ([], client((10, 10.15)), True),
        ([], client((10, 10.5)), False),
        ([Played("node-killed", "n1", 9.95, 14)], client((10, 10.5)), True),
        ([Played("node-killed", "n1", 9.95, 14)], client((10, 11.0)), False),
        ([Played("node-killed", "n1", 9.95, 14)], client((10, 11.0), way=V6), True),
        ([Played("node-killed", "n1", 9.95, 14)], client((10, 11.5), way=V6), False),
        ([Played("node-killed", "n1", 9.95, 14)], client((14.1, 14.6)), False),  # it is back
        ([Played("node-killed", "n1", 2, 4)], client((10, 10.5)), False),  # long ago
        ([Played("api-gone", "-", 9.95, 14)], client((10, 10.5), way=BGP), False),
        ([Played("unheard", "n1", 5, 14)], client((10, 10.5)), True),  # two answer meanwhile
        ([Played("unheard", "n1", 5, 14)], client((10, 11)), False),
        ([Played("no-lan", "n1", 5, 14)], client((10, 13)), True),
        ([Played("no-lan", "n1", 5, 14)], client((10, 15)), False),
        ([Played("loss", "n1", 9.95, 14)], client((10, 13.9)), True),
        ([Played("loss", "n1", 9.95, 14)], client((10, 15.5)), False),
        (
            [Played("node-killed", "n1", 9.95, 14), Played("speaker-killed", "n2", 10.4, 14)],
            client((10, 11.2)),
            True,
        ),
    ],
)
def test_outages(faults: list[Played], who: Client, allowed: bool) -> None:
    found = broken(faults=faults, clients=[who])
    assert list(found) == ([] if allowed else ["outages within bounds"])


def test_what_the_machine_stood_still_is_no_outage() -> None:
    assert broken(clients=[client((10, 10.7))])
    assert not broken(clients=[client((10, 10.7))], stills=[Still(10.6, 0.6)])


# --- quiet times ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calm", "seen"),
    [
        (Calm(10, 11, 40), []),
        (Calm(10, None, 40, ("n1 has no session with the router",)), ["n1 has no session"]),
        (Calm(10, 30, 45), ["only after 20.0 s"]),
    ],
)
def test_convergence(calm: Calm, seen: list[str]) -> None:
    found = broken(calms=[calm]).get("all converges", [])
    assert [text[: len(wanted)] for text, wanted in zip(found, seen, strict=True)] == seen


def test_at_rest_nothing_but_the_lease_is_written() -> None:
    calm = Calm(10, 11, 40, rest=20)
    lease = Write(25, "bellmetal-controller", "update", "leases/bellmetal-controller/")
    early = Write(15, "bellmetal-speaker", "patch", "speakerreports/n1/status")
    late = replace(early, at=25)
    assert not broken(calms=[calm], writes=[lease, early])
    assert broken(calms=[calm], writes=[lease, early, late]) == {
        "at rest nothing is written": ["bellmetal-speaker: patch speakerreports/n1/status"]
    }


WELL = Seen(
    nodes=frozenset({"n1", "n2"}),
    asked={"web": 1, "routed": 1},
    shown={"web": (ADDRESS,), "routed": ("198.51.100.0",)},
    held={ADDRESS: "web", "198.51.100.0": "routed"},
    on_lan=frozenset({"web"}),
    owners={ADDRESS: "n1"},
    told={"web": {"n1"}},
    answering={ADDRESS: {"n1"}},
    by_bgp=frozenset({"routed"}),
    sessions=frozenset({"n1", "n2"}),
    reported=frozenset({"n1", "n2"}),
    hops={"198.51.100.0": {"n1", "n2"}},
    leader="controller-1",
    leaders=frozenset({"controller-1"}),
)


def test_all_is_well() -> None:
    assert lacking(WELL) == ()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"asked": {**WELL.asked, "new": 2}}, "new shows 0 addresses of 2"),
        ({"held": {ADDRESS: "web"}}, "198.51.100.0: shown by routed, held by nobody in the ledger"),
        ({"held": {**WELL.held, ADDRESS: "old"}}, f"{ADDRESS}: shown by web, held by old"),
        ({"owners": {}}, f"no slice names an owner of {ADDRESS}"),
        ({"answering": {ADDRESS: set()}}, f"{ADDRESS}: n1 by its slice, nobody answers"),
        ({"answering": {ADDRESS: {"n1", "n2"}}}, f"{ADDRESS}: n1 by its slice, n1, n2 answers"),
        ({"told": {"web": {"n2"}}}, "web: statuses name n2, slices n1"),
        ({"sessions": frozenset({"n1"})}, "n2 has no session with the router"),
        ({"reported": frozenset({"n1"})}, "n2 does not report its session as Established"),
        ({"hops": {"198.51.100.0": {"n1"}}}, "198.51.100.0: the router sends it to n1"),
        ({"leader": "a-stranger"}, "a-stranger leads"),
        ({"broken": (CLIENT,)}, f"{CLIENT} is not served"),
    ],
)
def test_what_is_lacking_is_said(changed: dict[str, Any], sentence: str) -> None:
    assert sentence in lacking(replace(WELL, **changed))


# --- the door before the API ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mood", "method", "answered"),
    [
        (Mood(), "GET", {0}),
        (Mood(delay=0.5), "PATCH", {0}),
        (Mood(status=429, share=0.5), "GET", {0, 429}),
        (Mood(status=409, share=0.5, writes=True), "GET", {0}),
        (Mood(status=409, share=0.5, writes=True), "PATCH", {0, 409}),
        (Mood(status=500, share=1.0), "GET", {500}),
        (Mood(status=500, share=1.0, only="/apis"), "GET", {500}),
        (Mood(status=500, share=1.0, only="/api"), "GET", {0}),
    ],
)
def test_what_the_door_answers_itself(mood: Mood, method: str, answered: set[int]) -> None:
    dice = random.Random(1)
    assert {mood.answers(method, "/apis", dice) for _ in range(100)} == answered


# --- where it comes from, and what is made of it --------------------------------------------------


def event(verb: str, resource: str, body: Any = None, code: int = 200) -> dict[str, Any]:
    return {
        "verb": verb,
        "user": {"username": "system:serviceaccount:metallb-system:bellmetal-controller"},
        "objectRef": {"resource": resource, "name": "web"},
        "requestObject": body,
        "responseStatus": {"code": code},
        "stageTimestamp": "1970-01-01T00:01:40.500000Z",
    }


def test_what_was_given_is_read_from_the_audit_log() -> None:
    status = {"status": {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}}
    events = [
        event("patch", "services", status),
        event("patch", "services", status, code=409),
        event("patch", "services", {"status": {"conditions": []}}),
        event("patch", "services", {"status": {"loadBalancer": None}}),
        event("delete", "services"),
        event("patch", "leases", status),
    ]
    assert list(given(events, 100.0)) == [
        Given(0.5, "web", (ADDRESS,)),
        Given(0.5, "web"),
        Given(0.5, "web", gone=True),
    ]


def test_what_we_wrote_is_read_from_the_audit_log() -> None:
    stranger = {**event("patch", "services"), "user": {"username": "admin"}}
    events = [event("get", "services"), event("update", "leases"), stranger]
    assert list(writes(events, 100.0)) == [
        Write(0.5, "bellmetal-controller", "update", "leases/web/")
    ]


def test_the_bystander_is_understood() -> None:
    assert list(stills("1.500 0.100\n3.000 0.700\n")) == [Still(1.5, 0.1), Still(3.0, 0.7)]


def test_a_report_tells_what_was_broken_and_what_was_in_force() -> None:
    recording = Recording(
        began=100.0,
        ended=160.0,
        faults=[Played("api-gone", "-", 109, 114)],
        given=[Given(105, "a", (ADDRESS,)), Given(110, "b", (ADDRESS,))],
        clients=[Client(CLIENT, V4, attempts(until=2))],
        calms=[Calm(120, 121, 150, rest=131)],
    )
    verdicts = judge(recording)
    text = report.as_text(7, recording, verdicts)
    assert "seed 7, 60 s" in text
    assert f"at 10.0 s: {ADDRESS} was given to b while a had it\n  in force: api-gone" in text
    found = json.loads(report.dump([report.as_json(7, recording, verdicts)]))[0]
    assert found["held"] is False
    assert found["faults"] == [{"fault": "api-gone", "target": "-", "began": 9.0, "lasted": 5.0}]
    assert "| 7 | 1 | no address given twice: 1 |" in report.summary([found])


def test_what_was_never_looked_at_has_not_held() -> None:
    assert not report.held([Verdict("one owner", 0)])
    assert report.held([Verdict("one owner", 1)])
