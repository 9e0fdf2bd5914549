"""Where a peer is: at an address, on an interface, at the default gateway; and the way there.

May live here: finding, and why it cannot be found. May not: connecting (`peering.py`).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable

from bellmetal.addresses import Family, IPAddress
from bellmetal.announcer import Password
from bellmetal.facts import SessionTrouble
from bellmetal.intents import Gateway, PeerPlan
from bellmetal_bgp import host
from bellmetal_bgp.effects import Failure
from bellmetal_bgp.host import Port
from bellmetal_bgp.neighbors import Neighbor
from bellmetal_bgp.sockets import SignatureError, Target


class UnreachableError(Exception):
    """There is nowhere to connect to, or no way to; ``failure`` says why."""

    def __init__(self, trouble: SessionTrouble, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(trouble, message)


class Whereabouts:
    """Of one peer. ``met`` is called when somebody has introduced himself on its interface."""

    def __init__(self, plan: PeerPlan, met: Callable[[], None]) -> None:
        self._plan, self._met = plan, met
        self._neighbor: Neighbor | None = None
        self.target: Target | None = None  # as it was last found

    async def find(self, password: Password | None) -> Target:
        """Raises UnreachableError, OSError."""
        plan = self._plan
        if plan.signed and password is None:
            raise UnreachableError(
                SessionTrouble.NO_PASSWORD,
                f"its password has not reached this node: no file {plan.name} can be read where"
                " passwords are (the Secret bellmetal-bgp-passwords, --bgp-password-dir)",
            )
        known = await host.ports()
        address, interface = await self._address(known)
        self.target = Target(
            *(address, plan.port, interface, plan.source_address, plan.vrf, plan.ttl_security),
            password=password if plan.signed else None,
            ao=plan.ao,
        )
        return self.target

    async def _address(self, known: Iterable[Port]) -> tuple[IPAddress, str]:
        plan = self._plan
        if plan.interface:
            return self._met_on(known), plan.interface
        if plan.gateway is not None:
            family = Family.IPV4 if plan.gateway is Gateway.IPV4 else Family.IPV6
            found = await host.gateway(family)
            if found is None:
                words = f"this node has no {plan.gateway.name} default route"
                raise UnreachableError(SessionTrouble.NO_GATEWAY, words)
            return found[0], found[1] if found[0].is_link_local else ""
        assert plan.address is not None
        if plan.address.is_link_local:
            return plan.address, await self._scope(known)
        return plan.address, ""

    def _met_on(self, known: Iterable[Port]) -> IPAddress:
        name = self._plan.interface
        port = next((item for item in known if item.name == name), None)
        if port is None:
            self.close()
            words = f"this node has no interface {name}"
            raise UnreachableError(SessionTrouble.NO_INTERFACE, words)
        if self._neighbor is None:
            self._neighbor = Neighbor(name, port.mac, self._met)
        if self._neighbor.address is None:
            raise UnreachableError(
                SessionTrouble.NO_NEIGHBOR,
                f"no router has introduced itself on {name}: it has to send Router Advertisements",
            )
        return self._neighbor.address

    async def _scope(self, known: Iterable[Port]) -> str:
        """The interface that a link-local peer is on: that of the source address, the only one
        there is, or that of the default route."""
        usable = [port for port in known if port.link_local is not None]
        source = self._plan.source_address
        if source is not None:
            mine = [p for p in usable if source in (*p.ipv4, *p.ipv6, p.link_local)]
            if mine:
                return mine[0].name
        if len(usable) == 1:
            return usable[0].name
        for family in Family:
            found = await host.gateway(family)
            if found is not None and any(port.name == found[1] for port in usable):
                return found[1]
        raise UnreachableError(
            SessionTrouble.NO_INTERFACE,
            f"{self._plan.address} is a link-local address, and which interface it is on cannot be"
            " told: give spec.sourceAddress an address of that interface, or use spec.interface",
        )

    @property
    def address(self) -> IPAddress | None:
        """The peer's, as far as it is known."""
        if self._plan.address is not None:
            return self._plan.address
        if self._neighbor is not None:
            return self._neighbor.address
        return self.target.address if self.target is not None else None

    def is_it(self, address: IPAddress) -> bool:
        """Whether a call from there is the peer's."""
        return address == self.address

    def close(self) -> None:
        """Looks for nobody any more."""
        if self._neighbor is not None:
            self._neighbor.close()
            self._neighbor = None


_BY_ERROR = {
    errno.ECONNREFUSED: (SessionTrouble.REFUSED, "nobody listens there"),
    errno.EHOSTUNREACH: (SessionTrouble.NO_ROUTE, "no route to host: nobody there answers"),
    errno.ENETUNREACH: (SessionTrouble.NO_ROUTE, "this node has no route to it"),
    errno.ECONNRESET: (SessionTrouble.RESET, "the connection was reset at once"),
    errno.ENETDOWN: (SessionTrouble.NO_ROUTE, "the interface to it is down"),
}


def failure_of(error: OSError, target: Target | None) -> Failure:
    """An error of a socket's as a person understands it."""
    where = target.where if target else "the peer"
    if isinstance(error, SignatureError):
        return Failure(SessionTrouble.UNSUPPORTED, error.strerror or str(error))
    if error.filename == "vrf" and target is not None:
        words = f"this node has no VRF {target.vrf}: {error.strerror}"
        return Failure(SessionTrouble.NO_VRF, words)
    if error.filename == "source" and target is not None:
        words = f"spec.sourceAddress {target.source} is not an address of this node"
        return Failure(SessionTrouble.NO_SOURCE, f"{words}: {error.strerror}")
    if error.errno in _BY_ERROR:
        trouble, words = _BY_ERROR[error.errno]
        return Failure(trouble, f"{where}: {words}")
    return Failure(SessionTrouble.RESET, f"{where}: {error.strerror or error}")
