"""Whose packet is it: all conversations by number, discriminator and remote address.

Imported by the small process that keeps time, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bellmetal_bgp.bfd import echo, packets
from bellmetal_bgp.bfd.conversation import Conversation
from bellmetal_bgp.bfd.packets import DecodeError, Packet
from bellmetal_bgp.bfd.sockets import Arrival, Door
from bellmetal_bgp.bfd.wishes import Want

if TYPE_CHECKING:
    import random

MOST_SESSIONS = 1000


class CrowdedError(ValueError):
    """No such session can be added."""


class Roster:
    """Demultiplexes as RFC 5880, section 6.3; RFC 5881, section 3; RFC 5883, section 4 say.

    ``make(want, discriminator, now)`` begins a conversation.
    """

    def __init__(
        self, make: Callable[[Want, int, float], Conversation], dice: random.Random
    ) -> None:
        self._make, self._dice = make, dice
        self._numbers: dict[int, Conversation] = {}
        self._discriminators: dict[int, Conversation] = {}
        self._remotes: dict[tuple[Door, str], list[Conversation]] = {}

    def __iter__(self) -> Iterator[Conversation]:
        """All of them; some may be forgotten meanwhile."""
        return iter([*self._numbers.values()])

    def __len__(self) -> int:
        return len(self._numbers)

    def get(self, number: int) -> Conversation | None:
        """The conversation of that number."""
        return self._numbers.get(number)

    def want(self, want: Want, now: float) -> None:
        """Begins a conversation, or changes it; raises CrowdedError."""
        known = self._numbers.get(want.number)
        if known is not None and known.want.reach == want.reach and not known.session.stopped:
            known.change(want, now)
            return
        for other in self:
            if other.want.reach == want.reach and other.session.stopped:
                self.forget(other)  # it is wanted again before it has said goodbye
        if want.number in self._numbers:
            raise CrowdedError(f"session {want.number} is another one's")
        if len(self) >= MOST_SESSIONS:
            raise CrowdedError(f"there are {MOST_SESSIONS} sessions, no more are kept")
        self._add(self._make(want, self._discriminator(), now))

    def _add(self, made: Conversation) -> None:
        self._numbers[made.want.number] = made
        self._discriminators[made.session.discriminator] = made
        self._remotes.setdefault((made.door, made.want.reach.remote), []).append(made)

    def _discriminator(self) -> int:
        while True:  # unique, not zero, and not to be guessed
            found = self._dice.randint(1, 2**32 - 1)
            if found not in self._discriminators:
                return found

    def forget(self, conversation: Conversation) -> None:
        """It is over."""
        key = conversation.door, conversation.want.reach.remote
        del self._numbers[conversation.want.number]
        del self._discriminators[conversation.session.discriminator]
        self._remotes[key].remove(conversation)
        if not self._remotes[key]:
            del self._remotes[key]
        conversation.close()

    def doors(self) -> dict[Door, list[Conversation]]:
        """What has to be listened on, and who listens there."""
        found: dict[Door, list[Conversation]] = {}
        for (door, _remote), conversations in self._remotes.items():
            found.setdefault(door, []).extend(conversations)
        return found

    def arrived(self, door: Door, arrival: Arrival, now: float) -> None:
        """Hands a datagram to whom it concerns, if anybody."""
        there = self._remotes.get((door, arrival.remote))
        if there is None:
            return
        try:
            packet = packets.decode(arrival.data)
        except DecodeError as error:
            for conversation in there:
                conversation.discard(error.wrong, str(error))
            return
        found = self._find(packet, arrival, there)
        if found is not None:
            found.receive(packet, arrival.ttl, now)

    def echoed(self, data: bytes, now: float) -> None:
        """Hands an Echo packet that returned to whom it is of."""
        payload = echo.decode(data)
        found = payload and self._discriminators.get(payload.discriminator)
        if payload and found:
            found.echoed(payload, now)

    def _find(
        self, packet: Packet, arrival: Arrival, there: list[Conversation]
    ) -> Conversation | None:
        """Whoever knows a discriminator must still be the peer, on the peer's interface."""
        if packet.your_discriminator:
            found = self._discriminators.get(packet.your_discriminator)
            return found if found in there and found and found.fits(arrival) else None
        return next((item for item in there if item.fits(arrival)), None)
