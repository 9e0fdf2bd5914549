"""How each fault is played: a generator that does it, waits, and undoes it.

It yields `LASTS` once, until the time that the plan gives it is over, and conditions, each until it
holds; when it returns, all is as before. `Player` drives those that are in force, in one thread.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from chaos.door import Mood
from chaos.plan import OWNER, Step
from chaos.recording import Played
from chaos.stage import CONTROLLERS, Stage, later
from lab import faults
from lab.clock import DAY
from lab.rest import ApiError

Condition: TypeAlias = Callable[[], bool]
Play: TypeAlias = Generator[Condition | None, None, None]
LASTS: None = None
APART = 1.0  # seconds between two nodes that get another key
LOOK = 0.2  # seconds between two looks at a condition


# --- speakers, nodes, the LAN ---------------------------------------------------------------------


def program_killed(stage: Stage, name: str) -> Play:
    """A controller, or a node's speaker."""
    stage.kill(name)
    yield LASTS
    stage.launch(name)
    if name not in CONTROLLERS:
        yield partial(stage.settled, name)


def program_stopped(stage: Stage, name: str) -> Play:
    """A controller, or a node's speaker: as a machine that hangs."""
    stage.running[name].pause()
    yield LASTS
    stage.running[name].resume()


def node_killed(stage: Stage, node: str) -> Play:
    """It is back once its kube-proxy has rules and its speaker takes part."""
    stage.lab.kill_node(node)
    yield LASTS
    stage.boot(node)
    yield partial(stage.proxied, node)
    stage.launch(node)
    yield partial(stage.settled, node)


def link_cut(stage: Stage, node: str) -> Play:
    """No program ends."""
    stage.lab.cut(node)
    yield LASTS
    stage.lab.join(node)


def loss(stage: Stage, node: str) -> Play:
    """Beacons, gossip and clients' packets alike."""
    stage.lab.loss(node, 0.2)
    yield LASTS
    stage.lab.loss(node, 0)


def divided(only: str = "", oneway: str = "", alone: bool = False) -> Callable[[Stage, str], Play]:
    """A node on one side, the other nodes on the other one; ``alone``: and everybody else.

    ``oneway``: it is not heard (``from``), or hears nobody (``to``).
    """

    def play(stage: Stage, node: str) -> Play:
        others = [name for name in stage.lab.hosts if name != node and (alone or name[0] == "n")]
        others = [name for name in others if name[0] != "o"]  # behind the router
        sides = (others, [node]) if oneway == "to" else ([node], others)
        stage.lab.partition(*sides, oneway=bool(oneway), only=only)
        yield LASTS
        stage.lab.mend(*sides, oneway=bool(oneway), only=only)

    return play


def disk_full(stage: Stage, node: str) -> Play:
    """What it knew before stays on the disk."""
    stage.fill_disk(node, full=True)
    yield LASTS
    stage.fill_disk(node, full=False)


def clock_jump(seconds: int) -> Callable[[Stage, str], Play]:
    """There and back."""

    def play(stage: Stage, name: str) -> Play:
        stage.jump(name, seconds)
        yield LASTS
        stage.jump(name, 0)

    return play


def secret(stage: Stage, _: str) -> Play:
    """One node after the other, as kubelets do."""
    new = f"{stage.key}+"
    for node in stage.lab.node_names:
        stage.rotate(node, new)
        yield _after(APART)
    stage.key = new


def upgrade(stage: Stage, _: str) -> Play:
    """SIGTERM, and a new one once it has ended, one program after the other."""
    for name in (*CONTROLLERS, *stage.lab.node_names):
        stage.running[name].terminate()
        yield partial(_ended, stage, name)
        stage.launch(name)
        yield _after(APART) if name in CONTROLLERS else partial(stage.settled, name)


def _ended(stage: Stage, name: str) -> bool:
    return not stage.running[name].alive


def _after(seconds: float) -> Condition:
    end = later(seconds)
    return lambda: time.monotonic() >= end


# --- the API --------------------------------------------------------------------------------------


def api_away(hang: bool) -> Callable[[Stage, str], Play]:
    """Refused, or accepted and never answered."""

    def play(stage: Stage, _: str) -> Play:
        stage.lab.api_down(hang)
        yield LASTS
        stage.lab.api_up()

    return play


def api_answers(mood: Mood) -> Callable[[Stage, str], Play]:
    """The door's."""

    def play(stage: Stage, _: str) -> Play:
        mood.write(stage.mood)
        yield LASTS
        Mood().write(stage.mood)

    return play


def compaction(stage: Stage, _: str) -> Play:
    """A new API server remembers no past either: who watches must list anew."""
    stage.compact()
    stage.lab.api_down()
    stage.lab.api_up()
    yield from ()


def lease_deleted(stage: Stage, _: str) -> Play:
    """Whoever is first makes a new one."""
    yield _tried(lambda: stage.lab.rest.request("DELETE", stage.lease(), timeout=1))


def lease_stolen(stage: Stage, _: str) -> Play:
    """By somebody who never renews it."""
    body = {"spec": {"holderIdentity": "a-stranger"}}
    merge = "application/merge-patch+json"
    yield _tried(lambda: stage.lab.rest.request("PATCH", stage.lease(), body, merge, timeout=1))


def _tried(request: Callable[[], object]) -> Condition:
    """Until the API server is there and takes it."""

    def done() -> bool:
        try:
            request()
        except (OSError, http.client.HTTPException):
            return False
        except ApiError as problem:
            if problem.status < 500 and problem.status != 404:
                raise
            return problem.status == 404
        return True

    return done


PLAYS: dict[str, Callable[[Stage, str], Play]] = {
    "speaker-killed": program_killed,
    "speaker-stopped": program_stopped,
    "node-killed": node_killed,
    "link-cut": link_cut,
    "unheard": divided(oneway="from"),
    "deaf": divided(oneway="to"),
    "loss": loss,
    "partition": divided(alone=True),
    "no-gossip": divided(faults.GOSSIP),
    "no-lan": divided(faults.NEIGHBOURS),
    "controller-killed": program_killed,
    "controller-stopped": program_stopped,
    "lease-deleted": lease_deleted,
    "lease-stolen": lease_stolen,
    "api-gone": api_away(hang=False),
    "api-hangs": api_away(hang=True),
    "api-slow": api_answers(Mood(delay=0.5)),
    "api-429": api_answers(Mood(status=429, share=0.5)),
    "api-500": api_answers(Mood(status=500, share=0.5)),
    "api-409": api_answers(Mood(status=409, share=0.5, writes=True)),
    "compaction": compaction,
    "clock-ahead": clock_jump(DAY),
    "clock-behind": clock_jump(-DAY),
    "disk-full": disk_full,
    "secret": secret,
    "upgrade": upgrade,
}


@dataclass
class _Running:
    step: Step
    play: Play
    began: float
    over: float
    waits: Condition | None = None
    looked: float = 0.0
    lasts: bool = field(default=False)


class Player:
    """Plays steps as their time comes; what was played is in ``played``."""

    def __init__(self, stage: Stage, owner: Callable[[], str], say: Callable[[str], None]) -> None:
        self._stage, self._owner, self._say = stage, owner, say
        self._running: list[_Running] = []
        self._done: list[Played] = []

    @property
    def played(self) -> list[Played]:
        """All so far, also those that last."""
        lasting = [Played(r.step.fault, r.step.target, r.began) for r in self._running]
        return sorted([*self._done, *lasting], key=lambda item: item.began)

    @property
    def unfinished(self) -> list[str]:
        """Those that have not come to their end."""
        return [f"{r.step.fault} {r.step.target} has not come to its end" for r in self._running]

    def begin(self, planned: Step) -> None:
        """Begins it now."""
        target = self._owner() if planned.target == OWNER else planned.target
        step = replace(planned, target=target)
        self._say(f"{step.fault} {target} begins")
        began = time.monotonic()
        play = PLAYS[step.fault](self._stage, target)
        running = _Running(step, play, began, began + step.duration)
        self._running.append(running)
        self._go_on(running)

    def look(self) -> None:
        """Goes on with those that have nothing to wait for any more."""
        for running in list(self._running):
            now = time.monotonic()
            if running.lasts and now >= running.over:
                running.lasts = False
                self._go_on(running)
            elif running.waits is not None and now - running.looked >= LOOK:
                running.looked = now
                if running.waits():
                    self._go_on(running)

    def _go_on(self, running: _Running) -> None:
        try:
            running.waits = next(running.play)
            running.lasts = running.waits is LASTS
        except StopIteration:
            self._running.remove(running)
            step = running.step
            ended = time.monotonic()
            self._done.append(Played(step.fault, step.target, running.began, ended))
            self._say(f"{step.fault} {step.target} is over after {ended - running.began:.1f} s")
