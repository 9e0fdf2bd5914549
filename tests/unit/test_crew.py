"""Announcers together: each node's share, and failures that stay one announcer's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Context, Desired, Password
from bellmetal.crew import Crew, Share
from bellmetal.facts import ClaimOrder, Facts, Finding, Owned
from bellmetal.intents import NodeSet
from bellmetal.sights import Look, LookKind
from bellmetal.slices import SliceContents
from bgp_facts import FakeAnnouncer, peer, prefix, route, up
from builders import addresses, announcement

SETS = {
    "all": NodeSet("all", {"n1": "", "n2": ""}),
    "others": NodeSet("others", {"n2": ""}),
    "unused": NodeSet("unused", {"n1": ""}),
}


def contents(**fields: object) -> SliceContents:
    return SliceContents(node_sets=SETS, **fields)  # type: ignore[arg-type]


def crew(*announcers: FakeAnnouncer) -> tuple[Crew, list[float]]:
    delays: list[float] = []
    found = Crew(delays.append)
    for one in announcers:
        found.add(one)
    return found, delays


# --- the share -----------------------------------------------------------------------------------


def share(contents: SliceContents, node: str, owned: Iterable[IPAddress] = ()) -> Desired:
    return Share(contents, node, {}).desired(lambda: owned)


def test_a_node_gets_the_routes_and_peers_of_the_sets_that_it_is_in() -> None:
    mine, theirs = route("198.51.100.1/32"), route("198.51.100.2/32", node_set="others")
    found = share(
        contents(routes=(mine, theirs), peers=(peer("a"), peer("b", node_set="others"))), "n1"
    )
    assert (found.routes, found.peers) == ((mine,), (peer("a"),))
    assert found.node_sets == {"all": SETS["all"]}


def test_a_peer_that_moves_between_slices_stands_once() -> None:
    """A route does not move: all of a prefix stay in one slice."""
    assert len(share(contents(peers=(peer(), peer())), "n1").peers) == 1


def test_a_set_that_nobody_knows_is_no_nodes() -> None:
    found = share(contents(routes=(route("198.51.100.1/32", node_set="lost"),)), "n1")
    assert found == Desired()


def test_addresses_that_a_node_has_to_hand_over_are_its_share_too() -> None:
    foreign = announcement("192.0.2.10", owner="n2", node_set="others")
    given = contents(announcements={foreign.address: foreign})
    assert share(given, "n1").announcements == ()
    assert share(given, "n1", set(addresses("192.0.2.10"))).announcements == (foreign,)


async def test_passwords_are_those_of_the_nodes_own_peers() -> None:
    one = FakeAnnouncer()
    mates, _ = crew(one)
    known = {name: Password(name.encode()) for name in ("router", "other")}
    await mates.apply(contents(peers=(peer("router"),)), "n1", known)
    assert one.last.passwords == {"router": Password(b"router")}
    assert "router" not in repr(one.last.passwords["router"])


# --- looks ---------------------------------------------------------------------------------------

LOOK = Look("a", LookKind.RESOLVE, addresses("192.0.2.10")[0])


class Blind:
    """An announcer that cannot look."""

    name = protocol = "blind"

    async def start(self) -> None:
        """Nothing to open."""

    def status(self) -> Facts:
        return Facts()


async def test_a_look_is_answered_by_the_first_whose_it_is() -> None:
    one, two, three = FakeAnnouncer("one"), FakeAnnouncer("two"), FakeAnnouncer("three")
    two.sights, three.sights = {LookKind.RESOLVE: "two"}, {LookKind.RESOLVE: "three"}
    mates, _ = crew(Blind(), one, two, three)  # type: ignore[arg-type]
    await mates.start()
    found = await mates.look(LOOK)
    assert found is not None
    assert found.message == "two"
    assert "look" not in three.calls


async def test_who_was_not_started_is_not_asked_to_look() -> None:
    one = FakeAnnouncer("one")
    one.sights = {LookKind.RESOLVE: "one"}
    mates, _ = crew(one)
    assert await mates.look(LOOK) is None


async def test_who_is_not_heard_is_named_once() -> None:
    one, two = FakeAnnouncer("one"), FakeAnnouncer("two")
    one.facts, two.facts = Facts(unheard=("n3", "n2")), Facts(unheard=("n2",))
    mates, _ = crew(one, two)
    assert mates.facts().unheard == ("n2", "n3")


# --- failures ------------------------------------------------------------------------------------


async def test_a_failing_apply_keeps_nobody_from_theirs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = FakeAnnouncer("bad"), FakeAnnouncer("good")
    bad.fails["apply"] = ValueError("no such thing")
    mates, delays = crew(bad, good)
    for _ in range(3):
        await mates.apply(contents(peers=(peer(),)), "n1", {})
    assert len(good.desired) == 3
    assert caplog.messages == ["announcer bad: apply failed, the others go on: no such thing"]
    assert [item.message for item in mates.findings()] == [
        "announcer bad: apply failed: no such thing"
    ]
    assert delays == [0.5, 1.0, 2.0]


async def test_what_succeeds_again_is_no_finding_any_more() -> None:
    one = FakeAnnouncer("one")
    one.fails["apply"] = OSError(13, "Permission denied")
    mates, delays = crew(one)
    await mates.apply(contents(), "n1", {})
    one.fails.clear()
    await mates.apply(contents(), "n1", {})
    assert mates.findings() == ()
    await mates.apply(contents(), "n1", {})
    assert delays == [0.5]


async def test_who_could_not_start_is_started_again_and_given_nothing_before() -> None:
    bad, good = FakeAnnouncer("bad"), FakeAnnouncer("good")
    bad.fails["start"] = OSError(1, "Operation not permitted")
    mates, _ = crew(bad, good)
    await mates.start()
    await mates.apply(contents(), "n1", {})
    assert (bad.desired, len(good.desired)) == ([], 1)
    bad.fails.clear()
    await mates.apply(contents(), "n1", {})
    assert (len(bad.desired), len(good.desired)) == (1, 2)
    assert good.calls.count("start") == 1


async def test_if_none_can_start_it_is_said_why() -> None:
    one = FakeAnnouncer()
    one.fails["start"] = OSError(1, "Operation not permitted")
    mates, _ = crew(one)
    with pytest.raises(OSError, match="Operation not permitted"):
        await mates.start()


async def test_a_failing_close_keeps_nobody_from_theirs() -> None:
    bad, good = FakeAnnouncer("bad"), FakeAnnouncer("good")
    mates, _ = crew(bad, good)
    await mates.start()
    bad.fails["close"] = RuntimeError("stuck")
    await mates.close(gracefully=True)
    assert (bad.calls[-1], good.calls[-1]) == ("close", "close")


async def test_who_cannot_say_what_it_sees_is_taken_at_its_last_word() -> None:
    one = FakeAnnouncer()
    one.facts = Facts(sessions=(up(),))
    mates, _ = crew(one)
    assert mates.sessions() == [up()]
    one.fails["status"] = KeyError("lost")
    assert mates.facts().sessions == (up(),)
    assert [item.code for item in mates.facts().findings] == ["announcerFailed"]


# --- what they see -------------------------------------------------------------------------------


def test_what_several_announcers_sent_is_one() -> None:
    one, two = FakeAnnouncer("one"), FakeAnnouncer("two")
    one.facts = Facts(sent={prefix("198.51.100.1/32"): frozenset(["a"])})
    two.facts = Facts(sent={prefix("198.51.100.1/32"): frozenset(["b"])})
    mates, _ = crew(one, two)
    assert mates.facts().sent == {prefix("198.51.100.1/32"): frozenset(["a", "b"])}


def test_layer_2_keeps_its_number_whatever_else_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers: dict[str, int] = {}

    def context(name: str, number: int) -> object:
        numbers[name] = number
        return None

    installed = dict.fromkeys(["bgp", "layer2", "file"], lambda _: FakeAnnouncer())
    monkeypatch.setattr("bellmetal.crew.find", lambda: installed)
    Crew(lambda _: None).recruit(context)  # type: ignore[arg-type]
    assert numbers == {"layer2": 0, "bgp": 1, "file": 2}


# --- followers -----------------------------------------------------------------------------------


class Leader(FakeAnnouncer):
    """It owns what the test says."""

    def owns(self, *texts: str, epoch: int = 0) -> None:
        order = ClaimOrder(1, True, epoch)
        self.facts = Facts(owned={ip: Owned(ip, order) for ip in addresses(*texts)})
        self.context.changed()


class Follower(FakeAnnouncer):
    follows = True


def given(last: Desired) -> dict[str, int]:
    return {str(address): item.order.epoch for address, item in last.owned.items()}


@asynccontextmanager
async def followed(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A crew of a leader and a follower, both found and started, with one share applied."""
    installed = {
        "a-follower": lambda context: Follower("a-follower", context),
        "layer2": lambda context: Leader("layer2", context),
    }
    installed["a-follower"].follows = True  # type: ignore[attr-defined]
    monkeypatch.setattr("bellmetal.crew.find", lambda: installed)
    monkeypatch.setattr("bellmetal.crew.FOLLOW_EVERY", 0.0)
    told: list[str] = []
    mates = Crew(lambda _: None)

    def context(name: str, number: int) -> Context:
        nothing = dict.fromkeys(["node", "boot", "keys", "members", "clock", "random", "count"])
        return Context(**nothing, changed=lambda: told.append(name))  # type: ignore[arg-type]

    mates.recruit(context)
    leader, follower = (mate.it for mate in mates._mates)
    await mates.start()
    await mates.apply(contents(peers=(peer(),)), "n1", {})
    yield SimpleNamespace(crew=mates, leader=leader, follower=follower, told=told)
    await mates.close(gracefully=True)


async def soon(true: object) -> None:
    async with asyncio.timeout(3):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0)


async def test_a_follower_is_given_what_others_own_whenever_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with followed(monkeypatch) as scene:
        assert given(scene.follower.last) == {}
        for texts, epoch in ((["192.0.2.10", "192.0.2.11"], 0), (["192.0.2.10"], 3), ([], 0)):
            scene.leader.owns(*texts, epoch=epoch)
            wanted = dict.fromkeys(texts, epoch)
            await soon(lambda wanted=wanted: given(scene.follower.last) == wanted)
        assert scene.follower.last.peers == (peer(),), "with the share as it is"
        assert len(scene.leader.desired) == 1, "the one that is followed is left alone"
        assert scene.told == ["layer2"] * 3, "the speaker hears of it as ever"


async def test_the_leaders_own_share_says_nothing_of_what_is_owned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with followed(monkeypatch) as scene:
        scene.leader.owns("192.0.2.10")
        await scene.crew.apply(contents(), "n1", {})
        assert scene.leader.last.owned == {}
        assert given(scene.follower.last) == {"192.0.2.10": 0}


async def test_what_a_follower_says_to_own_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with followed(monkeypatch) as scene:
        (address,) = addresses("192.0.2.10")
        mine = {address: Owned(address, ClaimOrder(9, True, 9))}
        scene.follower.facts = Facts(owned=mine, findings=(Finding("x", "so"),))
        assert scene.crew.facts().owned == {}
        assert scene.crew.facts().findings == (Finding("x", "so"),)
        scene.leader.owns("192.0.2.10")
        assert scene.crew.facts().owned[address].order.term == 1


async def test_a_follower_that_fails_is_given_its_share_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with followed(monkeypatch) as scene:
        delays: list[float] = []
        scene.crew._again = delays.append
        scene.follower.fails["apply"] = ValueError("no such thing")
        scene.leader.owns("192.0.2.10")
        await soon(lambda: delays)
        assert [item.message for item in scene.crew.findings()] == [
            "announcer a-follower: apply failed: no such thing"
        ]
        del scene.follower.fails["apply"]
        await scene.crew.apply(contents(), "n1", {})
        assert given(scene.follower.last) == {"192.0.2.10": 0}


async def test_a_follower_is_closed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async with followed(monkeypatch) as scene:
        order: list[str] = []
        for one in (scene.follower, scene.leader):
            one._call = lambda what, name=one.name: order.append(f"{what} {name}")
        await scene.crew.close(gracefully=True)
        assert order == ["close layer2", "close a-follower"]
