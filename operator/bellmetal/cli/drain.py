"""``bellmetal drain``: keeps a node free of addresses and routes, and waits until it has none.

The order is an annotation on the Node, which stands until ``--undo``; the controller and the
speakers carry it out.
"""

from __future__ import annotations

import asyncio
import enum
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bellmetal import resources
from bellmetal.addresses import IPAddress, printable
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.owners import NODE_LABEL, NotFoundError, Owners, Say, held_on, users
from bellmetal.cli.voice import failed, voice
from bellmetal.cli.withdrawal import Withdrawal, announced_by
from bellmetal.config import DRAIN
from bellmetal.errands import DrainSettings
from bellmetal.intents import Announcement
from bellmetal.settings import SettingsError
from bellmetal.slices import SliceContents

VERSION = 1
POLL = 0.2  # seconds between two looks
NOBODY = "no other node may own it"


class Outcome(enum.Enum):
    """What became of it, and the exit status."""

    DRAINED = "drained"
    PARTLY = "partly drained"
    LATE = "late"
    ORDERED = "ordered"
    UNDONE = "undone"

    @property
    def exit_status(self) -> int:
        """As the help says it."""
        return {Outcome.PARTLY: 3, Outcome.LATE: 4}.get(self, 0)


@dataclass(slots=True)
class Drained:
    """The answer. ``left``: address → its new owner and the seconds it took; ``staying``: address
    → why it is still there."""

    node: str
    outcome: Outcome = Outcome.ORDERED
    message: str = ""
    left: dict[IPAddress, tuple[str, float]] = field(default_factory=dict)
    staying: dict[IPAddress, str] = field(default_factory=dict)
    routes: Withdrawal | None = None


def main(settings: DrainSettings) -> int:
    """Prints what becomes of it; the exit status is in the help."""
    said = voice(settings.output)
    try:
        drained = asyncio.run(_drain(settings, said))
    except BrokenPipeError:  # of our own output: nobody reads it any more
        raise
    except NotFoundError as error:
        return failed("drain", error, 2)
    except (SettingsError, ApiError, OSError) as error:
        return failed("drain", error, 1)
    except KeyboardInterrupt:
        print(f"bellmetal drain: not waiting; the order on {settings.node} stands", file=sys.stderr)
        return 130
    print(as_json(drained) if settings.output == "json" else printable(drained.message))
    return drained.outcome.exit_status


def as_json(drained: Drained) -> str:
    """One object, as docs describe it; keys may be added."""
    left: list[dict[str, Any]] = [
        {"address": str(address), "to": node, "milliseconds": round(took * 1e3)}
        for address, (node, took) in drained.left.items()
    ]
    body: dict[str, Any] = {
        "version": VERSION,
        "outcome": drained.outcome.value,
        "node": drained.node,
        "left": left,
        "staying": [{"address": str(a), "reason": why} for a, why in drained.staying.items()],
        "message": drained.message,
    }
    if drained.routes is not None:
        staying = [{"prefix": str(p), "reason": why} for p, why in drained.routes.staying.items()]
        body["routes"] = {"withdrawn": drained.routes.left, "staying": staying}
    return json.dumps(body, indent=2, ensure_ascii=False)


async def _drain(settings: DrainSettings, say: Say) -> Drained:
    async with Client(find_access()) as client:
        return await drain(client, settings, say)


async def drain(client: Client, settings: DrainSettings, say: Say) -> Drained:
    """Orders it and waits, or takes it back; raises NotFoundError and ApiError."""
    owners = Owners(client, settings.namespace)
    node = await owners.node(settings.node)
    if settings.undo:
        return await _undo(client, node)
    return await Draining(owners, settings.node, say).run(settings)


async def _undo(client: Client, node: resources.Node) -> Drained:
    name = node.metadata.name
    was = DRAIN in (node.metadata.annotations or {})
    if was:
        body = {"metadata": {"annotations": {DRAIN: None}}}
        await client.patch(resources.Node, f"/api/v1/nodes/{name}", body)
    said = f"{name} may own addresses again; none moves back because of that;"
    said += " its routes are announced again by BGP at once"
    message = said if was else f"nothing to do: {name} has no annotation {DRAIN}"
    return Drained(name, Outcome.UNDONE, message)


class Draining:
    """One node on its way to owning nothing."""

    def __init__(self, owners: Owners, node: str, say: Say) -> None:
        self._owners, self._node, self._say = owners, node, say
        self._result = Drained(node)
        self._began = 0.0

    async def run(self, settings: DrainSettings) -> Drained:
        """Sets the annotation; waits as long as something moves."""
        contents = await self._owners.slices()
        before = held_on(self._node, contents.announcements)
        self._say(f"{self._node} owns {len(before)} address{'es' * (len(before) != 1)}")
        if prefixes := announced_by(self._node, contents):
            self._result.routes = Withdrawal(self._node, prefixes)
            self._say(f"{self._node} announces {len(prefixes)} route{'s' * (len(prefixes) != 1)}")
        body = {"metadata": {"annotations": {DRAIN: "true"}}}
        path = f"/api/v1/nodes/{self._node}"
        await self._owners.client.patch(resources.Node, path, body)
        self._began = asyncio.get_running_loop().time()
        if not settings.wait:
            self._result.message = f"ordered: {self._node} is to own nothing"
            return self._result
        try:
            async with asyncio.timeout(settings.timeout):
                await self._wait({item.address: item for item in before})
                await self._wait_for_routes()
        except TimeoutError:
            return self._late(settings.timeout)
        if self._result.staying:
            await self._explain()
        return self._done()

    async def _explain(self) -> None:
        """Why each other node may not own what stays, as the controller itself would say it."""
        try:
            why_not = await self._owners.reasons(self._node, self._result.staying)
        except ApiError as error:
            if error.code != 403:
                raise
            return  # who may drain need not be allowed to read all that is decided from
        for address, why in why_not.items():
            self._result.staying[address] = f"{NOBODY}: {why}"

    async def _wait(self, remaining: dict[IPAddress, Announcement]) -> None:
        """Until nothing of it is the node's any more but what has to stay."""
        self._result.staying = dict.fromkeys(remaining, "not moved yet")
        while True:
            contents = await self._owners.slices()
            answering = await self._owners.announcing(f"{NODE_LABEL}={self._node}")
            for item in held_on(self._node, contents.announcements):
                remaining.setdefault(item.address, item)  # it came while we looked
            for address, item in [*remaining.items()]:
                now = contents.announcements.get(address)
                if (why := self._why_here(now, contents, answering)) is None:
                    del remaining[address]
                    self._left(item, now)
                else:
                    self._result.staying[address] = why
            if all(self._result.staying[address] == NOBODY for address in remaining):
                return
            await asyncio.sleep(POLL)

    async def _wait_for_routes(self) -> None:
        """Until those that others announce as well are withdrawn."""
        routes = self._result.routes
        if routes is None:
            return
        while True:
            took = asyncio.get_running_loop().time() - self._began
            leaving = routes.leaving(await self._owners.slices(), took)
            told = await self._owners.routed(self._node) if leaving else ()
            if routes.done(leaving, told):
                break
            await asyncio.sleep(POLL)
        number = routes.left
        self._say(f"  {number} route{'s' * (number != 1)} withdrawn, after {took:.2f} s")

    def _why_here(
        self,
        now: Announcement | None,
        contents: SliceContents,
        answering: Mapping[str, set[str]],
    ) -> str | None:
        """Why the node still has it; None: it has it no more."""
        if now is None:
            return None
        if now.owner == self._node:
            chosen = contents.node_sets.get(now.node_set)
            alone = chosen is not None and set(chosen.nodes) <= {self._node}
            return NOBODY if alone else "not moved yet"
        keeps = {s.key for one in held_on(self._node, contents.announcements) for s in one.services}
        told = [item.key for item in now.services if item.key not in keeps]
        if any(self._node in answering.get(key, ()) for key in told):
            return f"{now.owner} is to take it"
        return None

    def _left(self, item: Announcement, now: Announcement | None) -> None:
        took = asyncio.get_running_loop().time() - self._began
        owner = now.owner if now else ""
        self._result.left[item.address] = owner, took
        self._result.staying.pop(item.address, None)
        where = f"→ {owner}" if owner else "is not announced any more"
        self._say(f"  {item.address} ({users(item)}) {where}, after {took:.2f} s")

    def _done(self) -> Drained:
        found = self._result
        self._tell_staying()
        kept = []
        if found.staying:
            kept.append(f"{len(found.staying)} that no other node may own")
        if found.routes is not None and found.routes.staying:
            kept.append(f"{len(found.routes.staying)} that no other node announces")
        if kept:
            found.outcome = Outcome.PARTLY
            found.message = f"{self._node} keeps {', and '.join(kept)}"
        else:
            found.outcome = Outcome.DRAINED
            what = "address" if found.routes is None else "address and announces no route"
            found.message = f"{self._node} answers for no {what}; undo: {self._undo_command}"
        return found

    def _late(self, waited: float) -> Drained:
        found = self._result
        self._tell_staying()
        found.outcome = Outcome.LATE
        found.message = f"{self._node} still has {self._remaining()} after {waited:g} s;"
        found.message += f" the order stands; undo: {self._undo_command}"
        return found

    def _remaining(self) -> str:
        routes = self._result.routes
        if routes is None or self._result.staying:
            return str(len(self._result.staying))
        return "routes to withdraw"

    @property
    def _undo_command(self) -> str:
        return f"bellmetal drain {self._node} --undo"

    def _tell_staying(self) -> None:
        for address, why in self._result.staying.items():
            self._say(f"  {address} stays: {why}")
        routes = self._result.routes
        for prefix, why in routes.staying.items() if routes is not None else ():
            self._say(f"  the route {prefix} stays: {why}")
