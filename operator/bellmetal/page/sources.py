"""Where situations come from: here, a survey by the rights of a person (`inside.py`: a controller).

A person reads all of it each time, as `bellmetal explain` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.diagnosis.situation import Leader, ServiceDetail, Situation
from bellmetal.events import timestamp
from bellmetal.survey import Surveyor, Told

ABOUT_PEERS = "involvedObject.kind=BGPPeer"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found. No ``situation``: who looks does not lead, and knows only who does."""

    situation: Situation | None
    leader: Leader | None
    events: tuple[resources.Event, ...] = ()
    unread: tuple[str, ...] = ()


class Source(Protocol):
    """``name`` says who looks."""

    name: str
    namespace: str

    async def look(self) -> Look:
        """All that is known now; raises ApiError."""

    async def detail(self, key: str) -> ServiceDetail:
        """What is asked about one Service beyond that; raises ApiError."""


class Reader:
    """What all sources read alike."""

    def __init__(self, client: Client, namespace: str, name: str, told: Told | None) -> None:
        self.name, self.namespace = name, namespace
        self._client = client
        self._surveyor = Surveyor(client, namespace, told)

    async def detail(self, key: str) -> ServiceDetail:
        """As `Source.detail`."""
        return await self._surveyor.detail(key)

    async def _with_events(self, situation: Situation) -> Look:
        """The situation, and what speakers have told about BGP sessions lately."""
        path = f"/api/v1/namespaces/{self.namespace}/events"
        events: list[resources.Event] = []
        unread = situation.unread
        if situation.cluster.config.peers:
            try:
                events, _ = await self._client.list(resources.Event, path, fields=ABOUT_PEERS)
            except ApiError as error:
                if error.code != 403:
                    raise
                unread = (*unread, str(error))
        return Look(situation, situation.leader, tuple(events), unread)


class Survey(Reader):
    """By the rights of whoever runs it; reads the whole cluster each time."""

    async def look(self) -> Look:
        """As `Source.look`."""
        return await self._with_events(await self._surveyor.survey(timestamp()))
