"""Who on the LAN has our addresses: the machines that look, as one. Sans-IO.

May live here: which of them a frame is for. May not: what they make of it.

============  ====================================================================
room          what it knows
============  ====================================================================
`kin`         which hardware addresses are nodes'
`proxies`     who answers for any address
`vigil`       whether somebody else has what we answer for
`proof`       whether the LAN sees what other nodes own
============  ====================================================================
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bellmetal.addresses import IPAddress
from bellmetal.facts import Doubt, Finding, Interface, Proved
from bellmetal_layer2 import testimony
from bellmetal_layer2.arp import ETHERTYPE_ARP, REQUEST
from bellmetal_layer2.beacon import Beacon
from bellmetal_layer2.ipv6 import ETHERTYPE_BYTES
from bellmetal_layer2.kin import Kin
from bellmetal_layer2.ndp import SOLICITATION
from bellmetal_layer2.probes import Tallied, VigilEffect
from bellmetal_layer2.proof import Proof
from bellmetal_layer2.proxies import Proxies, Verdict
from bellmetal_layer2.testimony import Unheard, Word
from bellmetal_layer2.vigil import Vigil

_ARP = ETHERTYPE_ARP.to_bytes(2, "big")
_NOBODY, _NOBODY6 = bytes(4), bytes(16)
_FROM, _TYPE = slice(6, 12), slice(12, 14)  # of Ethernet
_OPERATION, _SENDER = 21, slice(28, 32)  # of ARP in Ethernet
_SOURCE, _ICMP_TYPE = slice(22, 38), 54  # of neighbour discovery in IPv6 in Ethernet


@dataclass(frozen=True, slots=True)
class Overheard:
    """A frame as it came in; ``strangers``: whether nodes were never heard on the LAN."""

    interface: str
    frame: bytes
    strangers: bool = False


class Watch:
    """Of node ``me``; `Machine` of VigilEffect."""

    def __init__(self, me: str, dice: random.Random, owner_of: Callable[[IPAddress], str]) -> None:
        self._used: set[IPAddress] = set()
        self._packed: set[bytes] = set()
        self.kin = Kin(me)
        self._proxies = Proxies(dice, self._used)
        self._vigil = Vigil(me, self.kin, self._proxies)
        self._proof = Proof(me, self.kin, self._proxies, owner_of)
        self._proxied: dict[tuple[str, bytes], Finding] = {}

    # --- commands --------------------------------------------------------------------------------

    @property
    def decoy(self) -> int:
        """The last 64 bits of the IPv6 address that nobody has."""
        return self._proxies.iid

    def interfaces(self, present: Iterable[Interface]) -> None:
        """The usable interfaces."""
        by_name = {item.name: item for item in present}
        self.kin.ours({name: item.mac for name, item in by_name.items()})
        for machine in (self._proxies, self._vigil, self._proof):
            machine.interfaces(by_name)

    def want(
        self, names: Mapping[IPAddress, frozenset[str]], gone: Iterable[IPAddress], now: float
    ) -> list[VigilEffect]:
        """Addresses that we own or may own from now on, and on which interfaces (none named: all);
        and those of which we do not any more."""
        for address in gone:
            self._vigil.disown(address)
            self._used.discard(address)
            self._packed.discard(address.packed)
            self._proof.forget(address)
        self._used.update(names)
        self._packed.update(address.packed for address in names)
        self._proof.want(names, now)
        return []

    def distrusts(self, address: IPAddress) -> bool:
        """Whether a foreign device was seen to have it, and the owner was not."""
        return self._proof.foreign(address) is not None

    def own(
        self, address: IPAddress, names: frozenset[str], fresh: bool, now: float
    ) -> list[VigilEffect]:
        """It is answered for from now on; ``fresh``: by nobody of the cluster before."""
        found = self._proof.foreign(address)
        if found is not None:
            return self._vigil.mistrust(address, names, *found, now)
        self._vigil.own(address, names, fresh, now)
        return []

    def disown(self, address: IPAddress, paused: bool) -> list[VigilEffect]:
        """It is not answered for any more; ``paused``: our claim stays."""
        self._vigil.disown(address, paused)
        return []

    def unsettle(self, now: float) -> list[VigilEffect]:
        """The loop stood still, or began: what was asked is old."""
        self._proof.unsettle(now)
        return []

    def heard(self, beacon: Beacon, interface: str, frame: bytes, now: float) -> None:
        """A member's beacon, and the frame that it came in."""
        self.kin.heard(beacon, interface, frame[_FROM], now)

    # --- what was seen ---------------------------------------------------------------------------

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """The addresses that the LAN does not see as it should; the worst first."""
        return (*self._vigil.doubts, *self._proof.doubts)

    @property
    def proved(self) -> Proved:
        """How many addresses of others are asked for, and how many are seen."""
        return self._proof.proved

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Who answers for any address."""
        return tuple(self._proxied.values())

    # --- the machine -----------------------------------------------------------------------------

    def receive(self, data: Overheard, now: float) -> list[VigilEffect]:
        """A frame that `may_matter`."""
        word = testimony.read(data.interface, data.frame)
        if isinstance(word, Unheard):
            return self._ignore(word)
        if self._proxies.concerns(word):
            return [*self._proxies.receive(word, now), *self._note_proxy(word, now)]
        watched = self._vigil.concerns(word.address)
        if self._proof.concerns(word.address) and not watched:
            return self._proof.receive(word, now)
        if self.kin.name_of(word.mac) or self.kin.name_of(word.source):
            return self._ignore(Unheard.MEMBER)
        if not watched:
            return self._ignore(Unheard.NOT_OURS)
        if data.strangers:
            return self._ignore(Unheard.UNKNOWN_MEMBERS)
        if self._proxies.verdict((word.interface, word.mac), now) is Verdict.PROXY:
            return self._ignore(Unheard.PROXY)
        return self._vigil.receive(word, now)

    def may_matter(self, frame: bytes) -> bool:
        """False for a plain question, and what nodes tell everybody: nearly all frames are that."""
        if frame and frame[0] & 1 and self.kin.name_of(frame[_FROM]):
            return False
        if frame[_TYPE] == _ARP and len(frame) >= _SENDER.stop:
            sender = frame[_SENDER]
            return frame[_OPERATION] != REQUEST or sender == _NOBODY or sender in self._packed
        if frame[_TYPE] == ETHERTYPE_BYTES and len(frame) > _ICMP_TYPE:
            return frame[_ICMP_TYPE] != SOLICITATION or frame[_SOURCE] == _NOBODY6
        return True

    def _ignore(self, why: Unheard) -> list[VigilEffect]:
        return [] if why is Unheard.MEMBER else [Tallied("ignored", why.value)]

    def _note_proxy(self, word: Word, now: float) -> list[VigilEffect]:
        key = word.interface, word.mac
        if key not in self._proxied and self._proxies.verdict(key, now) is Verdict.PROXY:
            text = f"{word.mac.hex(':')} on {word.interface} answers for any address (a proxy): "
            text += "it is not taken for the holder of one"
            if len(self._proxied) < 16:
                self._proxied[key] = Finding("proxyArp", text)
        return []

    def tick(self, now: float) -> list[VigilEffect]:
        """What is due in any of them."""
        return [*self._vigil.tick(now), *self._proof.tick(now), *self._proxies.tick(now)]

    def deadline(self) -> float | None:
        """The first of theirs."""
        dues = [m.deadline() for m in (self._vigil, self._proof, self._proxies)]
        return min((due for due in dues if due is not None), default=None)
