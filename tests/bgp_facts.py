"""BGP as tests want it: sessions and routes with good defaults, an announcer in memory."""

from __future__ import annotations

import ipaddress
from typing import Any

from bellmetal.addresses import IPNetwork
from bellmetal.announcer import Context, Desired
from bellmetal.facts import (
    BFDFacts,
    BFDState,
    Facts,
    Negotiated,
    SessionFacts,
    SessionState,
    SessionTrouble,
)
from bellmetal.intents import PeerPlan, Route, ServiceId
from bellmetal.sights import Look, LookKind, Outcome, Sight, seen

AGREED = Negotiated(
    9,
    3.0,
    64512,
    64513,
    "192.0.2.10",
    "192.0.2.1",
    "192.0.2.10",
    "192.0.2.1",
    ("IPv4 unicast", "route refresh"),
)


def up(peer: str = "router", **fields: Any) -> SessionFacts:
    """An established session."""
    defaults: dict[str, Any] = {"uid": f"uid-{peer}", "remote": "192.0.2.1", "since": 100.0}
    return SessionFacts(
        peer, state=SessionState.ESTABLISHED, negotiated=AGREED, **(defaults | fields)
    )


def down(
    trouble: SessionTrouble | None = SessionTrouble.REFUSED, peer: str = "router", **fields: Any
) -> SessionFacts:
    """A session that is not."""
    defaults: dict[str, Any] = {
        "uid": f"uid-{peer}",
        "remote": "192.0.2.1",
        "since": 100.0,
        "state": SessionState.ACTIVE,
        "message": f"it is {trouble.value}" if trouble else "",
    }
    return SessionFacts(peer, trouble=trouble, **(defaults | fields))


def bfd(state: BFDState = BFDState.UP, **fields: Any) -> BFDFacts:
    return BFDFacts(state, 100.0, **fields)


def prefix(text: str) -> IPNetwork:
    return ipaddress.ip_network(text)


def service_id(key: str) -> ServiceId:
    namespace, name = key.split("/")
    return ServiceId(namespace, name, f"uid-{key}")


def route(text: str, *keys: str, node_set: str = "all", **fields: Any) -> Route:
    return Route(prefix(text), node_set, services=tuple(map(service_id, keys)), **fields)


def peer(name: str = "router", node_set: str = "all", **fields: Any) -> PeerPlan:
    address = ipaddress.ip_address("192.0.2.1")
    return PeerPlan(name, node_set, 64512, 64513, f"uid-{name}", address=address, **fields)


class FakeAnnouncer:
    """An announcer in memory. ``fails``: what raises this when it is called."""

    protocol = "fake"

    def __init__(self, name: str = "fake", context: Context | None = None) -> None:
        self.name, self.context = name, context
        self.fails: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.desired: list[Desired] = []
        self.facts = Facts()
        self.sights: dict[LookKind, str] = {}  # what it says of a look of this kind

    def _call(self, what: str) -> None:
        self.calls.append(what)
        if what in self.fails:
            raise self.fails[what]

    async def start(self) -> None:
        self._call("start")

    async def apply(self, desired: Desired) -> None:
        self.desired.append(desired)
        self._call("apply")

    def status(self) -> Facts:
        if "status" in self.fails:
            raise self.fails["status"]
        return self.facts

    async def look(self, look: Look) -> Sight | None:
        self._call("look")
        said = self.sights.get(look.kind)
        return None if said is None else seen(look, Outcome.ANSWERED, said)

    async def close(self, gracefully: bool) -> None:
        self._call("close")

    @property
    def last(self) -> Desired:
        return self.desired[-1]
