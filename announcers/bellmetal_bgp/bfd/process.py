"""The small process that keeps BFD's time: ``python -m bellmetal_bgp.bfd.process``.

The speaker's event loop may stand still for longer than a Detection Time while it takes in
thousands of intents, so BFD has a process of its own: one poll loop over the sockets, the
monotonic clock, no garbage collector, next to nothing imported. It is started with one end of a
socketpair as its standard input, takes orders there, tells what its sessions are like, and ends
when the other end closes.
"""

from __future__ import annotations

import gc
import math
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable
from functools import partial

from bellmetal_bgp.bfd import echo, sockets, wishes
from bellmetal_bgp.bfd.conversation import Conversation
from bellmetal_bgp.bfd.roster import CrowdedError, Roster
from bellmetal_bgp.bfd.sockets import Door, Queue, Receiver
from bellmetal_bgp.bfd.wishes import Close, Forget, Want, WordError

MOST_PER_TURN = 256  # datagrams read from a socket before timers get their turn
MOST_STRANGERS = 32  # of those that know no discriminator of ours
LISTEN_EVERY = 1.0  # seconds between looks at what is listened on
COUNT_EVERY = 5.0  # seconds between two reports of mere counters


class Process:
    """All sessions, by the numbers that the speaker gave them."""

    def __init__(
        self, notes: sockets.Notes, clock: Callable[[], float], dice: random.Random
    ) -> None:
        self._notes, self._clock = notes, clock
        self._roster = Roster(
            lambda want, discriminator, now: Conversation(want, discriminator, dice, now), dice
        )
        self._receivers: dict[Door, Receiver] = {}
        self._echoes: sockets.Echoes | None = None
        self._readers: dict[int, Callable[[float], None]] = {}  # by descriptor
        self._poll = select.poll()
        self._poll.register(notes, select.POLLIN)
        self._count_at = self._listen_at = clock()
        self._closing = False

    def run(self) -> None:
        """Until the speaker's end closes, or it said so and the peers have been told."""
        while not (self._closing and not self._roster):
            ready = self._poll.poll(self._patience())
            now = self._clock()
            for descriptor, _event in ready:
                if descriptor in self._readers:
                    self._readers[descriptor](now)
                elif not self._take_orders(now):
                    return
            self._tick(self._clock())

    def _patience(self) -> int:
        """Milliseconds until something is due, rounded up."""
        due = [c.deadline for c in self._roster if c.deadline is not None]
        return max(0, math.ceil((min([self._count_at, *due]) - self._clock()) * 1000))

    # --- orders -----------------------------------------------------------------------------------

    def _take_orders(self, now: float) -> bool:
        """Whether the speaker is still there."""
        while (data := self._notes.receive()) is not None:
            if not data:
                return False
            try:
                self._obey(wishes.decode(data), now)
            except (WordError, CrowdedError, OSError) as error:
                print(f"bfd: an order is not obeyed: {error}", file=sys.stderr, flush=True)
        self._listen()
        return True

    def _obey(self, order: wishes.Order, now: float) -> None:
        match order:
            case Want(reach=reach):
                local = sockets.canonical(reach.local) if reach.local else ""
                reach = reach._replace(remote=sockets.canonical(reach.remote), local=local)
                self._roster.want(order._replace(reach=reach), now)
            case Forget(number):
                conversation = self._roster.get(number)
                if conversation is not None:
                    conversation.stop(now)
            case Close():
                self._closing = True
                for conversation in self._roster:
                    conversation.stop(now)

    # --- receiving --------------------------------------------------------------------------------

    def _listen(self) -> None:
        """A receiver for each door that is needed; one that fails is tried again."""
        self._listen_at = self._clock() + LISTEN_EVERY
        self._listen_to_echoes()
        needed = self._roster.doors()
        for door in [*self._receivers]:
            if door not in needed:
                self._shut(door)
        for door, conversations in needed.items():
            error = self._open(door)
            for conversation in conversations:
                conversation.listening = error
            if not error:
                self._receivers[door].expect(
                    (item.want.reach.remote for item in conversations),
                    [item.session.discriminator for item in conversations],
                )

    def _open(self, door: Door) -> int:
        """The errno of why not; 0 if it is open."""
        if door in self._receivers:
            return 0
        try:
            receiver = Receiver(door)
        except OSError as error:
            return error.errno or -1
        self._receivers[door] = receiver
        for queue, most in ((receiver.known, MOST_PER_TURN), (receiver.strangers, MOST_STRANGERS)):
            self._read(queue, partial(self._receive, door, queue, most))
        return 0

    def _shut(self, door: Door) -> None:
        receiver = self._receivers.pop(door)
        for queue in (receiver.known, receiver.strangers):
            self._read(queue, None)
        receiver.close()

    def _read(self, source: Queue | sockets.Echoes, reader: Callable[[float], None] | None) -> None:
        """Calls the reader when there is something to read; None: no more."""
        if reader is None:
            del self._readers[source.fileno()]
            self._poll.unregister(source)
        else:
            self._readers[source.fileno()] = reader
            self._poll.register(source, select.POLLIN)

    def _receive(self, door: Door, queue: Queue, most: int, now: float) -> None:
        """Before timers: what waits in the socket was in time, whenever we come to read it."""
        for _ in range(most):
            arrival = queue.receive()
            if arrival is None:
                return
            self._roster.arrived(door, arrival, now)

    def _listen_to_echoes(self) -> None:
        """As long as anybody sends any."""
        wanted = [item for item in self._roster if item.want.timers.echo_us]
        error = 0
        if wanted and self._echoes is None:
            try:
                self._echoes = sockets.Echoes(echo.PORT)
            except OSError as problem:
                error = problem.errno or -1
            else:
                self._read(self._echoes, self._receive_echoes)
        elif self._echoes is not None and not wanted:
            self._read(self._echoes, None)
            self._echoes.close()
            self._echoes = None
        for item in wanted:
            item.cannot_echo(error)

    def _receive_echoes(self, now: float) -> None:
        for _ in range(MOST_PER_TURN):
            data = None if self._echoes is None else self._echoes.receive()
            if data is None:
                return
            self._roster.echoed(data, now)

    # --- time -------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        counting = now >= self._count_at
        if counting:
            self._count_at = now + COUNT_EVERY
        for conversation in self._roster:
            if conversation.deadline is not None and conversation.deadline <= now:
                conversation.tick(now)
            if conversation.touched or counting:
                conversation.touched = not self._tell(conversation, counting)
            if conversation.over:
                self._roster.forget(conversation)
                self._listen_at = now
        if now >= self._listen_at:
            self._listen()

    def _tell(self, conversation: Conversation, counting: bool) -> bool:
        """What changed is told at once, mere counters now and then; False: there is no room."""
        told, said = conversation.tell(), conversation.said
        if said is not None and not counting and told._replace(counters=said.counters) == said:
            return True
        if told != said and not self._notes.send(wishes.encode_told(told)):
            return False
        conversation.said = told
        return True


def main() -> None:
    """Standard input is one end of a `sockets.pair`."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the speaker says when it is over
        signal.signal(number, signal.SIG_IGN)
    process = Process(sockets.inherited(0), time.monotonic, random.Random(os.urandom(32)))
    gc.collect()
    gc.freeze()
    gc.disable()
    process.run()


if __name__ == "__main__":
    main()
