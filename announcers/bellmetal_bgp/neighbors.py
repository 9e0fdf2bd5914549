"""Who is on the other end of an interface: Router Advertisements heard and sent (unnumbered BGP).

Only on the interfaces that a peer names, and only while it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv6Address

from bellmetal_bgp import advertisements
from bellmetal_bgp.sockets import AdvertisementSocket

log = logging.getLogger(__name__)

EAGER, CALM = 1.0, 10.0  # seconds between two of ours: while nobody is known, and afterwards
MOST_PER_TURN = 16


class Neighbor:
    """The router on one interface. ``met()`` is called when it is another one than before."""

    def __init__(self, interface: str, mac: bytes, met: Callable[[], None]) -> None:
        """Raises OSError if the interface is not there."""
        self.address: IPv6Address | None = None
        self._interface, self._mac, self._met = interface, mac, met
        self._socket = AdvertisementSocket(interface)
        self._timer: asyncio.TimerHandle | None = None
        self._failed = ""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._hear)
        self._tell()

    def _hear(self) -> None:
        for _ in range(MOST_PER_TURN):
            received = self._socket.receive()
            if received is None:
                return
            address = advertisements.sender(*received)
            if address is not None and address != self.address:
                if self.address is not None:
                    log.debug("the router on %s is now %s", self._interface, address)
                self.address = address
                self._met()

    def _tell(self) -> None:
        try:
            self._socket.send(advertisements.encode(self._mac))
            self._failed = ""
        except OSError as error:  # no carrier: it is tried again
            if self._failed != error.strerror:
                log.warning("advertising on %s: %s", self._interface, error.strerror)
            self._failed = error.strerror or ""
        delay = CALM if self.address is not None and not self._failed else EAGER
        self._timer = asyncio.get_running_loop().call_later(delay, self._tell)

    def close(self) -> None:
        """No more of it."""
        if self._timer is not None:
            self._timer.cancel()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
