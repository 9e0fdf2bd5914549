"""Who answers for any address, used or not (proxy ARP, proxy NDP). A sans-IO machine.

A router that does so holds nothing. Asked for two addresses that nobody should have, beside the one
that is in question, it answers for both; a device that holds the one does not.
The decoys of IPv6 end in a number of our own making, so that a filter can let answers for them in.
"""

from __future__ import annotations

import enum
import ipaddress
import random
from collections.abc import Container, Mapping
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal_layer2.probes import Ask, ask_if_held, ask_one
from bellmetal_layer2.testimony import Word

ROUNDS = 3  # times that the decoys are asked for
PAUSE = 0.1  # seconds between two of them
LASTS = 600.0  # seconds for which a verdict holds
HONEST_LASTS = 5.0  # … and the one that it is none
MOST_CHECKS, MOST_VERDICTS = 32, 512  # a LAN full of liars must not fill our memory
_HOST_BITS = 8  # decoys are in the same /24 …
_IID_BITS = 64  # … or the same /64

Key = tuple[str, bytes]  # interface and hardware address


class Verdict(enum.Enum):
    """Whether somebody answers for any address."""

    OPEN = "open"
    PROXY = "proxy"
    HONEST = "honest"


@dataclass(slots=True)
class Check:
    """One that is under way; ``decoys``: those that were not answered for yet."""

    decoys: set[IPAddress]
    asked: tuple[IPAddress, ...]
    due: float
    rounds: int = 0


class Proxies:
    """`Machine` of Ask. ``used`` says which addresses are no decoys."""

    def __init__(self, dice: random.Random, used: Container[IPAddress]) -> None:
        self._dice, self._used = dice, used
        self.iid = dice.getrandbits(_IID_BITS) | 1
        self._interfaces: Mapping[str, Interface] = {}
        self._checks: dict[Key, Check] = {}
        self._verdicts: dict[Key, tuple[Verdict, float]] = {}

    def interfaces(self, present: Mapping[str, Interface]) -> None:
        """The usable interfaces."""
        self._interfaces = present

    def verdict(self, key: Key, now: float) -> Verdict:
        """What is known of somebody."""
        known, until = self._verdicts.get(key, (Verdict.OPEN, now))
        return known if now < until else Verdict.OPEN

    def judge(self, key: Key, address: IPAddress, now: float) -> Verdict:
        """What is known of somebody; begins to find out, if nothing is."""
        known = self.verdict(key, now)
        room = len(self._checks) < MOST_CHECKS
        if known is Verdict.OPEN and room and key not in self._checks:
            decoys = self._decoys(address)
            self._checks[key] = Check(set(decoys), decoys, now)
        return known

    def concerns(self, word: Word) -> bool:
        """Whether a word is about a decoy."""
        return any(word.address in check.asked for check in self._checks.values())

    def receive(self, data: Word, now: float) -> list[Ask]:
        """Somebody answered for a decoy."""
        key = data.interface, data.mac
        check = self._checks.get(key)
        if check is not None and not data.wish:
            check.decoys.discard(data.address)
            if not check.decoys:
                self._conclude(key, Verdict.PROXY, now + LASTS)
        return []

    def tick(self, now: float) -> list[Ask]:
        """Decoys are to be asked for, or were not answered for."""
        effects: list[Ask] = []
        for key, check in list(self._checks.items()):
            if check.due > now:
                continue
            if check.rounds == ROUNDS or key[0] not in self._interfaces:
                self._conclude(key, Verdict.HONEST, now + HONEST_LASTS)
                continue
            check.rounds += 1
            check.due = now + PAUSE
            effects += self._ask(key, check.asked)
        return effects

    def deadline(self) -> float | None:
        """When the next decoys are to be asked for."""
        return min((check.due for check in self._checks.values()), default=None)

    def _ask(self, key: Key, decoys: tuple[IPAddress, ...]) -> list[Ask]:
        interface = self._interfaces[key[0]]
        effects = []
        for decoy in decoys:
            effects.append(ask_if_held(decoy, interface))
            if isinstance(decoy, ipaddress.IPv4Address):
                effects.append(ask_one(decoy, interface, key[1]))
        return effects

    def _conclude(self, key: Key, verdict: Verdict, until: float) -> None:
        del self._checks[key]
        self._verdicts.pop(key, None)
        if len(self._verdicts) >= MOST_VERDICTS:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[key] = verdict, until

    def _decoys(self, address: IPAddress) -> tuple[IPAddress, ...]:
        if isinstance(address, ipaddress.IPv6Address):
            start = int(address) >> _IID_BITS << _IID_BITS
            return (ipaddress.IPv6Address(start | self.iid),)
        start = int(address) >> _HOST_BITS << _HOST_BITS
        near = [ipaddress.IPv4Address(start + last) for last in range(1, 2**_HOST_BITS - 1)]
        free = [item for item in near if item != address and item not in self._used]
        return tuple(self._dice.sample(free or near, 2))
