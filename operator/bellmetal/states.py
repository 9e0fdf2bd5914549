"""ConfigurationState: what this process thinks of the configuration, where people look for it.

Problems in, one object out: it is written when it changes, and comes back when somebody edits or
deletes it. May not live here: what a problem is (`validation`), who is told besides (`notices`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.events import timestamp
from bellmetal.follow import Follower, Kind
from bellmetal.reconciler import Reconciler

log = logging.getLogger(__name__)

STATES = Kind("metallb.io", "v1beta1", "configurationstates", resources.ConfigurationState, True)
LABEL_COMPONENT = "metallb.io/component-type"
LABEL_NODE = "metallb.io/node-name"
PAUSE = 0.5  # seconds between two writes: it is for people
LONGEST = 16_384  # characters of a message; a condition's may have 32,768
PREFIX = "configuration error: "


@dataclass(frozen=True, slots=True)
class Program:
    """Whose state it is: a speaker's if there is a ``node``. With the pod it goes away, if told."""

    node: str = ""
    pod_name: str = ""
    pod_uid: str = ""

    @property
    def name(self) -> str:
        """The object's name."""
        return f"speaker-{self.node}" if self.node else "controller"

    @property
    def labels(self) -> dict[str, str]:
        """The object's labels, by which it is followed too."""
        if not self.node:
            return {LABEL_COMPONENT: "controller"}
        return {LABEL_COMPONENT: "speaker", LABEL_NODE: self.node}

    @property
    def condition(self) -> str:
        """The type of its condition."""
        return "configReconcilerValid" if self.node else "poolReconcilerValid"

    @property
    def owners(self) -> list[resources.OwnerReference]:
        """Its own Pod, if it is known."""
        if not (self.pod_name and self.pod_uid):
            return []
        return [resources.OwnerReference("v1", "Pod", self.pod_name, self.pod_uid)]


class States:
    """The ConfigurationState of one process. ``clock`` tells the time, RFC 3339."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        program: Program,
        clock: Callable[[], str] = timestamp,
    ) -> None:
        self._client, self._program, self._clock = client, program, clock
        self._reconciler = Reconciler(self._step, PAUSE)
        ours = ",".join(f"{key}={value}" for key, value in program.labels.items())
        self._follower = Follower(client, STATES, namespace, self._reconciler.poke, ours)
        self._problems: tuple[str, ...] | None = None

    async def publish(self, problems: Iterable[str]) -> None:
        """Remembers what is wrong with the configuration now; `run` writes it. Never raises."""
        found = tuple(problems)
        if found != self._problems:
            self._problems = found
            self._reconciler.poke()

    async def run(self) -> None:
        """Keeps the object for ever, from the first `publish` on. When it is cancelled, what was
        published is forgotten: it is another process's turn."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follower.run())
                group.create_task(self._reconciler.run())
        finally:
            self._problems = None

    # --- one pass --------------------------------------------------------------------------------

    async def _step(self) -> None:
        if self._problems is None or not self._follower.listed.is_set():
            return
        found: resources.ConfigurationState | None = next(
            (
                item
                for item in self._follower.collection.nouns.values()
                if item.metadata.name == self._program.name
            ),
            None,
        )
        if found is None or not self._is_ours(found.metadata):
            found = await self._claim()
        status = self._status(self._problems, found.status)
        if found.status != status:
            path = f"{self._follower.path}/{self._program.name}/status"
            found = await self._client.patch(
                resources.ConfigurationState, path, {"status": _plain(status)}
            )
            log.debug("wrote ConfigurationState/%s: %s", self._program.name, status.result)
        self._follower.collection.take(found)

    def _is_ours(self, meta: resources.Metadata) -> bool:
        labels = meta.labels or {}
        return (meta.owner_references or []) == self._program.owners and all(
            labels.get(key) == value for key, value in self._program.labels.items()
        )

    async def _claim(self) -> resources.ConfigurationState:
        """Makes the object, or makes ours the one that is there."""
        metadata: dict[str, Any] = {
            "name": self._program.name,
            "labels": self._program.labels,
            "ownerReferences": self._program.owners,
        }
        body = {
            "apiVersion": "metallb.io/v1beta1",
            "kind": "ConfigurationState",
            "metadata": metadata,
        }
        try:
            return await self._client.create(
                resources.ConfigurationState, self._follower.path, body
            )
        except ApiError as error:
            if not error.conflict:
                raise
        path = f"{self._follower.path}/{self._program.name}"
        return await self._client.patch(resources.ConfigurationState, path, {"metadata": metadata})

    # --- what it says ----------------------------------------------------------------------------

    def _status(
        self, problems: tuple[str, ...], before: resources.ConfigurationStateStatus
    ) -> resources.ConfigurationStateStatus:
        message = PREFIX + _bounded(problems) if problems else ""
        verdict = "False" if problems else "True"
        since = next(
            (
                item.last_transition_time
                for item in before.conditions or []
                if item.type == self._program.condition and item.status == verdict
            ),
            None,
        )
        condition = resources.Condition(
            type=self._program.condition,
            status=verdict,
            reason="ConfigurationError" if problems else "Reconciled",
            message=message,
            last_transition_time=since or self._clock(),
        )
        result = "Invalid" if problems else "Valid"
        return resources.ConfigurationStateStatus(result, message, [condition])


def _bounded(problems: tuple[str, ...]) -> str:
    """A line for each; those that do not fit are counted."""
    room = LONGEST - len(PREFIX) - 40
    lines: list[str] = []
    for number, line in enumerate(problems):
        line = line if len(line) <= room // 2 else line[: room // 2] + "…"
        if sum(map(len, lines)) + len(lines) + len(line) > room:
            return "\n".join([*lines, f"… and {len(problems) - number} more problems"])
        lines.append(line)
    return "\n".join(lines)


def _plain(status: resources.ConfigurationStateStatus) -> dict[str, Any]:
    """As plain values: every field is there, so that a merge replaces it."""
    return {
        "result": status.result,
        "errorSummary": status.error_summary,
        "conditions": [
            {
                "type": item.type,
                "status": item.status,
                "reason": item.reason,
                "message": item.message,
                "lastTransitionTime": item.last_transition_time,
            }
            for item in status.conditions or []
        ],
    }
