"""Nodes that come and go too often: what is said of them, and when."""

from __future__ import annotations

import re
from typing import Any

from bellmetal.unrest import Unrest
from bellmetal.world import World
from builders import node_object, report_object


class Told:
    """Takes events in place of the API."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, bool]] = []

    def record(self, about: Any, reason: str, message: str, *, warning: bool = False) -> None:
        self.events.append((about.kind, about.name, reason, warning))
        self.message = message


def seen(world: World, version: int, ready: str, now: float, boot: str = "1") -> float | None:
    world.nodes.take(node_object("n1", ready, resource_version=str(version)))
    world.reports.take(report_object("n1", boot=boot))
    return world.observe(now)


def test_it_is_said_once_when_a_node_becomes_unsteady_and_once_when_it_is_steady_again() -> None:
    world, told = World("", False), Told()
    unrest = Unrest(world, told)  # type: ignore[arg-type]
    again: float | None = None
    for step in range(7):  # three times away
        again = seen(world, step + 1, "False" if step % 2 else "True", step * 30.0)
        unrest.tell(step * 30.0)
    unrest.tell(181.0)
    assert told.events == [("Node", "n1", "NodeUnsteady", True)]
    wanted = r"went away 3 times in 2 min: gets no new addresses until about \d\d:\d\d UTC"
    assert re.fullmatch(wanted, told.message)
    assert world.cluster(world.validated().config).unsteady == {"n1"}
    assert again is not None
    assert seen(world, 8, "True", again + 0.1) is None
    unrest.tell(again + 0.1)
    assert told.events[1:] == [("Node", "n1", "NodeSteady", False)]
    assert world.cluster(world.validated().config).unsteady == frozenset()


def test_interfaces_reach_the_cluster_when_they_count() -> None:
    world = World("", False)
    world.reports.take(report_object("n1", eth0=["192.0.2.1/24", "fe80::1/64"]))
    assert world.observe(0.0) is None
    [link] = world.cluster(world.validated().config).links["n1"]
    assert (link.name, [str(item) for item in link.networks], link.ipv6) == (
        "eth0",
        ["192.0.2.0/24"],
        True,
    )
    world.reports.take(report_object("n1"))
    due = world.observe(1.0)
    assert due is not None
    assert world.cluster(world.validated().config).links["n1"] == (link,)
    world.observe(due)
    assert world.cluster(world.validated().config).links["n1"] == ()
