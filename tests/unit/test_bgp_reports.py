"""What a speaker writes of BGP: rows of Services and sessions, events, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bellmetal.bgp_reports import BGPReports, gather
from bellmetal.facts import BFDState, Facts, SessionFacts, SessionState, SessionTrouble
from bellmetal.intents import Route, ServiceId
from bellmetal.session_reports import Pages
from bellmetal.speaker_metrics import ANNOUNCED
from bgp_facts import bfd, down, prefix, route, service_id, up
from noted import Noted
from watched_api import WatchedApi

pytestmark = pytest.mark.looptime

OWN = "metallb-system"
SERVICES = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/servicebgpstatuses"
SESSIONS = f"/apis/bellmetal.io/v1alpha1/namespaces/{OWN}/bgpsessionstatuses"
ONE, TWO = "198.51.100.1/32", "2001:db8::2/128"


def sent(**by_peer: list[str]) -> dict[Any, frozenset[str]]:
    """Peers by prefix, told the other way round."""
    prefixes = {text for texts in by_peer.values() for text in texts}
    return {
        prefix(text): frozenset(name for name, texts in by_peer.items() if text in texts)
        for text in prefixes
    }


class Stage:
    """The reports at work on a small API server."""

    def __init__(self) -> None:
        self.api, self.events = WatchedApi(), Noted()
        self.later: list[float] = []
        self.reports = BGPReports(self.api, OWN, "n1", self.events, self.later.append)

    async def publish(self, facts: Facts, *routes: Route, now: float = 200.0) -> None:
        await self.reports.publish(facts, routes, now)
        await asyncio.sleep(1)

    def statuses(self, path: str) -> list[dict[str, Any]]:
        return [body["status"] for key, body in self.api.objects.items() if key.startswith(path)]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    found = Stage()
    task = asyncio.create_task(found.reports.run())
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    ANNOUNCED.clear()


def announced() -> set[tuple[str, str]]:
    """Service and address of the series that say bgp."""
    found = set()
    for sample in next(iter(ANNOUNCED.collect())).samples:
        assert (sample.labels["node"], sample.labels["protocol"], sample.value) == ("n1", "bgp", 1)
        found.add((sample.labels["service"], sample.labels["ip"]))
    return found


# --- Services ------------------------------------------------------------------------------------


async def test_a_service_has_the_peers_that_any_of_its_routes_was_sent_to(stage: Stage) -> None:
    routes = route(ONE, "shop/web"), route(TWO, "shop/web"), route("198.51.100.9/32", "shop/api")
    await stage.publish(Facts(sent=sent(b=[ONE], a=[ONE, TWO])), *routes)
    assert stage.statuses(SERVICES) == [
        {"node": "n1", "serviceName": "web", "serviceNamespace": "shop", "peers": ["a", "b"]}
    ]
    (key,) = [key for key in stage.api.objects if key.startswith(SERVICES)]
    assert stage.api.objects[key]["metadata"]["labels"] == {
        "metallb.io/node": "n1",
        "metallb.io/service-name": "web",
        "metallb.io/service-namespace": "shop",
    }
    assert stage.events.lines == [
        'Service/web Normal nodeAssigned: announcing from node "n1" with protocol "bgp"'
    ]
    assert announced() == {("shop/web", "198.51.100.1"), ("shop/web", "2001:db8::2")}


async def test_what_is_sent_to_nobody_any_more_has_no_row(stage: Stage) -> None:
    await stage.publish(Facts(sent=sent(a=[ONE])), route(ONE, "shop/web"))
    await stage.publish(Facts(), route(ONE, "shop/web"))
    assert (stage.statuses(SERVICES), announced()) == ([], set())


async def test_a_session_that_comes_back_begins_no_announcing(stage: Stage) -> None:
    for facts in (Facts(sent=sent(a=[ONE])), Facts(), Facts(sent=sent(a=[ONE]))):
        await stage.publish(facts, route(ONE, "shop/web"))
    assert len(stage.events.lines) == 1


async def test_a_route_that_was_taken_away_and_comes_back_does(stage: Stage) -> None:
    facts = Facts(sent=sent(a=[ONE]))
    await stage.publish(facts, route(ONE, "shop/web"))
    await stage.publish(Facts())
    await stage.publish(facts, route(ONE, "shop/web"))
    assert len(stage.events.lines) == 2


def test_a_prefix_is_of_a_service_only_where_its_own_route_goes() -> None:
    routes = route(ONE, "shop/web", peers=frozenset(["a"])), route(ONE, "shop/api")
    found: dict[ServiceId, frozenset[str]] = {}
    gather(found, routes, sent(a=[ONE], b=[ONE]))
    assert found[service_id("shop/web")] == {"a"}
    assert found[service_id("shop/api")] == {"a", "b"}


async def test_an_aggregate_stands_for_itself(stage: Stage) -> None:
    facts = Facts(sent=sent(a=["198.51.100.0/24"]))
    await stage.publish(facts, route("198.51.100.0/24", "shop/web"))
    assert announced() == {("shop/web", "198.51.100.0/24")}


# --- sessions ------------------------------------------------------------------------------------


async def test_a_session_has_an_object(stage: Stage) -> None:
    await stage.publish(Facts(sessions=(up(prefixes_sent=3, bfd=bfd(transmit_us=50_000)),)))
    (status,) = stage.statuses(SESSIONS)
    times = status.pop("since"), status["bfd"].pop("since")
    assert times[0] == times[1]
    assert status == {
        "node": "n1",
        "peer": "router",
        "remote": "192.0.2.1",
        "port": 179,
        "state": "Established",
        "negotiated": {
            "holdTime": 9,
            "keepaliveTime": 3.0,
            "localASN": 64512,
            "peerASN": 64513,
            "localAddress": "192.0.2.10",
            "peerAddress": "192.0.2.1",
            "localRouterID": "192.0.2.10",
            "peerRouterID": "192.0.2.1",
            "capabilities": ["IPv4 unicast", "route refresh"],
        },
        "prefixes": {"sent": 3, "pending": 0, "received": 0},
        "bfd": {"state": "Up", "transmitMicroseconds": 50000},
    }


async def test_counters_that_always_move_write_nothing(stage: Stage) -> None:
    for number in range(10):
        counters = {"keepalives_received": number}
        facts = up(counters=counters, bfd=bfd(counters={"control_packet_input": number}))
        await stage.publish(Facts(sessions=(facts,)), now=200.0 + number)
    assert [item.method for item in stage.api.writes()] == ["POST"]


async def test_what_a_router_alone_makes_move_is_written_slowly(stage: Stage) -> None:
    for number in range(100):
        facts = up(prefixes_received=number)
        await stage.publish(Facts(sessions=(facts,)), now=200.0 + number)
    assert len(stage.api.writes()) == 4
    assert stage.statuses(SESSIONS)[0]["prefixes"]["received"] == 90
    assert stage.later[-1] == pytest.approx(21.0)


async def test_a_session_that_cannot_be_opened_is_not_written_with_each_try(
    stage: Stage,
) -> None:
    for number in range(10):
        state = (SessionState.CONNECT, SessionState.ACTIVE)[number % 2]
        facts = down(state=state, since=190.0 + number)
        await stage.publish(Facts(sessions=(facts,)), now=200.0 + number)
    assert [item.method for item in stage.api.writes()] == ["POST"]
    await stage.publish(Facts(sessions=(down(SessionTrouble.NO_ROUTE, since=209.0),)), now=210.0)
    (status,) = stage.statuses(SESSIONS)
    assert (status["state"], status["reason"]) == ("Active", "NoRouteToPeer")


async def test_a_session_that_is_gone_has_no_object(stage: Stage) -> None:
    await stage.publish(Facts(sessions=(up(), up("other", remote="192.0.2.2"))))
    await stage.publish(Facts(sessions=(up(),)))
    assert [item["peer"] for item in stage.statuses(SESSIONS)] == ["router"]


async def test_transitions_are_events_on_the_peer(stage: Stage) -> None:
    lost = down(
        SessionTrouble.HOLD_TIMER,
        message="nothing was heard for 9 s",
        notification="Hold Timer Expired",
        notification_sent=True,
    )
    for facts in (down(SessionTrouble.CONNECTING), up(), lost):
        await stage.publish(Facts(sessions=(facts,)))
    assert stage.events.lines == [
        "BGPPeer/router Normal BGPSessionEstablished: node n1: router (192.0.2.1): established with"
        " AS 64513 (hold time 9 s, keepalive every 3 s)",
        "BGPPeer/router Warning HoldTimerExpired: node n1: router (192.0.2.1): the session is lost:"
        " nothing was heard for 9 s",
    ]


async def test_what_waits_is_told_a_minute_later(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bellmetal.session_reports")
    for second in range(8):
        facts = up() if second % 2 else down()
        await stage.publish(Facts(sessions=(facts,)), now=200.0 + second)
    assert len(stage.events.lines) == 6
    assert len(caplog.messages) == 8
    assert stage.later == [54.0, 53.0]
    await stage.publish(Facts(sessions=(up(),)), now=260.0)
    assert stage.events.lines[6].endswith("(2 changes in the last minute)")
    assert len(caplog.messages) == 8


async def test_a_reset_of_our_own_is_no_warning(stage: Stage) -> None:
    anew = down(SessionTrouble.CONNECTING, message="its configuration was changed: connecting anew")
    for facts in (up(), anew):
        await stage.publish(Facts(sessions=(facts,)))
    assert stage.events.lines[1] == (
        "BGPPeer/router Normal BGPSessionReset: node n1: router (192.0.2.1): its configuration was"
        " changed: connecting anew"
    )


# --- times ---------------------------------------------------------------------------------------


def pages(*looks: tuple[float, SessionFacts]) -> list[str | None]:
    """``since`` at each look, by a wall clock that reads a second more each time."""
    reads = iter(range(100))
    found = Pages("n1", lambda ago: f"{next(reads)} - {ago:g}")
    rows = [found.turn([facts], now) for now, facts in looks]
    return [row.status.since for row in (next(iter(one.values())) for one in rows)]


def test_a_time_is_turned_into_text_once() -> None:
    looks = [(200.0, up()), (300.0, up(flaps=1)), (400.0, up(flaps=1, since=390.0))]
    assert pages(*looks) == ["0 - 100", "0 - 100", "1 - 10"]


def test_a_session_that_is_down_is_so_since_it_was_lost() -> None:
    looks = [(200.0, up()), (300.0, down(since=290.0)), (400.0, down(message="b", since=399.0))]
    assert pages(*looks) == ["0 - 100", "1 - 10", "1 - 10"]


def test_bfd_has_a_time_of_its_own() -> None:
    found = Pages("n1", lambda ago: f"{ago:g}")
    (row,) = found.turn([up(since=150.0, bfd=bfd(BFDState.DOWN))], 200.0).values()
    assert (row.status.since, row.status.bfd.since) == ("50", "100")


def test_two_sessions_of_a_peer_and_vrf_are_one_object() -> None:
    found = Pages("n1", lambda ago: "")
    rows = found.turn([up(remote="192.0.2.1"), up(remote="192.0.2.2")], 200.0)
    assert [row.status.remote for row in rows.values()] == ["192.0.2.1"]
