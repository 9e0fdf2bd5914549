"""``bellmetal move``: orders a Service's addresses to a node and waits until that node answers.

The order is an annotation on the Service; the controller carries it out. If it is not carried out
in time it is withdrawn: it must not be carried out later, when nobody expects it.
"""

from __future__ import annotations

import asyncio
import enum
import json
import sys
from dataclasses import dataclass

from bellmetal import resources
from bellmetal.addresses import AddressError, IPAddress, parse_address, printable
from bellmetal.api import JSON_PATCH, ApiError, Client, find_access
from bellmetal.cli.owners import NAME_LABEL, NotFoundError, Owners, Say, Told, texts
from bellmetal.cli.voice import failed, voice
from bellmetal.config import MOVE_TO
from bellmetal.errands import MoveSettings
from bellmetal.intents import Announcement
from bellmetal.settings import SettingsError
from bellmetal.slices import SliceContents

VERSION = 1
POLL = 0.05  # seconds between two looks
EVENT_COMES = 3.0  # seconds that an event may come later than what it tells


class Outcome(enum.Enum):
    """What became of it, and the exit status."""

    MOVED = "moved"
    ALREADY = "already there"
    ORDERED = "ordered"
    REFUSED = "refused"
    LATE = "late"

    @property
    def exit_status(self) -> int:
        """As the help says it."""
        return {Outcome.REFUSED: 3, Outcome.LATE: 4}.get(self, 0)


@dataclass(frozen=True, slots=True)
class Moved:
    """The answer. ``came_from``: address → the node that owned it before; ``took`` in seconds."""

    service: str
    node: str
    came_from: dict[IPAddress, str]
    outcome: Outcome
    message: str
    took: float | None = None


def main(settings: MoveSettings) -> int:
    """Prints what becomes of it; the exit status is in the help."""
    said = voice(settings.output)
    try:
        moved = asyncio.run(_move(settings, said))
    except BrokenPipeError:  # of our own output: nobody reads it any more
        raise
    except NotFoundError as error:
        return failed("move", error, 2)
    except (SettingsError, ApiError, OSError) as error:
        return failed("move", error, 1)
    except KeyboardInterrupt:
        print("bellmetal move: the order is withdrawn", file=sys.stderr)
        return 130
    print(as_json(moved) if settings.output == "json" else printable(moved.message))
    return moved.outcome.exit_status


def as_json(moved: Moved) -> str:
    """One object, as docs describe it; keys may be added."""
    body = {
        "version": VERSION,
        "outcome": moved.outcome.value,
        "service": moved.service,
        "to": moved.node,
        "addresses": [{"address": str(a), "from": node} for a, node in moved.came_from.items()],
        "milliseconds": None if moved.took is None else round(moved.took * 1e3),
        "message": moved.message,
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


async def _move(settings: MoveSettings, say: Say) -> Moved:
    async with Client(find_access()) as client:
        return await move(client, settings, say)


async def move(client: Client, settings: MoveSettings, say: Say) -> Moved:
    """Orders it and waits; raises NotFoundError and ApiError."""
    owners = Owners(client, settings.namespace)
    service, asked = await _find(client, settings.what)
    await owners.node(settings.node)
    contents = await owners.slices()
    order = Order(owners, service, settings.node, contents)
    if not order.announcements:
        raise NotFoundError(_unannounced(service, asked))
    await order.introduce(say)
    if await order.is_done():
        return order.result(Outcome.ALREADY, f"nothing to do: {order.name} is on {order.node}")
    return await order.give(settings, say)


# --- what is meant -------------------------------------------------------------------------------


async def _find(client: Client, what: str) -> tuple[resources.Service, str]:
    """The Service that is meant, and what to call it in a sentence; the first by name of those
    that share the address."""
    namespace, slash, name = what.partition("/")
    if slash:
        try:
            path = f"/api/v1/namespaces/{namespace}/services/{name}"
            service = await client.get(resources.Service, path)
        except ApiError as error:
            if not error.gone:
                raise
            raise NotFoundError(f"there is no Service {what}") from error
        if not _shown(service):
            raise NotFoundError(f"Service {what} has no address")
        return service, what
    try:
        address = parse_address(what)
    except AddressError as error:
        message = f'"{what}" is neither an address nor the namespace/name of a Service'
        raise NotFoundError(message) from error
    found, _ = await client.list(resources.Service, "/api/v1/services")
    holders = sorted((item for item in found if address in _shown(item)), key=lambda x: x.key)
    if not holders:
        raise NotFoundError(f"no Service has the address {address}")
    return holders[0], str(address)


def _shown(service: resources.Service) -> list[IPAddress]:
    found = []
    for entry in service.status.load_balancer.ingress or []:
        try:
            found.append(parse_address(entry.ip))
        except AddressError:  # a hostname: somebody else's
            continue
    return found


def _unannounced(service: resources.Service, asked: str) -> str:
    for item in service.status.conditions or []:
        if item.type == "bellmetal.io/Announced" and item.status == "False":
            return item.message
    return f"{asked} is not announced: kubectl describe service -n {service.metadata.namespace}" + (
        f" {service.metadata.name}"
    )


# --- the order -----------------------------------------------------------------------------------


class Order:
    """One Service's addresses, and the node that they should go to."""

    def __init__(
        self, owners: Owners, service: resources.Service, node: str, contents: SliceContents
    ) -> None:
        self._owners, self._client, self._service = owners, owners.client, service
        self.node, self.key = node, service.key
        self.announcements = _of(self.key, contents)
        self.came_from = {item.address: item.owner for item in self.announcements}
        self._events: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Service and addresses, for a sentence."""
        return f"{self.key} ({texts(self.came_from)})"

    @property
    def _path(self) -> str:
        meta = self._service.metadata
        return f"/api/v1/namespaces/{meta.namespace}/services/{meta.name}"

    def result(self, outcome: Outcome, message: str, took: float | None = None) -> Moved:
        """The answer."""
        return Moved(self.key, self.node, self.came_from, outcome, message, took)

    async def introduce(self, say: Say) -> None:
        """Says what is, before anything is done."""
        for item in self.announcements:
            tenure = await self._owners.tenure(item.address)
            line = f"{item.address} ({self.key}) is on {item.owner}"
            if tenure is not None and tenure.node == item.owner:
                line += f" since {tenure.since}: {tenure.why}"
            others = [one.key for one in item.services if one.key != self.key]
            say(line + (f"; {texts(others)} moves with it, sharing it" if others else ""))

    async def is_done(self) -> bool:
        """Whether the slices name the node for all, and it alone says that it answers."""
        nodes = await self._announcing()
        if nodes != {self.node}:
            return False
        found = _of(self.key, await self._owners.slices())
        return {item.address for item in found if item.owner == self.node} >= set(self.came_from)

    async def _announcing(self) -> set[str]:
        found = await self._owners.announcing(f"{NAME_LABEL}={self._service.metadata.name}")
        return found.get(self.key, set())

    async def give(self, settings: MoveSettings, say: Say) -> Moved:
        """Sets the annotation, and waits for what becomes of it."""
        self._events = frozenset(item.name for item in await self._told())
        body = {"metadata": {"annotations": {MOVE_TO: self.node}}}
        await self._client.patch(resources.Service, self._path, body)
        if not settings.wait:
            return self.result(Outcome.ORDERED, f"ordered: {self.name} to {self.node}")
        say(f"moving to {self.node} …")
        try:
            async with asyncio.timeout(settings.timeout):
                return await self._wait()
        except TimeoutError:
            return await self._late(settings.timeout)
        except asyncio.CancelledError:
            await self._withdraw()
            raise

    async def _wait(self) -> Moved:
        clock = asyncio.get_running_loop().time
        began, fired_at = clock(), float("inf")
        while True:
            if fired_at == float("inf") and await self._is_fired():
                fired_at = clock()
            fired = clock() >= fired_at
            if fired and await self.is_done():
                took = clock() - began
                whom = texts(sorted({*self.came_from.values()} - {self.node})) or self.node
                message = f"moved: {self.name} from {whom} to {self.node}"
                message += f", which says so after {took * 1e3:.0f} ms"
                return self.result(Outcome.MOVED, message, took)
            if fired and (why := await self._refusal()):
                return self.result(Outcome.REFUSED, f"refused: {why}")
            if clock() > fired_at + EVENT_COMES and (why := await self._went_back()):
                return self.result(Outcome.REFUSED, f"refused: {why}")
            await asyncio.sleep(POLL)

    async def _is_fired(self) -> bool:
        """Whether the controller has taken the order away."""
        service = await self._client.get(resources.Service, self._path)
        return (service.metadata.annotations or {}).get(MOVE_TO) != self.node

    async def _refusal(self) -> str:
        for item in await self._told():
            if item.reason == "MoveRefused" and item.name not in self._events:
                return item.message
        return ""

    async def _went_back(self) -> str:
        """Where the controller wants it instead, and why; nothing, if where it was ordered."""
        for item in _of(self.key, await self._owners.slices()):
            if item.owner != self.node:
                tenure = await self._owners.tenure(item.address)
                why = f": {tenure.why}" if tenure is not None and tenure.node == item.owner else ""
                return f"{item.address} is on {item.owner}{why}"
        return ""

    async def _told(self) -> list[Told]:
        meta = self._service.metadata
        return await self._owners.events(meta.namespace, "Service", meta.name)

    async def _late(self, waited: float) -> Moved:
        if await self._withdraw():
            why = "no controller has carried it out; the order is withdrawn"
        else:
            named = {item.owner for item in _of(self.key, await self._owners.slices())}
            said = texts(sorted(await self._announcing())) or "no node"
            why = f"the controller has named {texts(sorted(named))}, and {said} says it answers"
        return self.result(Outcome.LATE, f"not moved within {waited:g} s: {why}")

    async def _withdraw(self) -> bool:
        """Takes the order back; False if it is not there any more."""
        where = "/metadata/annotations/" + MOVE_TO.replace("/", "~1")
        body = [
            {"op": "test", "path": where, "value": self.node},
            {"op": "remove", "path": where},
        ]
        try:
            await self._client.patch(resources.Service, self._path, body, kind=JSON_PATCH)
        except ApiError as error:
            if error.code == 422 or error.gone:
                return False
            raise
        return True


def _of(key: str, contents: SliceContents) -> list[Announcement]:
    """The announcements of a Service."""
    return [
        item
        for item in contents.announcements.values()
        if any(service.key == key for service in item.services)
    ]
