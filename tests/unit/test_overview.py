"""What `status` shows: rows of pools, addresses and members, and whether anybody need look."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from bellmetal.cli.status_text import as_json, print_overview, summary
from bellmetal.cluster import Node
from bellmetal.config import Problem
from bellmetal.diagnosis.overview import overview
from bellmetal.diagnosis.situation import Leader, Situation
from bellmetal.facts import DoubtKind, SessionState
from bellmetal.holdings import Tenure
from bellmetal.inquiries import StatusSettings
from bellmetal.settings import parse
from builders import (
    NOW,
    advertisement,
    bgp_advertisement,
    cluster,
    node,
    peer,
    pool,
    service,
)
from situations import doubt, session, settled

WEB, DB = service("shop/web"), service("shop/db")
SMALL = pool("small", "192.0.2.0/31")


def text(found: Situation, subject: str = "", of: str = "") -> str:
    out = io.StringIO()
    print_overview(overview(found), subject, of, out)
    return out.getvalue()


def test_all_at_a_glance() -> None:
    found = settled(cluster(WEB, DB, pools=[SMALL]))
    assert overview(found).well
    assert text(found) == (
        "controller: bellmetal-controller-1 leads\n"
        "\n"
        "POOL   TOTAL  IN USE  RESERVED  COOLING  FREE  ORPHANED  NOTES\n"
        "small  2      2       0         0        0     0\n"
        "\n"
        "NODE  READY  SPEAKER  OWNS  SESSIONS  NOTES\n"
        "n1    yes    runs     1     -\n"
        "n2    yes    runs     0     -\n"
        "n3    yes    runs     1     -\n"
        "\n"
        "2 addresses in use, 2 announced\n"
    )


def test_addresses_with_their_owners() -> None:
    found = settled(cluster(WEB, DB, pools=[SMALL, pool("zone", "198.51.100.0/24")]))
    assert text(found, "addresses", "small") == (
        "ADDRESS    SERVICE   POOL   OWNER  PEERS  SINCE                 STATE\n"
        f"192.0.2.0  shop/db   small  n3     -      {NOW}  announced\n"
        f"192.0.2.1  shop/web  small  n1     -      {NOW}  announced\n"
    )
    assert text(found, "addresses", "zone") == (
        "ADDRESS  SERVICE  POOL  OWNER  PEERS  SINCE  STATE\n"
    )


def test_addresses_with_their_peers() -> None:
    found = settled(cluster(WEB, advertisements=[], bgp=[bgp_advertisement()], peers=[peer()]))
    row = overview(found).addresses[0]
    assert (row.owner, row.peers, row.state) == ("", ("tor",), "announced")
    assert overview(replace(found, sent={})).addresses[0].state == "RouteNotSent"


def test_since_when_an_owner_owns_it() -> None:
    found = settled(cluster(WEB))
    holding = next(iter(found.held.values()))
    moved = replace(holding, owners=(Tenure("n2", "2026-06-01T11:00:00Z", "drain"),))
    row = overview(replace(found, held={holding.address: moved})).addresses[0]
    assert (row.since, row.owned_since) == (NOW, "2026-06-01T11:00:00Z")


WRONG = {
    "an address in doubt": (
        replace(settled(cluster(WEB)), doubts=(("n2", doubt(DoubtKind.UNSEEN, "192.0.2.0")),)),
        "AddressNotSeen",
    ),
    "an owner that does not answer": (
        replace(settled(cluster(WEB)), answering={}),
        "NotAnswering",
    ),
    "an address that nobody announces": (
        settled(cluster(WEB, advertisements=[])),
        "noMatchingAdvertisement",
    ),
    "a Service without an address": (settled(cluster(WEB, pools=[])), "NoPool"),
    "a node that is not ready": (
        settled(cluster(WEB, nodes=["n1", node("n2", ready=False)])),
        "n2    no",
    ),
    "no controller": (
        replace(settled(cluster(WEB)), leader=Leader()),
        "no controller leads",
    ),
    "a problem": (
        replace(settled(cluster(WEB)), problems=(Problem("BGPPeer", "tor", "spec", "is odd"),)),
        "problem: BGPPeer/tor spec: is odd",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_seen_at_a_glance(name: str) -> None:
    found, said = WRONG[name]
    assert not overview(found).well
    assert said in text(found)


def test_what_explains_it_is_named() -> None:
    found = settled(cluster(WEB, pools=[]))
    line = "0 addresses in use, 0 announced; 1 Service without; bellmetal explain service shop/web"
    assert summary(overview(found)) == f"{line} says why"


@pytest.mark.parametrize(
    ("leader", "state"), [(Leader("c-1", 0.5, 4), "ControllerBehind"), (Leader(), "NoLeader")]
)
def test_what_no_service_shows_yet_is_not_called_announced(leader: Leader, state: str) -> None:
    found = settled(cluster(WEB))
    web = found.cluster.services["shop/web"]
    hidden = replace(web, shown=replace(web.shown, addresses=()))
    found = replace(
        found, leader=leader, cluster=replace(found.cluster, services={"shop/web": hidden})
    )
    assert overview(found).addresses[0].state == state


def test_sessions_that_are_down_are_in_the_summary() -> None:
    found = settled(cluster(WEB, bgp=[bgp_advertisement()], peers=[peer()]))
    down = replace(found.sessions[0], facts=session(state=SessionState.IDLE))
    line = summary(overview(replace(found, sessions=(down, *found.sessions[1:]))))
    assert line.endswith("; 1 of 3 BGP sessions not established: bellmetal status bgp")


def test_notes_of_pools_and_nodes() -> None:
    pools = [pool(auto_assign=False), pool("b", "198.51.100.0/24")]
    nodes = ["n1", node("n2", draining="said so"), node("n3", labels={Node.EXCLUDED: ""})]
    found = settled(
        cluster(WEB, pools=pools, nodes=nodes, advertisements=[advertisement(pools="b")])
    )
    assert "autoAssign is false; no advertisement selects it" in text(found, "pools")
    members = text(found, "members")
    assert "draining: said so" in members
    assert "excluded by its label" in members


def test_sessions_are_counted() -> None:
    found = settled(cluster(WEB, bgp=[bgp_advertisement()], peers=[peer()]))
    down = replace(found.sessions[0], facts=session(state=SessionState.IDLE))
    rows = overview(replace(found, sessions=(down, *found.sessions[1:]))).members
    assert [(row.established, row.sessions, row.well) for row in rows] == [
        (0, 1, False),
        (1, 1, True),
        (1, 1, True),
    ]


def test_the_json() -> None:
    found = overview(settled(cluster(WEB, pools=[SMALL])))
    body = json.loads(as_json(found, "", ""))
    assert body["version"] == 1
    assert body["ok"] is True
    assert body["pools"] == [
        {
            "name": "small",
            "auto": True,
            "total": 2,
            "used": 1,
            "reserved": 0,
            "cooling": 0,
            "free": 1,
            "orphaned": 0,
            "advertised": True,
            "problem": "",
        }
    ]
    assert [row["address"] for row in body["addresses"]] == ["192.0.2.0"]
    assert json.loads(as_json(found, "members", "")).keys() == {"version", "members", "ok"}


@pytest.mark.parametrize(
    "line",
    ["status --output json pools", "status pools --output json"],
)
def test_flags_count_before_and_after_the_subject(line: str) -> None:
    found = parse(line.split(), {}, "1")
    assert found == StatusSettings("metallb-system", "pools", "", None, False, "json")
