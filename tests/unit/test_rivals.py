"""Somebody else writes the addresses of a Service: we put them back, then wait, then stop."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from bellmetal import resources
from bellmetal.allocation import Allocations
from bellmetal.rivals import BACK_OFF, OFTEN, TRIES, WINDOW, Rivals, rival_of
from bellmetal.writer import service_patches
from builders import allocation, service

THEIRS = "10.9.9.9"
GRANTED = Allocations({"shop/web": allocation("shop/web", "192.0.2.1")})


class Story:
    """One Service that should show 192.0.2.1, and its clock."""

    def __init__(self) -> None:
        self.rivals, self.now = Rivals(), 100.0
        self.put_back("")

    def put_back(self, shown: str, allocations: Allocations = GRANTED) -> bool:
        """A pass that finds this in the status; whether it writes."""
        noun = service(shown=shown or (), shown_pool="main" if shown else "")
        patches = service_patches({"shop/web": noun}, allocations)
        left = self.rivals.leave_out(patches, self.now)
        for patch in left:
            self.rivals.wrote(patch)
        return bool(left)

    def messages(self, shown: str) -> list[str]:
        nouns = {"shop/web": service(shown=shown, shown_pool="main")}
        return [c.message for c in self.rivals.conditions(nouns, GRANTED, self.now).values()]

    def quarrel(self) -> None:
        """Until a rival is found."""
        while self.put_back(THEIRS):
            self.now += 1.0


def test_what_somebody_writes_once_is_put_right() -> None:
    story = Story()
    assert story.put_back(THEIRS)
    story.now += WINDOW + 1
    assert story.put_back(THEIRS)
    assert story.rivals.unnamed() == []


def test_who_writes_often_is_a_rival_and_is_named() -> None:
    story = Story()
    assert [story.put_back(THEIRS) for _ in range(OFTEN)] == [True] * (OFTEN - 1) + [False]
    assert story.rivals.unnamed() == ["shop/web"]
    story.rivals.name("shop/web", "k3s")
    assert story.rivals.unnamed() == []
    assert story.messages(THEIRS) == [
        'field manager "k3s" writes 10.9.9.9 into status.loadBalancer again and again:'
        " switch it off, or tell the Services apart by spec.loadBalancerClass"
    ]


def test_a_rival_is_left_alone_for_longer_each_time_and_then_for_ever() -> None:
    story = Story()
    story.quarrel()
    tries = []
    for _ in range(10_000):
        if story.put_back(THEIRS):
            tries.append(story.now)
        story.now += 1.0
    assert len(tries) == TRIES
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses == [BACK_OFF * 2**n for n in range(1, TRIES)]
    assert story.rivals.next_try(story.now) is None


def test_the_next_try_is_known() -> None:
    story = Story()
    assert story.rivals.next_try(story.now) is None
    story.quarrel()
    assert story.rivals.next_try(story.now) == BACK_OFF


def test_another_address_is_written_at_once() -> None:
    story = Story()
    story.quarrel()
    assert not story.put_back(THEIRS)
    assert story.put_back(THEIRS, Allocations({"shop/web": allocation("shop/web", "192.0.2.2")}))


def test_when_the_rival_has_gone_it_is_forgotten() -> None:
    story = Story()
    story.quarrel()
    story.rivals.name("shop/web", "k3s")
    story.now += BACK_OFF
    assert story.put_back(THEIRS)
    assert story.messages("192.0.2.1") != []
    story.now += WINDOW + 1
    assert story.messages("192.0.2.1") == []
    assert story.put_back(THEIRS)


def test_a_service_that_is_gone_is_forgotten() -> None:
    story = Story()
    story.quarrel()
    assert story.rivals.conditions({}, Allocations(), story.now) == {}
    assert story.rivals.next_try(story.now) is None


@pytest.mark.parametrize(
    ("managed", "name"),
    [
        pytest.param([], "unknown", id="nobody"),
        pytest.param([("k3s", "1", "loadBalancer")], "k3s", id="one"),
        pytest.param(
            [("old", "1", "loadBalancer"), ("new", "2", "loadBalancer")], "new", id="the latest"
        ),
        pytest.param([("kubectl", "3", "other"), ("k3s", "1", "loadBalancer")], "k3s", id="of it"),
        pytest.param([("bellmetal", "3", "loadBalancer")], "unknown", id="never ourselves"),
    ],
)
def test_the_name_of_a_rival(managed: list[tuple[str, str, str]], name: str) -> None:
    entries = [
        resources.ManagedFields(
            manager, "status", f"2026-01-0{day}T00:00:00Z",
            msgspec.Raw(msgspec.json.encode({"f:status": {f"f:{field}": {}}})),
        )
        for manager, day, field in managed
    ]  # fmt: skip
    body = msgspec.json.encode({"metadata": {"managedFields": entries}})
    found = msgspec.json.decode(body, type=resources.Managed)
    assert rival_of(found.metadata.managed_fields) == name
