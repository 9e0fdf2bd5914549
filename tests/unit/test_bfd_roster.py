"""Whose packet is it, and what becomes of it: the process without sockets."""

from __future__ import annotations

import contextlib
import errno
import gc
import random
import socket

import pytest

from bellmetal_bgp.bfd import packets, wishes
from bellmetal_bgp.bfd.conversation import AGAIN, Conversation
from bellmetal_bgp.bfd.packets import Packet, State
from bellmetal_bgp.bfd.roster import MOST_SESSIONS, CrowdedError, Roster
from bellmetal_bgp.bfd.session import Timers
from bellmetal_bgp.bfd.sockets import Arrival, Door, Sender
from bellmetal_bgp.bfd.wishes import Reach, Want

PEER = Reach("10.0.0.2")
FAR = Reach("10.9.0.2", "10.0.0.1", "", True)
FAST = Timers(50_000, 50_000, 3)
DOOR, FAR_DOOR = Door(socket.AF_INET, 3784, ""), Door(socket.AF_INET, 4784, "")
HELLO = Packet(State.DOWN, 3, 99, 0, 50_000, 50_000)


class Voice:
    """Takes down what is sent; may fail."""

    def __init__(self) -> None:
        self.sent: list[Packet] = []
        self.error = 0
        self.local = "10.0.0.1"
        self.closed = False

    def send(self, data: bytes) -> int:
        if not self.error:
            self.sent.append(packets.decode(data))
        return self.error

    def close(self) -> None:
        self.closed = True


class Stage:
    def __init__(self) -> None:
        self.voices: list[Voice] = []
        self.opening: OSError | None = None
        self.roster = Roster(self._make, random.Random(1))
        self.now = 10.0

    def _make(self, want: Want, discriminator: int, now: float) -> Conversation:
        return Conversation(want, discriminator, random.Random(2), now, self._speak)

    def _speak(self, *_: object) -> Voice:
        if self.opening is not None:
            raise self.opening
        self.voices.append(Voice())
        return self.voices[-1]

    def want(self, number: int = 1, reach: Reach = PEER, **fields: int) -> Conversation:
        self.roster.want(Want(number, reach, FAST, **fields), self.now)
        found = self.roster.get(number)
        assert found is not None
        return found

    def hear(
        self,
        packet: Packet | bytes,
        remote: str = "10.0.0.2",
        local: str = "10.0.0.1",
        ttl: int = 255,
        interface: int = 3,
        door: Door = DOOR,
    ) -> None:
        data = packet if isinstance(packet, bytes) else packet.encode()
        self.roster.arrived(door, Arrival(data, remote, local, ttl, interface), self.now)

    def tick(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            due = [(c.deadline, c) for c in self.roster if c.deadline is not None]
            soon = min(due, key=lambda item: item[0], default=None)
            if soon is None or soon[0] > end:
                break
            self.now = max(self.now, soon[0])
            soon[1].tick(self.now)
        self.now = end


@pytest.fixture
def stage() -> Stage:
    return Stage()


def message(conversation: Conversation) -> str:
    return conversation.tell().message


def test_a_first_packet_is_its_peers(stage: Stage) -> None:
    one, other = stage.want(1), stage.want(2, Reach("10.0.0.3"))
    stage.hear(HELLO)
    assert (one.session.state, other.session.state) == (State.INIT, State.DOWN)


def test_a_packet_with_a_discriminator_is_whose_that_is(stage: Stage) -> None:
    one = stage.want()
    stage.hear(HELLO)
    init = HELLO._replace(state=State.INIT)
    stage.hear(init._replace(your_discriminator=one.session.discriminator ^ 1))
    assert one.session.state is State.INIT
    stage.hear(init._replace(your_discriminator=one.session.discriminator))
    assert one.session.state is State.UP


def test_a_discriminator_does_not_help_a_stranger(stage: Stage) -> None:
    one = stage.want()
    mine = HELLO._replace(your_discriminator=one.session.discriminator)
    stage.hear(mine, remote="10.0.0.66")
    stage.want(2, Reach("10.0.0.66"))
    stage.hear(mine, remote="10.0.0.66")
    assert one.session.state is State.DOWN
    assert one.tell().counters["control_packet_input"] == 0


@pytest.mark.parametrize("ttl", [254, 1, 0, -1])
def test_a_single_hop_is_one_hop(stage: Stage, ttl: int) -> None:
    """RFC 5881, section 5."""
    one = stage.want()
    stage.hear(HELLO, ttl=ttl)
    assert one.session.state is State.DOWN
    assert f"they come with TTL {ttl}, at least 255 is needed" in message(one)
    stage.hear(HELLO)
    assert "TTL" not in message(one)


@pytest.mark.parametrize(
    ("ttl", "state"), [(249, State.DOWN), (250, State.INIT), (255, State.INIT)]
)
def test_several_hops_are_as_many_as_the_profile_says(stage: Stage, ttl: int, state: State) -> None:
    """RFC 5883, section 5."""
    far = stage.want(1, FAR, minimum_ttl=250)
    stage.hear(HELLO, remote="10.9.0.2", ttl=ttl, door=FAR_DOOR)
    assert far.session.state is state


def test_each_port_has_its_own_sessions(stage: Stage) -> None:
    one = stage.want()
    stage.hear(HELLO, door=FAR_DOOR)
    stage.hear(HELLO, door=Door(socket.AF_INET, 3784, "red"))
    assert one.session.state is State.DOWN


def test_an_address_of_ours_that_is_asked_for_is_the_one(stage: Stage) -> None:
    one = stage.want(1, PEER._replace(local="10.0.0.1"))
    stage.hear(HELLO, local="10.0.0.7")
    assert one.session.state is State.DOWN
    stage.hear(HELLO)
    assert one.session.state is State.INIT


def test_a_packet_on_another_interface_is_not_its_own(stage: Stage) -> None:
    name, index = socket.if_nameindex()[0][::-1]
    one = stage.want(1, PEER._replace(interface=name))
    stage.hear(HELLO, interface=index + 1000)
    assert one.session.state is State.DOWN
    stage.hear(HELLO, interface=index)
    assert one.session.state is State.INIT


def test_one_link_local_address_on_two_interfaces_is_two_peers(stage: Stage) -> None:
    door = Door(socket.AF_INET6, 3784, "")
    name, index = socket.if_nameindex()[0][::-1]
    one = stage.want(1, Reach("fe80::1", interface="no-such-if"))
    two = stage.want(2, Reach("fe80::1", interface=name))
    stage.hear(HELLO, remote="fe80::1", local="fe80::2", interface=index, door=door)
    assert (one.session.state, two.session.state) == (State.DOWN, State.INIT)


def test_what_does_not_decode_is_told_of_its_sender_alone(stage: Stage) -> None:
    one, other = stage.want(1), stage.want(2, Reach("10.0.0.3"))
    stage.hear(HELLO.encode()[:20])
    assert message(one).endswith("discarded: 20 bytes are too short for BFD")
    assert message(other) == "10.0.0.3 has never answered on UDP port 3784"


def test_wanted_again_with_other_timers_it_is_the_same_session(stage: Stage) -> None:
    one = stage.want()
    stage.hear(HELLO)
    before = one.session
    stage.roster.want(Want(1, PEER, Timers(100_000, 100_000, 5)), stage.now)
    assert one.session is before
    assert one.tell().multiplier == 5


def test_wanted_again_while_it_says_goodbye_it_is_a_new_one(stage: Stage) -> None:
    one = stage.want()
    stage.hear(HELLO)
    one.stop(stage.now)
    assert not one.over
    new = stage.want(2)
    assert stage.roster.get(1) is None
    assert new.session.state is State.DOWN
    stage.hear(HELLO)
    assert new.session.state is State.INIT


def test_a_number_is_not_given_twice(stage: Stage) -> None:
    stage.want()
    with pytest.raises(CrowdedError, match=r"^session 1 is another one's$"):
        stage.roster.want(Want(1, FAR, FAST), stage.now)


def test_sessions_are_bounded(stage: Stage) -> None:
    for number in range(MOST_SESSIONS):
        stage.want(number, Reach(f"10.1.{number >> 8}.{number & 255}"))
    with pytest.raises(CrowdedError, match=r"^there are 1000 sessions, no more are kept$"):
        stage.want(MOST_SESSIONS)


def test_doors_are_those_of_the_sessions(stage: Stage) -> None:
    one, two = stage.want(1), stage.want(2, Reach("10.0.0.3"))
    far, six = stage.want(3, FAR), stage.want(4, Reach("fd00::1", vrf="red"))
    door6 = Door(socket.AF_INET6, 3784, "red")
    assert stage.roster.doors() == {DOOR: [one, two], FAR_DOOR: [far], door6: [six]}
    stage.roster.forget(one)
    assert stage.roster.doors()[DOOR] == [two]


def test_what_cannot_be_opened_is_told_and_tried_again(stage: Stage) -> None:
    stage.opening = OSError(errno.ENODEV, "no such device")
    one = stage.want(1, PEER._replace(interface="eth9"))
    stage.tick(0)
    assert message(one) == "interface eth9 is not there"
    stage.opening = None
    stage.tick(1 + AGAIN)
    assert [p.state for p in stage.voices[0].sent] == [State.DOWN]
    assert one.tell().counters["control_packet_output"] == 1


def test_what_has_lost_its_address_is_opened_anew(stage: Stage) -> None:
    one = stage.want()
    stage.tick(0)
    stage.voices[0].error = errno.EINVAL
    stage.tick(2)
    assert stage.voices[0].closed
    assert stage.voices[1].sent
    assert message(one) == "10.0.0.2 has never answered on UDP port 3784"


def test_what_icmp_says_is_told_and_no_reason_to_begin_anew(stage: Stage) -> None:
    one = stage.want()
    stage.tick(0)
    stage.voices[0].error = errno.ECONNREFUSED
    stage.tick(2)
    assert message(one) == "10.0.0.2 refuses packets to UDP port 3784: no BFD runs there"
    assert len(stage.voices) == 1


def test_a_flood_of_a_stranger_touches_nothing(stage: Stage) -> None:
    one = stage.want()
    one.touched = False
    for number in range(5000):
        stage.hear(HELLO, remote=f"10.2.{number >> 8}.{number & 255}")
    assert not one.touched
    assert len(stage.roster) == 1


def test_what_is_thrown_away_is_no_cycle(stage: Stage) -> None:
    """Nobody collects those in the process that keeps time."""
    one = stage.want(1, PEER._replace(interface="no-such-if"))
    one._speak = Sender
    far = stage.want(2, FAR)
    gc.collect()
    gc.disable()
    try:
        for length in range(30):
            stage.hear(HELLO.encode()[:length].ljust(length, b"\1"))
        stage.hear(HELLO)
        for state in State:
            stage.hear(HELLO._replace(state=state), remote="10.9.0.2", door=FAR_DOOR)
        stage.tick(20)
        for line in (b"want 1", b"\xff", b"forget 1 2"):
            with contextlib.suppress(wishes.WordError):
                wishes.decode(line)
        assert message(one) == "interface no-such-if is not there"
        assert stage.voices[0].sent
        assert far.tell().counters["control_packet_input"] > 0
        assert gc.collect() == 0
    finally:
        gc.enable()
