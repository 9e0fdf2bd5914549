"""What this node claims and answers for; every change leaves the effects that carry it out."""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal.addresses import IPAddress
from bellmetal.facts import Claim, ClaimOrder
from bellmetal_layer2.messages import Effect, Flush, Own, Said, Yield
from bellmetal_layer2.voice import Voice


class Possession:
    """Keeps in step what is claimed, what is answered for, and what others are told."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self.answering: set[IPAddress] = set()
        self.remembered: dict[IPAddress, ClaimOrder] = {}  # of before a restart
        self.unclaimed: dict[IPAddress, float] = {}  # nobody's that lives, since when
        self._unclear: dict[IPAddress, None] = {}  # ours, provisional or on the move
        self._forbidden: set[IPAddress] = set()  # a foreign device has it
        self._out: list[Effect] = []

    def remember(self, claims: Iterable[Claim]) -> None:
        """What this node claimed before it was restarted."""
        self.remembered = {claim.address: claim.order for claim in claims}

    def claim(
        self, address: IPAddress, order: ClaimOrder, why: str, now: float, fresh: bool = False
    ) -> None:
        """It is ours from now on; ``fresh``: and was nobody's of the cluster before."""
        self.say("owner", f"{address} is ours: {why}")
        self.keep(address, order, now, fresh)

    def keep(self, address: IPAddress, order: ClaimOrder, now: float, fresh: bool = False) -> None:
        """It is ours, on these terms."""
        self.unclaimed.pop(address, None)
        self._voice.claim(address, order, now)
        if address not in self.answering and address not in self._forbidden:
            self.answering.add(address)
            self._out.append(Own(address, fresh))

    def unclear(self, address: IPAddress, whether: bool) -> None:
        """Whether what becomes of a claim of ours hangs on the life of other nodes."""
        if whether:
            self._unclear[address] = None
        else:
            self._unclear.pop(address, None)

    @property
    def to_review(self) -> list[IPAddress]:
        """What is unclaimed, or unclear."""
        return [*self._unclear, *self.unclaimed]

    def forbid(self, address: IPAddress, now: float) -> None:
        """Claimed as before, and not answered for."""
        self._forbidden.add(address)
        self._voice.hush(address, True, now)
        if address in self.answering:
            self.answering.discard(address)
            self._out.append(Yield(address, ""))

    def allow(self, address: IPAddress, now: float) -> None:
        """Answered for as before, once it is kept again."""
        self._forbidden.discard(address)
        self._voice.hush(address, False, now)

    def drop(self, address: IPAddress, to: str, now: float) -> None:
        """It is not ours any more, but another node's, if one is named."""
        self._voice.claim(address, None, now)
        self.remembered.pop(address, None)
        self.unclaimed.pop(address, None)
        self._unclear.pop(address, None)
        if address in self.answering or address in self._forbidden:
            self.answering.discard(address)
            if address in self._forbidden:
                self._forbidden.discard(address)
                self._voice.hush(address, False, now)
            self._out.append(Yield(address, to))
            if to:
                self.say("owner", f"{address} is {to}'s")

    def decline(self, address: IPAddress, now: float) -> None:
        """It cannot be announced here: who could take it is told, and need not wait."""
        if address in self._voice.mine.orders:
            self.say("unable", f"{address} is given up: no interface here can announce it")
        self.drop(address, "", now)
        self._voice.decline(address, now)

    def silence(self, reason: str) -> None:
        """Answers nothing, and claims what it claimed; what came in meanwhile is not read."""
        self._out.append(Flush(reason))
        self.say("unsettled", f"answering nothing until claims are exchanged: {reason}")
        for address in sorted(self.answering, key=int):
            self._out.append(Yield(address, ""))
        self.answering.clear()

    def say(self, event: str, message: str) -> None:
        """Something for the log."""
        self._out.append(Said(event, message))

    def do(self, effect: Effect) -> None:
        """Something else to be done."""
        self._out.append(effect)

    def effects(self, now: float) -> list[Effect]:
        """What is to be done; claims that changed are told at once."""
        out, self._out = self._out, []
        return [*out, *self._voice.speak(now)]
