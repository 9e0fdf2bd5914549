"""When one interface says which address is here: bursts, repeats at rest, a budget. Sans-IO.

An address that is new is announced at once and again for some seconds: a frame may be lost, a
switch may be learning. When thousands move at once they must neither flood the LAN nor starve the
last one, so what goes out is paid for, at FRAMES a second, and has its order:

1. first announcements, longest waiting first;
2. repeats, longest overdue first. An address has one repeat waiting at most: what comes so late
   that the next one is due as well is said once, and what comes after all of them, never;
3. addresses that were given up (their groups are left);
4. announcements at rest, every so many seconds, each address at a moment of its own.

Five thousand IPv4 addresses, each in two frames, are announced within 2 s, and repeated three times
or so in the next five seconds. 5,000 frames of 64 bytes are 3.4 Mbit/s with all that Ethernet adds,
of which a 100 Mbit/s port takes 148,000; what they cost is the time of every host on the LAN, 10 µs
or so each. Switches that limit broadcasts to 1 % of a 1 Gbit/s port let 14,000 pass.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from hashlib import blake2b

from bellmetal.addresses import IPAddress

REPEATS = (0.1, 0.4, 1.1, 2.2, 3.3, 4.4)  # seconds after the first announcement
LATE = 1.1  # seconds after which the last of them is not worth a frame
FRAMES = 5000.0  # a second, on one interface
BURST = 100  # frames that may go out together: a millisecond of the loop, 20 ms of the budget
PORTION = 16  # frames to wait for when the budget is used up, so that a tick is worth its while


class Schedule:
    """One interface's. `next` gives what may be said now, `pay` tells how many frames that took."""

    def __init__(self, now: float) -> None:
        self._first: OrderedDict[IPAddress, None] = OrderedDict()
        self._repeats = _Timed()
        self._given_up: OrderedDict[IPAddress, None] = OrderedDict()
        self._at_rest = _Timed()
        self._began: dict[IPAddress, float] = {}  # when its burst did
        self._every: dict[IPAddress, int] = {}
        self._frames, self._counted_at = float(BURST), now

    # --- commands --------------------------------------------------------------------------------

    def announce(self, address: IPAddress) -> None:
        """As soon as it can be, and then in its burst; one that waits already keeps its place."""
        self._given_up.pop(address, None)
        self._repeats.remove(address)
        self._first[address] = None

    def every(self, address: IPAddress, seconds: int, now: float) -> None:
        """How often at rest from now on; 0: never."""
        if seconds == self._every.get(address, 0):
            return
        self._every[address] = seconds
        if seconds:
            self._at_rest.put(address, _moment(address, seconds, now))
        else:
            self._at_rest.remove(address)
            del self._every[address]

    def give_up(self, address: IPAddress) -> None:
        """Announced no more; comes once more when there is time for it."""
        self.forget(address)
        self._given_up[address] = None

    def forget(self, address: IPAddress) -> None:
        """Announced no more, and there is nothing left to do for it."""
        self._first.pop(address, None)
        self._began.pop(address, None)
        self._every.pop(address, None)
        self._repeats.remove(address)
        self._at_rest.remove(address)

    def pay(self, frames: int) -> None:
        """What was given by `next` took so many."""
        self._frames -= frames

    # --- what is due -----------------------------------------------------------------------------

    def next(self, now: float) -> IPAddress | None:
        """The address whose turn it is, if there is one and the budget allows it."""
        self._earn(now)
        if self._frames <= 0:
            return None
        if self._first:
            address, _ = self._first.popitem(last=False)
            self._began[address] = now
            self._repeats.put(address, now + REPEATS[0])
            return address
        if (repeated := self._repeat(now)) is not None:
            return repeated
        if self._given_up:
            return self._given_up.popitem(last=False)[0]
        return self._resting(now)

    def deadline(self) -> float | None:
        """When `next` has something, as far as is known; None: nothing waits."""
        allowed = self._counted_at
        if self._frames <= 0:
            allowed += (PORTION - self._frames) / FRAMES
        if self._first or self._given_up:
            return allowed
        dues = [due for due in (self._repeats.due(), self._at_rest.due()) if due is not None]
        return max(allowed, min(dues)) if dues else None

    def _earn(self, now: float) -> None:
        gained = max(0.0, now - self._counted_at) * FRAMES
        self._frames = min(float(BURST), self._frames + gained)
        self._counted_at = max(now, self._counted_at)

    def _repeat(self, now: float) -> IPAddress | None:
        while (address := self._repeats.pop(now)) is not None:
            began = self._began[address]
            following = [began + delay for delay in REPEATS if began + delay > now]
            if following:
                self._repeats.put(address, following[0])
            else:
                del self._began[address]
            if now <= began + REPEATS[-1] + LATE:
                return address
        return None

    def _resting(self, now: float) -> IPAddress | None:
        while (address := self._at_rest.pop(now)) is not None:
            self._at_rest.put(address, _moment(address, self._every[address], now))
            if address not in self._began:  # its burst says it often enough
                return address
        return None


def _moment(address: IPAddress, every: int, now: float) -> float:
    """The next of an address's own moments, one in every so many seconds, the same at all times.

    Addresses are spread evenly; and a Service's do not move when others come and go.
    """
    share = int.from_bytes(blake2b(address.packed, digest_size=4).digest(), "big") / 2**32
    passed = (now / every - share) // 1 + 1
    return (passed + share) * every


class _Timed:
    """Addresses by when they are due; each stands here once."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, IPAddress]] = []
        self._dues: dict[IPAddress, tuple[float, int]] = {}
        self._count = 0  # orders what is due at the same moment

    def put(self, address: IPAddress, due: float) -> None:
        self._count += 1
        self._dues[address] = due, self._count
        heapq.heappush(self._heap, (due, self._count, address))

    def remove(self, address: IPAddress) -> None:
        self._dues.pop(address, None)

    def due(self) -> float | None:
        """When the first one is."""
        while self._heap:
            due, count, address = self._heap[0]
            if self._dues.get(address) == (due, count):
                return due
            heapq.heappop(self._heap)  # it was removed, or put elsewhere
        return None

    def pop(self, now: float) -> IPAddress | None:
        """Takes out the first one, if it is due."""
        due = self.due()
        if due is None or due > now:
            return None
        address = heapq.heappop(self._heap)[2]
        del self._dues[address]
        return address
