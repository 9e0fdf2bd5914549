"""Peers that open connections to us: listeners for passive ones, and whose a call is."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Iterable, Mapping

from pyroute2.netlink.exceptions import NetlinkError

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Password
from bellmetal_bgp import host
from bellmetal_bgp.peering import Peering
from bellmetal_bgp.sockets import Listener, SignatureError, Socket, Target
from bellmetal_bgp.whereabouts import UnreachableError

log = logging.getLogger(__name__)

RETRY = 5.0  # seconds until a port that could not be had is tried again
PAUSE = 1.0  # seconds without new calls where there were too many
MOST_PER_TURN = 16


class Calls:
    """Listens where a passive peer is to call, and nowhere else. ``failures``: where it cannot."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._listeners: dict[tuple[int, str], Listener] = {}
        self._peerings: tuple[Peering, ...] = ()
        self._failed: dict[tuple[int, str], str] = {}
        self._keys: dict[tuple[int, str], dict[IPAddress, tuple[Password, bool]]] = {}
        self._unsigned: dict[str, str] = {}  # peers whose key the kernel does not take
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def failures(self) -> tuple[str, ...]:
        """Sentences."""
        return *self._failed.values(), *self._unsigned.values()

    def failure(self, peering: Peering) -> str:
        """Why a passive peer cannot call; empty: it can."""
        place = peering.plan.port, peering.plan.vrf
        return self._failed.get(place) or self._unsigned.get(peering.name, "")

    def listen(self, peerings: Iterable[Peering]) -> None:
        """Takes all peers; opens and closes ports as they need it."""
        self._peerings = tuple(peerings)
        wanted = {(p.plan.port, p.plan.vrf) for p in self._peerings if p.plan.passive}
        keys = {place: _keys(self._peerings, *place) for place in wanted}
        for place in [*self._listeners]:
            if place not in wanted or _stale(self._keys[place], keys[place]):
                self._close(self._listeners.pop(place))
        self._failed = {place: text for place, text in self._failed.items() if place in wanted}
        for place in sorted(wanted - self._listeners.keys()):
            self._open(*place)
        self._keys, self._unsigned = keys, {}
        for peering in self._peerings:
            self._sign(peering)
        if (self._failed or self._unsigned) and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RETRY, self._again)

    def _again(self) -> None:
        self._timer = None
        before = self.failures
        self.listen(self._peerings)
        if before != self.failures:
            self._changed()

    def _open(self, port: int, vrf: str) -> None:
        try:
            listener = Listener(port, vrf)
        except OSError as error:
            words = _why(error, port, vrf)
            if self._failed.get((port, vrf)) != words:
                log.error(words, extra={"event": "cannotListen"})
            self._failed[port, vrf] = words
            return
        self._failed.pop((port, vrf), None)
        self._listeners[port, vrf] = listener
        for opened in listener.sockets:
            self._listen_to(listener, opened)

    def _listen_to(self, listener: Listener, opened: Socket) -> None:
        if opened in listener.sockets:  # or else it was closed meanwhile
            loop = asyncio.get_running_loop()
            loop.add_reader(opened.fileno(), self._readable, listener, opened)

    def _sign(self, peering: Peering) -> None:
        """The key of a signed peer belongs to the listening socket: its SYN is signed already."""
        plan, address = peering.plan, peering.where.address
        listener = self._listeners.get((plan.port, plan.vrf))
        if listener is None or address is None or not plan.signed or peering.password is None:
            return
        try:
            listener.sign(Target(address, plan.port, password=peering.password, ao=plan.ao))
        except SignatureError as error:
            words = f"calls of {peering.name} cannot be taken: {error.strerror}"
            self._unsigned[peering.name] = words

    def _readable(self, listener: Listener, opened: Socket) -> None:
        for _ in range(MOST_PER_TURN):
            try:
                accepted = listener.accept(opened)
            except OSError as error:  # too many open files: it would be readable again at once
                log.error("calls cannot be taken for now: %s", error.strerror)
                loop = asyncio.get_running_loop()
                loop.remove_reader(opened.fileno())
                loop.call_later(PAUSE, self._listen_to, listener, opened)
                return
            if accepted is None:
                return
            self._take(*accepted, listener.vrf)

    def _take(self, called: Socket, caller: str, vrf: str) -> None:
        address = host.address_of(caller)
        peering = next((p for p in self._peerings if _is(p, address, vrf)), None)
        if peering is None or (peering.plan.signed and peering.password is None):
            log.info("a call from %s was refused: no such BGPPeer here", caller)
            called.close()
            return
        task = asyncio.get_running_loop().create_task(self._hand_over(peering, called))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, peering: Peering, called: Socket) -> None:
        try:
            await peering.called(called)
        except (OSError, UnreachableError, NetlinkError) as error:
            called.close()
            log.info("a call of %s could not be taken: %s", peering.name, error)

    def _close(self, listener: Listener) -> None:
        for opened in listener.sockets:
            asyncio.get_running_loop().remove_reader(opened.fileno())
        listener.close()

    def close(self) -> None:
        """Listens nowhere any more."""
        if self._timer is not None:
            self._timer.cancel()
        for listener in self._listeners.values():
            self._close(listener)
        self._listeners.clear()


def _keys(
    peerings: Iterable[Peering], port: int, vrf: str
) -> dict[IPAddress, tuple[Password, bool]]:
    """Whose calls to a port must be signed, and how."""
    return {
        p.where.address: (p.password, p.plan.ao)
        for p in peerings
        if (p.plan.port, p.plan.vrf) == (port, vrf)
        and p.plan.signed
        and p.where.address is not None
        and p.password is not None
    }


def _stale(
    before: Mapping[IPAddress, tuple[Password, bool]],
    after: Mapping[IPAddress, tuple[Password, bool]],
) -> bool:
    """Whether a socket has keys that it must not have any more: they go with it. Another password
    takes the place of the one before, but not with TCP-AO."""
    return any(
        after.get(address) != key and (key[1] or address not in after)
        for address, key in before.items()
    )


def _is(peering: Peering, address: IPAddress, vrf: str) -> bool:
    return peering.plan.vrf == vrf and peering.where.is_it(address)


def _why(error: OSError, port: int, vrf: str) -> str:
    where = f"TCP port {port}" + (f" of VRF {vrf}" if vrf else "")
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: another program of this node does (Calico's BIRD?)"
    if error.errno in (errno.EACCES, errno.EPERM):
        words = "this needs the capability NET_BIND_SERVICE (chart value speaker.bgp.listen)"
        return f"cannot listen on {where}: {words}"
    return f"cannot listen on {where}: {error.strerror}"
