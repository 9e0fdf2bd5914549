"""What pools can still give: their free addresses, in the order in which they are given.

=====  ========================================================================================
turn   which addresses of a pool
=====  ========================================================================================
1      in the order of spec.addresses, ascending: never given out, or long enough ago
2      where the pool has a cool-down: those that were given back, the longest ago first
3      addresses of nodes and gateways, network and broadcast addresses of the nodes' subnets
=====  ========================================================================================

Left out: what is in use, excluded, reserved, avoided (avoidBuggyIPs), and what still cools down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

from bellmetal.addresses import Family, IPAddress, is_buggy
from bellmetal.config import Pool
from bellmetal.holdings import Holding, Holdings, seconds_between
from bellmetal.sharing import Users


class Supply:
    """One walk over each pool, as far as is asked for. ``now``: RFC 3339."""

    def __init__(self, users: Users, held: Holdings, shy: Collection[IPAddress], now: str) -> None:
        self._users, self._held, self._shy, self._now = users, held, shy, now
        self._walks: dict[tuple[str, Family], Iterator[IPAddress]] = {}
        self._next: dict[tuple[str, Family], deque[IPAddress]] = {}
        self.cooled_in = float("inf")  # seconds until the next address that cools is free

    def first(self, pool: Pool, family: Family, count: int) -> list[IPAddress]:
        """The first free addresses of a family, so many at most."""
        key = pool.name, family
        if key not in self._walks:
            self._walks[key] = self._walk(pool, family)
            self._next[key] = deque()
        ahead = self._next[key]
        while ahead and ahead[0] in self._users:
            ahead.popleft()
        free = [address for address in ahead if address not in self._users][:count]
        while len(free) < count:
            address = next(self._walks[key], None)
            if address is None:
                break
            ahead.append(address)
            if address not in self._users:
                free.append(address)
        return free

    def cools(self, pool: Pool, holding: Holding) -> bool:
        """Whether an address that nobody uses is kept back for its last holder."""
        _, freed_at = holding.last(self._now)
        left = pool.cool_down - seconds_between(freed_at, self._now)
        if left > 0:
            self.cooled_in = min(self.cooled_in, left)
        return left > 0

    def _walk(self, pool: Pool, family: Family) -> Iterator[IPAddress]:
        last: list[IPAddress] = []
        returned: list[tuple[str, int, IPAddress]] = []
        for address in self._unused(pool, family):
            holding = self._held.get(address) if pool.cool_down else None
            _, freed_at = holding.last(self._now) if holding else (None, "")
            if freed_at:
                returned.append((freed_at, int(address), address))
            elif address in self._shy:
                last.append(address)
            else:
                yield address
        for _, _, address in sorted(returned):
            if not self.cools(pool, self._held[address]):
                yield address
        yield from last

    def _unused(self, pool: Pool, family: Family) -> Iterator[IPAddress]:
        version = 4 if family is Family.IPV4 else 6
        taken = self._users.numbers[version]
        reserved = {int(item) for item in pool.reserved if item.version == version}
        for piece in pool.pieces(family):
            make = type(piece.first)
            for number in range(int(piece.first), int(piece.last) + 1):
                if number not in taken and number not in reserved:
                    address = make(number)
                    if not (pool.avoid_buggy and is_buggy(address)):
                        yield address
