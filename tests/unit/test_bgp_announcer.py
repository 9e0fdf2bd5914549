"""The BGP announcer against a small router on loopback: real TCP, real messages."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import ClassVar

import pytest

from bellmetal.announcer import Desired, Password
from bellmetal.config import BFDProfile, Community
from bellmetal.facts import BFDFacts, BFDState, Facts, SessionFacts, SessionState, SessionTrouble
from bellmetal.intents import Attributes, NodeSet, PeerPlan, Route
from bellmetal_bgp import wire
from bellmetal_bgp.announcer import BGPAnnouncer
from bellmetal_bgp.bfd.detector import Wish
from bellmetal_bgp.capabilities import GracefulRestart
from bellmetal_bgp.connection import Connection
from bellmetal_bgp.messages import Keepalive, Notification
from bellmetal_bgp.notifications import Cease, Code, hard, reset
from bellmetal_bgp.sockets import Listener
from bgp_facts import peer, route
from bgp_router import ADDRESS, PATIENCE, SPOKEN, Heard, Router, context, soon

EVERYBODY = {"all": NodeSet("all", {"n1": "", "n2": ""})}
ONE, TWO = "198.51.100.1/32", "198.51.100.2/32"


class Detector:
    """A `bfd.detector.Detector` in memory."""

    latest: ClassVar[Detector]

    def __init__(self, changed: Callable[[str], None], clock: Callable[[], float]) -> None:
        self.changed, self.wishes = changed, dict[str, Wish]()
        self.known: dict[str, BFDFacts] = {}
        Detector.latest = self

    def want(self, wishes: Mapping[str, Wish]) -> None:
        self.wishes = dict(wishes)

    def facts(self, name: str) -> BFDFacts | None:
        return self.known.get(name)

    def say(self, name: str, state: BFDState, **fields: object) -> None:
        self.known[name] = replace(BFDFacts(state, 0.0), **fields)  # type: ignore[arg-type]
        self.changed(name)

    async def close(self, gracefully: bool) -> None:
        """Nothing to close."""


class Stage:
    """A router, an announcer that does not know of it yet, and short ways to say things."""

    def __init__(self, router: Router) -> None:
        self.router, self.changes = router, 0
        self.it = BGPAnnouncer(context(time.monotonic, self._changed))

    def _changed(self) -> None:
        self.changes += 1

    def plan(self, name: str = "router", **fields: object) -> PeerPlan:
        address = ipaddress.ip_address(ADDRESS)
        return replace(peer(name), address=address, port=self.router.port, **fields)  # type: ignore[arg-type]

    async def apply(
        self,
        *routes: Route | str,
        peers: tuple[PeerPlan, ...] | None = None,
        passwords: Mapping[str, bytes] | None = None,
        draining: bool = False,
    ) -> None:
        sets = EVERYBODY
        if draining:
            sets = {"all": replace(EVERYBODY["all"], draining=frozenset({"n1"}))}
        await self.it.apply(
            Desired(
                node_sets=sets,
                routes=tuple(route(r) if isinstance(r, str) else r for r in routes),
                peers=(self.plan(),) if peers is None else peers,
                passwords={n: Password(v) for n, v in (passwords or {}).items()},
            )
        )

    async def up(self, *routes: Route | str, **fields: object) -> Heard:
        """A session that is established and has told its routes."""
        await self.apply(*routes, peers=(self.plan(**fields),))
        await soon(lambda: self.facts().state is SessionState.ESTABLISHED, "the session")
        await soon(lambda: self.router.last.learned.ended, "its End-of-RIB")
        return self.router.last

    def facts(self, name: str = "router") -> SessionFacts:
        return next(item for item in self.it.status().sessions if item.peer == name)

    def sent(self) -> dict[str, set[str]]:
        return {str(network): set(names) for network, names in self.it.status().sent.items()}


@pytest.fixture(autouse=True)
def detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellmetal_bgp.announcer.Detector", Detector)
    monkeypatch.setattr(wire, "FAREWELL", 0.05)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Router() as router:
        made = Stage(router)
        await made.it.start()
        try:
            yield made
        finally:
            await made.it.close(gracefully=True)


async def settle() -> None:
    """What was handed to the wire has arrived: loopback, and both ends are this loop's."""
    for _ in range(20):
        await asyncio.sleep(0.001)


# --- routes --------------------------------------------------------------------------------------


async def test_a_route_arrives_and_is_said_to_be_sent(stage: Stage) -> None:
    heard = await stage.up(ONE, TWO)
    assert heard.learned.prefixes() == {ONE, TWO}
    assert stage.sent() == {ONE: {"router"}, TWO: {"router"}}
    facts = stage.facts()
    assert (facts.prefixes_sent, facts.prefixes_pending) == (2, 0)
    assert facts.remote == ADDRESS
    assert stage.changes > 0
    assert stage.it.status().settled


async def test_the_same_again_sends_nothing(stage: Stage) -> None:
    heard = await stage.up(ONE, TWO)
    before, updates = stage.it.status(), heard.updates
    for _ in range(3):
        await stage.apply(TWO, ONE)
    await settle()
    assert heard.updates == updates
    after = stage.it.status()
    assert after.sent == before.sent
    assert [replace(s, counters={}) for s in after.sessions] == [
        replace(s, counters={}) for s in before.sessions
    ]


async def test_one_route_changed_is_one_update(stage: Stage) -> None:
    many = [f"198.51.{n}.0/24" for n in range(50)]
    heard = await stage.up(*many)
    updates = heard.updates
    changed = route(many[7], attributes=Attributes(communities=(Community((64512, 7)),)))
    await stage.apply(*many[:7], changed, *many[8:])
    await soon(lambda: heard.updates > updates)
    await settle()
    assert heard.updates == updates + 1
    await stage.apply(*many[:7], *many[8:])
    await soon(lambda: many[7] not in heard.learned.prefixes())
    assert heard.updates == updates + 2
    assert many[7] not in stage.sent()


async def test_a_route_for_another_peer_is_not_sent(stage: Stage) -> None:
    other = route(TWO, peers=frozenset({"another"}))
    heard = await stage.up(ONE, other)
    assert heard.learned.prefixes() == {ONE}
    assert stage.sent() == {ONE: {"router"}}


async def test_nothing_counts_as_sent_before_it_is_established(stage: Stage) -> None:
    async def nothing(heard: Heard) -> None:
        """It does not even greet."""

    stage.router.greet = nothing
    await stage.apply(ONE)
    await soon(lambda: stage.facts().state is SessionState.OPEN_SENT)
    assert stage.sent() == {}
    assert stage.facts().prefixes_sent == 0


def communities(heard: Heard) -> set[tuple[bytes, ...]]:
    return {path.communities for path in heard.learned.routes.values()}


async def test_a_drain_says_graceful_shutdown_and_then_withdraws(stage: Stage) -> None:
    heard = await stage.up(ONE, drain_time=0.2)
    await stage.apply(ONE, peers=(stage.plan(drain_time=0.2),), draining=True)
    await soon(
        lambda: {p.communities for p in heard.learned.routes.values()} == {(b"\xff\xff\0\0",)}
    )
    assert stage.sent() == {ONE: {"router"}}
    await soon(lambda: not heard.learned.routes, "the withdrawal")
    assert stage.sent() == {}
    await stage.apply(ONE, peers=(stage.plan(drain_time=0.2),))
    await soon(lambda: heard.learned.prefixes() == {ONE}, "its return")
    assert len(stage.router.calls) == 1


# --- peers ---------------------------------------------------------------------------------------

LIVE: list[dict[str, object]] = [
    {"keepalive_time": 5},
    {"connect_time": 7},
    {"drain_time": 1.5},
    {"max_prefixes": 1},
    {"uid": "another"},
    {"bfd": BFDProfile("fast")},
    {"node_set": "others"},
]


@pytest.mark.parametrize("fields", LIVE, ids=lambda fields: next(iter(fields)))
async def test_what_changes_without_a_reset(stage: Stage, fields: dict[str, object]) -> None:
    heard = await stage.up(ONE, TWO)
    await stage.apply(ONE, TWO, peers=(stage.plan(**fields),))
    await settle()
    assert not heard.ended
    assert len(stage.router.calls) == 1
    facts = stage.facts()
    assert facts.flaps == 0
    if "keepalive_time" in fields:
        assert facts.negotiated is not None
        assert facts.negotiated.keepalive_time == 5.0
    if "max_prefixes" in fields:
        assert heard.learned.prefixes() == {ONE}
        assert facts.warnings == ("1 of 2 IPv4 unicast prefixes are not sent: 1 at most",)
    if "uid" in fields:
        assert facts.uid == "another"
    if "bfd" in fields:
        assert Detector.latest.wishes.keys() == {"router"}


async def test_a_changed_peer_resets_its_own_session_alone(stage: Stage) -> None:
    async with Router(address="127.0.0.3") as second:
        address = ipaddress.ip_address("127.0.0.3")
        other = replace(stage.plan("other"), address=address, port=second.port)
        await stage.apply(ONE, peers=(stage.plan(), other))
        await soon(lambda: stage.router.calls and stage.router.last.learned.ended)
        await soon(lambda: second.calls and second.last.learned.ended)
        assert stage.sent() == {ONE: {"router", "other"}}
        changed = replace(other, hold_time=30)
        await stage.apply(ONE, peers=(stage.plan(), changed))
        await soon(lambda: len(second.calls) == 2 and second.last.learned.ended)
        assert second.calls[0].said == bytes([Code.CEASE, Cease.PEER_DECONFIGURED])
        assert (len(stage.router.calls), stage.router.last.ended) == (1, False)
        await soon(lambda: stage.sent() == {ONE: {"router", "other"}})
        await stage.apply(ONE, peers=(stage.plan(),))
        await soon(lambda: second.calls[1].ended)
        assert [facts.peer for facts in stage.it.status().sessions] == ["router"]
        assert not stage.router.last.ended


async def test_two_peers_with_one_address(stage: Stage) -> None:
    first, twin = stage.plan("a"), stage.plan("b")
    await stage.apply(ONE, peers=(twin, first))
    await soon(lambda: stage.facts("a").state is SessionState.ESTABLISHED)
    facts = stage.facts("b")
    assert (facts.state, facts.trouble) == (SessionState.IDLE, SessionTrouble.DUPLICATE)
    assert facts.message == (
        "another BGPPeer of this node has 127.0.0.2 too; only the first by name is in force"
    )
    assert len(stage.router.calls) == 1
    await stage.apply(ONE, peers=(twin,))
    await soon(lambda: stage.facts("b").state is SessionState.ESTABLISHED)


async def test_a_password_that_is_missing_and_comes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellmetal_bgp.peering.PATIENCE", 0.2)
    signed = stage.plan(signed=True, connect_time=1)
    await stage.apply(ONE, peers=(signed,))
    await soon(lambda: stage.facts().trouble is SessionTrouble.NO_PASSWORD)
    assert stage.facts().message == (
        "its password has not reached this node: no file router can be read where passwords are"
        " (the Secret bellmetal-bgp-passwords, --bgp-password-dir)"
    )
    await stage.apply(ONE, peers=(signed,), passwords={"router": b""})
    await settle()
    assert stage.facts().trouble is SessionTrouble.NO_PASSWORD, "an empty one would sign nothing"
    assert stage.router.calls == []
    await stage.apply(ONE, peers=(signed,), passwords={"router": b"s3cret"})
    wrong = SessionTrouble.WRONG_PASSWORD, SessionTrouble.UNSUPPORTED  # a kernel without MD5
    await soon(lambda: stage.facts().trouble in wrong)
    assert "s3cret" not in repr(stage.it.status())


@pytest.mark.parametrize(
    ("fields", "trouble", "message"),
    [
        ({"port": 1}, SessionTrouble.REFUSED, "127.0.0.2 port 1: nobody listens there"),
        (
            {"source_address": ipaddress.ip_address("203.0.113.9")},
            SessionTrouble.NO_SOURCE,
            "spec.sourceAddress 203.0.113.9 is not an address of this node:"
            " Cannot assign requested address",
        ),
        (
            {"interface": "nowhere0", "address": None},
            SessionTrouble.NO_INTERFACE,
            "this node has no interface nowhere0",
        ),
        (
            {"peer_asn": 65000},
            SessionTrouble.WRONG_ASN,
            "the peer is in AS 64513, spec.peerASN is 65000",
        ),
    ],
)
async def test_what_is_wrong_is_said(
    stage: Stage, fields: dict[str, object], trouble: SessionTrouble, message: str
) -> None:
    await stage.apply(ONE, peers=(replace(stage.plan(), **fields),))  # type: ignore[arg-type]
    await soon(lambda: stage.facts().trouble is trouble, f"{trouble}: {stage.facts()}")
    assert stage.facts().message == message
    assert stage.facts().state is not SessionState.ESTABLISHED


async def test_a_peer_that_hangs_up_at_once(stage: Stage) -> None:
    async def hang_up(heard: Heard) -> None:
        heard.writer.close()

    stage.router.greet = hang_up
    await stage.apply(ONE)
    await soon(lambda: stage.facts().trouble is SessionTrouble.RESET)
    assert stage.facts().error


async def test_a_bad_peer_stops_no_other(stage: Stage) -> None:
    bad = replace(stage.plan("bad"), address=None, interface="nowhere0")
    await stage.apply(ONE, peers=(bad, stage.plan()))
    await soon(lambda: stage.facts().state is SessionState.ESTABLISHED)


# --- the end -------------------------------------------------------------------------------------


async def test_a_planned_end_is_told_in_words(stage: Stage) -> None:
    heard = await stage.up(ONE)
    await stage.it.close(gracefully=True)
    await soon(lambda: heard.ended)
    assert heard.said is not None
    assert heard.said[:2] == bytes([Code.CEASE, Cease.ADMINISTRATIVE_SHUTDOWN])
    assert heard.said[3:] == b"the speaker of n1 stops"


async def test_a_peer_that_keeps_routes_is_left_without_a_word(stage: Stage) -> None:
    restart = GracefulRestart(notification=True)
    capabilities = replace(SPOKEN.capabilities, graceful_restart=restart)
    stage.router.opened = replace(SPOKEN, capabilities=capabilities)
    heard = await stage.up(ONE, graceful_restart=True)
    await stage.it.close(gracefully=True)
    await soon(lambda: heard.ended)
    assert heard.said is None
    assert heard.types[-1] != 3


async def test_a_peer_that_keeps_routes_is_told_when_it_is_for_good(stage: Stage) -> None:
    restart = GracefulRestart(notification=True)
    capabilities = replace(SPOKEN.capabilities, graceful_restart=restart)
    stage.router.opened = replace(SPOKEN, capabilities=capabilities)
    heard = await stage.up(ONE, graceful_restart=True)
    await stage.apply(peers=())
    await soon(lambda: heard.ended)
    gone = hard(Notification(Code.CEASE, Cease.PEER_DECONFIGURED))
    assert heard.said == bytes([gone.code, gone.subcode]) + gone.data


async def test_after_its_end_nothing_happens_any_more(stage: Stage) -> None:
    heard = await stage.up(ONE, drain_time=0.05)
    await stage.apply(ONE, peers=(stage.plan(drain_time=0.05),), draining=True)
    await stage.it.close(gracefully=False)
    await soon(lambda: heard.ended)
    changes = stage.changes
    await asyncio.sleep(0.1)
    assert (stage.changes, len(stage.router.calls)) == (changes, 1)
    assert stage.it.status().sessions == ()


@pytest.mark.slow
async def test_after_a_reset_by_the_peer_it_comes_back(stage: Stage) -> None:
    heard = await stage.up(ONE, connect_time=1)
    heard.say(reset("a new configuration"))
    await soon(lambda: heard.ended)
    facts = stage.facts()
    assert facts.trouble is SessionTrouble.SHUTDOWN_BY_PEER
    assert facts.message == 'the peer ended it: Cease: administrative reset: "a new configuration"'
    assert stage.sent() == {}
    await soon(lambda: len(stage.router.calls) == 2 and stage.router.last.learned.ended)
    assert stage.router.last.learned.prefixes() == {ONE}
    assert stage.facts().flaps == 1


# --- BFD -----------------------------------------------------------------------------------------


async def test_bfd_is_wanted_from_the_first_connection_on(stage: Stage) -> None:
    profile = BFDProfile("fast", 50, 50, 3)
    await stage.up(ONE, bfd=profile)
    (wish,) = Detector.latest.wishes.values()
    assert (str(wish.remote), str(wish.local), wish.profile) == (ADDRESS, "127.0.0.1", profile)
    await stage.apply(ONE)
    assert Detector.latest.wishes == {}
    assert len(stage.router.calls) == 1


async def test_bfd_down_ends_the_session(stage: Stage) -> None:
    heard = await stage.up(ONE, bfd=BFDProfile("fast"))
    detector = Detector.latest
    detector.say("router", BFDState.DOWN)
    detector.say("router", BFDState.UP)
    await settle()
    assert not heard.ended
    detector.say("router", BFDState.DOWN, diagnostic="control detection time expired")
    await soon(lambda: heard.ended)
    assert heard.said == bytes([Code.CEASE, Cease.BFD_DOWN])
    assert stage.facts().message == "BFD: control detection time expired"
    bfd = stage.facts().bfd
    assert bfd is not None
    assert bfd.state is BFDState.DOWN


async def test_a_peer_that_switches_bfd_off_has_not_failed(stage: Stage) -> None:
    heard = await stage.up(ONE, bfd=BFDProfile("fast"))
    Detector.latest.say("router", BFDState.UP)
    Detector.latest.say("router", BFDState.DOWN, remote_state=BFDState.ADMIN_DOWN)
    await settle()
    assert not heard.ended


# --- peers that call -----------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


@pytest.fixture
async def calls(stage: Stage) -> int:
    """A passive peer; the port that it is to call."""
    port = free_port()
    await stage.apply(ONE, peers=(replace(stage.plan(passive=True), port=port),))
    assert stage.facts().trouble is SessionTrouble.WAITING
    return port


async def test_a_passive_peer_calls(stage: Stage, calls: int) -> None:
    heard = await stage.router.call("127.0.0.1", calls)
    await soon(lambda: stage.facts().state is SessionState.ESTABLISHED)
    await soon(lambda: heard.learned.prefixes() == {ONE})
    assert stage.sent() == {ONE: {"router"}}


async def test_a_stranger_calls(stage: Stage, calls: int) -> None:
    async with Router(address="127.0.0.9") as stranger:
        heard = await stranger.call("127.0.0.1", calls)
        await soon(lambda: heard.ended)
        assert heard.types == []
    assert stage.facts().state is SessionState.ACTIVE


async def test_calls_again_and_again_leave_one_connection(stage: Stage, calls: int) -> None:
    """Each is the peer's; it has given up the ones before."""

    async def nothing(heard: Heard) -> None:
        """It calls and says nothing."""

    stage.router.greet = nothing
    heard = [await stage.router.call("127.0.0.1", calls) for _ in range(40)]
    await soon(lambda: sum(not one.ended for one in heard) == 1, "all but one to be closed")
    assert stage.facts().state is SessionState.OPEN_SENT


async def test_a_port_that_is_taken_is_said_and_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bellmetal_bgp.calls.RETRY", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        await stage.apply(ONE, peers=(replace(stage.plan(passive=True), port=port),))
        words = f"cannot listen on TCP port {port}: another program of this node does"
        assert stage.facts().trouble is SessionTrouble.CANNOT_LISTEN
        assert stage.facts().message.startswith(words)
        (finding,) = stage.it.status().findings
        assert (finding.code, finding.message) == ("cannotListen", stage.facts().message)
    await soon(lambda: stage.facts().trouble is SessionTrouble.WAITING)
    assert stage.it.status().findings == ()
    await stage.router.call("127.0.0.1", port)
    await soon(lambda: stage.facts().state is SessionState.ESTABLISHED)


async def test_nobody_listens_any_more_when_the_peer_is_gone(stage: Stage, calls: int) -> None:
    await stage.apply(ONE, peers=())
    with pytest.raises(ConnectionRefusedError):
        await stage.router.call("127.0.0.1", calls)


async def test_without_files_left_it_does_not_spin(
    stage: Stage, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket with calls that cannot be taken is readable all the time."""
    tried = []

    def full(*_: object) -> None:
        tried.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    accept = Listener.accept
    monkeypatch.setattr("bellmetal_bgp.calls.PAUSE", 0.2)
    monkeypatch.setattr(Listener, "accept", full)
    await stage.router.call("127.0.0.1", calls)
    await soon(lambda: tried)
    await settle()
    assert len(tried) == 1
    monkeypatch.setattr(Listener, "accept", accept)
    await soon(lambda: stage.facts().state is SessionState.ESTABLISHED)


async def test_a_call_that_cannot_be_placed_is_closed(
    stage: Stage, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr("bellmetal_bgp.host.ports", gone)
    heard = await stage.router.call("127.0.0.1", calls)
    await soon(lambda: heard.ended)


async def test_a_signed_peer_that_becomes_unsigned_may_call(stage: Stage) -> None:
    """The key on the listening socket goes, too."""
    plan = replace(stage.plan(passive=True, signed=True), port=free_port())
    await stage.apply(ONE, peers=(plan,), passwords={"router": b"s3cret"})
    if stage.facts().trouble is SessionTrouble.CANNOT_LISTEN:
        pytest.skip(stage.facts().message)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await stage.router.call("127.0.0.1", plan.port)
            pytest.fail("an unsigned call was taken")
    await stage.apply(ONE, peers=(replace(plan, signed=False),))
    async with asyncio.timeout(PATIENCE):
        await stage.router.call("127.0.0.1", plan.port)
    await soon(lambda: stage.facts().state is SessionState.ESTABLISHED)


# --- what must not happen, and is said if it does ------------------------------------------------


@pytest.mark.slow
async def test_what_breaks_inside_is_no_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours costs a connection, not the peer."""
    heard = await stage.up(ONE, connect_time=1)
    received = Connection.receive

    def broken(*_: object) -> object:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Connection, "receive", broken)
    heard.say(Keepalive())
    await soon(lambda: heard.ended)
    monkeypatch.setattr(Connection, "receive", received)
    await soon(lambda: stage.facts().state is SessionState.ESTABLISHED)


def test_facts_before_anything_was_applied() -> None:
    it = BGPAnnouncer(context(time.monotonic))
    assert it.status() == Facts(settled=True)
