"""Looks at the LAN that somebody asks for: who answers for an address, and who asks for it.

May live here: asking, waiting, the answer in words. May not: what a frame says (`hearing.py`).
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence

from bellmetal.addresses import IPAddress
from bellmetal.facts import Interface
from bellmetal.sights import Look, LookKind, Outcome, Sight, seen
from bellmetal_layer2.hearing import Hearing
from bellmetal_layer2.probes import ask_who

ASK_EVERY = 0.3  # seconds between two questions
QUESTIONS = 3
WAIT = 1.0  # seconds in all, for answers


class Scout:
    """One look at a time. ``send(interface, frame)`` and ``name_of(mac)`` are the announcer's;
    ``widened`` is called when the kernel's filters are to let through what is about `also`."""

    def __init__(
        self,
        send: Callable[[str, bytes], None],
        name_of: Callable[[bytes], str],
        widened: Callable[[], None],
    ) -> None:
        self._send, self._name_of, self._widened = send, name_of, widened
        self._hearing: Hearing | None = None  # while somebody looks
        self.also: frozenset[IPAddress] = frozenset()  # what the announcer does not listen for

    async def look(
        self, look: Look, present: Sequence[Interface], wanted: bool, ours: bool
    ) -> Sight | None:
        """The answer; None for a look that is not the LAN's.

        ``present``: the usable interfaces; ``wanted``: the filters let through what is about the
        address already; ``ours``: this node answers for it.
        """
        looks = {LookKind.RESOLVE: self._resolve, LookKind.LISTEN: self._listen}
        if look.kind not in looks:
            return None
        places = list(present) if look.kind is LookKind.LISTEN else _near(look, present, wanted)
        if not places:
            return seen(look, Outcome.NO_INTERFACE, _nowhere(look))
        self._hearing = hearing = Hearing(look.address)
        try:
            if not wanted:
                self.also = frozenset([look.address])
                self._widened()
            return await looks[look.kind](look, places, hearing, ours)
        finally:
            self._hearing = None
            if self.also:
                self.also = frozenset()
                self._widened()

    def overhear(self, interface: str, frame: bytes) -> None:
        """A frame that came in; nearly always nobody looks."""
        if self._hearing is not None:
            self._hearing.receive(interface, frame)

    def answered(self, address: IPAddress) -> None:
        """This node has just answered a question."""
        if self._hearing is not None and self._hearing.address == address:
            self._hearing.answered += 1

    async def _resolve(
        self, look: Look, places: Sequence[Interface], hearing: Hearing, ours: bool
    ) -> Sight:
        for _ in range(QUESTIONS):
            for place in places:
                asked = ask_who(look.address, place)
                if asked is not None:
                    self._send(asked.interface, asked.frame)
            await asyncio.sleep(ASK_EVERY)
        await asyncio.sleep(WAIT - QUESTIONS * ASK_EVERY)
        macs = tuple(dict.fromkeys(mac.hex(":") for _, mac in hearing.answers))
        where = list(dict.fromkeys(name for name, _ in hearing.answers))
        if macs:
            who = " and ".join(self._described(*key) for key in hearing.answers)
            itself = "this node, and by " if ours else ""
            message = f"{look.address} is answered for by {itself}{who}"
            return seen(look, Outcome.ANSWERED, message, macs, ",".join(where))
        asked_on = ",".join(place.name for place in places)
        if ours:
            message = f"{look.address} is answered for by this node, and by nobody else there"
            return seen(look, Outcome.ANSWERED, message, interface=asked_on)
        message = f"nobody answers for {look.address} on {asked_on}"
        return seen(look, Outcome.SILENT, message, interface=asked_on)

    def _described(self, interface: str, mac: bytes) -> str:
        name = self._name_of(mac) or "no node of this cluster that is heard"
        return f"{mac.hex(':')} on {interface} ({name})"

    async def _listen(
        self, look: Look, places: Sequence[Interface], hearing: Hearing, ours: bool
    ) -> Sight:
        await asyncio.sleep(look.seconds)
        where = ",".join(sorted(hearing.questions) or (place.name for place in places))
        if not hearing.asked:
            message = f"no question for {look.address} came in within {look.seconds} s on {where}"
            return seen(look, Outcome.SILENT, message, interface=where)
        said = f"questions for {look.address} that came in within {look.seconds} s on {where}:"
        said += f" {hearing.asked}; answered: {min(hearing.answered, hearing.asked)}"
        if not ours:
            said += " (this node does not answer for it)"
        enough = hearing.answered >= hearing.asked
        outcome = Outcome.ANSWERED if enough else Outcome.UNANSWERED
        return seen(look, outcome, said, interface=where)


def _nowhere(look: Look) -> str:
    if look.kind is LookKind.RESOLVE:
        return f"no usable interface of this node is in a subnet of {look.address}"
    return "this node has no usable interface"


def _near(look: Look, present: Sequence[Interface], wanted: bool) -> list[Interface]:
    """Those in a subnet that the address is in; of an announced one in none of them, all."""
    near = [item for item in present if _is_in_subnet(look.address, item)]
    return near or (list(present) if wanted else [])


def _is_in_subnet(address: IPAddress, interface: Interface) -> bool:
    networks = (ipaddress.ip_interface(subnet).network for subnet in interface.subnets)
    return any(address in network for network in networks)
