"""Nodes that come and go too often are told of, once when it begins and once when it ends.

May live here: the sentences, and when they are said. May not: when a node is unsteady (`damping`).
"""

from __future__ import annotations

import datetime
import logging

from bellmetal.controller_metrics import NODES_UNSTEADY
from bellmetal.damping import Unsteady
from bellmetal.events import Events
from bellmetal.resources import ObjectReference
from bellmetal.world import World

log = logging.getLogger(__name__)


class Unrest:
    """Remembers what was said of which node."""

    def __init__(self, world: World, events: Events) -> None:
        self._world, self._events = world, events
        self._told: frozenset[str] = frozenset()

    def tell(self, now: float) -> None:
        """What is new; ``now`` is of the clock that the World observes by."""
        unsteady = self._world.damping.unsteady
        for name in sorted(unsteady.keys() - self._told):
            sentence = _sentence(unsteady[name], unsteady[name].until - now)
            self._say(name, "NodeUnsteady", sentence, warning=True)
        for name in sorted(self._told - unsteady.keys()):
            self._say(name, "NodeSteady", "has stayed for long enough: may get addresses again")
        self._told = frozenset(unsteady)
        NODES_UNSTEADY.set(len(unsteady))

    def _say(self, name: str, reason: str, sentence: str, warning: bool = False) -> None:
        level = logging.WARNING if warning else logging.INFO
        log.log(level, "%s %s", name, sentence, extra={"op": "plan", "event": reason})
        found = self._world.nodes.nouns.get(name)
        if found is not None:
            about = ObjectReference("v1", "Node", "", name, found[1].uid)
            self._events.record(about, reason, sentence, warning=warning)


def _sentence(item: Unsteady, remaining: float) -> str:
    minutes = max(1, round(item.within / 60))
    clock = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - for people
    until = clock + datetime.timedelta(seconds=remaining)
    return (
        f"went away {item.flaps} times in {minutes} min:"
        f" gets no new addresses until about {until:%H:%M} UTC"
    )
