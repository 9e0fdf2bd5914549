"""`bellmetal status bgp`: what it prints, what it explains, and its exit status."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import re
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.cli.owners import NotFoundError
from bellmetal.cli.session_table import age, as_json, print_sessions, summary
from bellmetal.cli.sessions import Sessions, read_sessions
from bellmetal.cli.status_bgp import follow
from bellmetal.facts import BFDState, SessionFacts, SessionTrouble
from bellmetal.inquiries import StatusBGPSettings
from bellmetal.resources import SliceNode, SliceNodeSet, SlicePeer
from bellmetal.session_status import session_name, status_of
from bellmetal.settings import parse, parser
from bellmetal.slices import SLICE_VERSION
from bgp_facts import bfd, down, up
from builders import metadata, node_object
from small_api import SmallApi

OWN = "metallb-system"
SESSIONS = f"/apis/bellmetal.io/v1alpha1/namespaces/{OWN}/bgpsessionstatuses"
PEERS = f"/apis/metallb.io/v1beta2/namespaces/{OWN}/bgppeers"
SLICES = f"/apis/bellmetal.io/v1alpha1/namespaces/{OWN}/announcementslices"
PODS = f"/api/v1/namespaces/{OWN}/pods"
NOW = datetime.datetime(2026, 6, 1, 12, 0, tzinfo=datetime.UTC)
SINCE = "2026-06-01T11:48:00Z"


class Golden(Protocol):
    check: Callable[[str, str], None]


class Stage(SmallApi):
    """A cluster in memory with two nodes."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("n1", "n2"):
            self.put(f"/api/v1/nodes/{name}", node_object(name))

    def peer(self, *names: str) -> None:
        for name in names:
            self.put(f"{PEERS}/{name}", resources.BGPPeer(metadata=metadata(f"{OWN}/{name}")))

    def plan(self, peer: str, *nodes: str) -> None:
        """As the controller writes it: the peer in one slice, its nodes in another."""
        self.peer(peer)
        chosen = SliceNodeSet(f"of-{peer}", [SliceNode(node, "10.0.0.1") for node in nodes])
        plan = SlicePeer(
            peer, node_set=chosen.name, my_asn=64512, peer_asn=64513, address="192.0.2.1"
        )
        self.slice(f"nodes-{peer}", node_sets=[chosen])
        self.slice(f"peers-{peer}", peers=[plan])

    def slice(self, name: str, **fields: Any) -> None:
        spec = resources.AnnouncementSliceSpec(version=SLICE_VERSION, **fields)
        body = resources.AnnouncementSlice(metadata=metadata(f"{OWN}/{name}"), spec=spec)
        self.put(f"{SLICES}/{name}", body)

    def pod(self, node: str, ready: str = "True") -> None:
        status = resources.PodStatus([resources.NodeCondition("Ready", ready)])
        body = resources.Pod(
            metadata=metadata(f"{OWN}/speaker-{node}"), spec=resources.PodSpec(node), status=status
        )
        self.put(f"{PODS}/speaker-{node}", body)

    def session(self, node: str, facts: SessionFacts) -> None:
        self.peer(facts.peer)
        name = session_name(node, facts)
        status = status_of(node, facts, lambda _: SINCE)
        body = resources.BGPSessionStatus(metadata=metadata(f"{OWN}/{name}"), status=status)
        self.put(f"{SESSIONS}/{name}", body)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def settings(**fields: Any) -> StatusBGPSettings:
    defaults = {"nodes": (), "peers": (), "watch": False, "output": "text"}
    return StatusBGPSettings(OWN, **(defaults | fields))


async def read(stage: Stage, **fields: Any) -> Sessions:
    return await read_sessions(stage, settings(**fields))


def printed(found: Sessions) -> str:
    out = io.StringIO()
    print_sessions(found, NOW, out)
    return out.getvalue()


def everything(stage: Stage) -> None:
    """A row of each kind."""
    agreed = up(prefixes_sent=12, prefixes_received=3, bfd=bfd())
    stage.session("n1", agreed)
    stage.session("n2", up(prefixes_sent=10, prefixes_pending=2, port=1179, vrf="red"))
    stage.session("n1", up("idle", remote="192.0.2.2"))
    stage.session(
        "n2",
        down(
            SessionTrouble.WRONG_ASN,
            "spine",
            remote="2001:db8::1",
            message="the router says that our AS number 64512 is not the one it expects",
            notification="OPEN Message Error, Bad Peer AS",
            flaps=2,
            bfd=bfd(BFDState.DOWN, diagnostic="Neighbor Signaled Session Down"),
        ),
    )
    stage.peer("lonely")


# --- what is read --------------------------------------------------------------------------------


async def test_the_whole_page(stage: Stage, golden: Golden) -> None:
    everything(stage)
    golden.check("status-bgp.txt", printed(await read(stage)))


async def test_all_established_is_status_0(stage: Stage) -> None:
    stage.session("n1", up(prefixes_sent=1))
    found = await read(stage)
    assert (found.exit_status, summary(found)) == (0, "1 of 1 session established")
    assert printed(found).count("\n") == 4


async def test_no_peer_at_all_is_status_0(stage: Stage) -> None:
    found = await read(stage)
    assert (found.exit_status, printed(found)) == (0, "there is no BGPPeer\n")


async def test_one_that_is_not_is_status_3(stage: Stage) -> None:
    stage.session("n1", up(prefixes_sent=1))
    stage.session("n2", down())
    found = await read(stage)
    assert (found.exit_status, summary(found)) == (3, "1 of 2 sessions established")


async def test_a_peer_without_a_session_is_status_3_and_explained(stage: Stage) -> None:
    stage.peer("lonely")
    found = await read(stage)
    assert found.exit_status == 3
    said = "lonely: NoSession\n  the controller has no plan for it: its object is invalid"
    assert said in printed(found)
    assert "type: kubectl describe bgppeer lonely -n metallb-system" in printed(found)
    assert summary(found) == "0 of 0 sessions established; 1 BGPPeer without a session"


@pytest.mark.parametrize(
    ("state", "why"),
    [("not ready", "node n2 is not ready: what the speaker"), ("gone", "node n2 is gone: what")],
)
async def test_what_a_node_that_is_away_has_said_last_is_doubted(
    stage: Stage, state: str, why: str
) -> None:
    stage.session("n2", up(prefixes_sent=1))
    path = "/api/v1/nodes/n2"
    if state == "gone":
        del stage.objects[path]
    else:
        stage.put(path, node_object("n2", ready="False"))
    found = await read(stage)
    assert found.exit_status == 3
    assert why in printed(found)
    assert "Established?" in printed(found)


# --- what there should be ------------------------------------------------------------------------


async def test_a_session_that_nobody_reports_is_a_row_and_status_3(stage: Stage) -> None:
    stage.plan("router", "n1", "n2")
    stage.session("n1", up(prefixes_sent=1))
    found = await read(stage)
    assert (found.exit_status, summary(found)) == (3, "1 of 2 sessions established")
    text = printed(found)
    assert re.search(r"router +n2 +192\.0\.2\.1 +NoSession +- ", text)
    assert "router on n2: NoSession\n  the speaker of n2 has not reported it: it does not" in text
    assert not found.absent


async def test_what_is_missing_is_in_the_json_too(stage: Stage) -> None:
    stage.plan("router", "n2")
    body = json.loads(as_json(await read(stage)))
    (row,) = body["sessions"]
    assert (row["node"], row["peer"], row["state"]) == ("n2", "router", "NoSession")
    assert (row["established"], row["cause"]["code"]) == (False, "NoSession")


async def test_why_it_is_missing_is_said_where_it_is_known(stage: Stage) -> None:
    stage.plan("router", "n2")
    stage.pod("n1")
    text = printed(await read(stage))
    assert "  there is no speaker pod on node n2: the speaker of n2 has not reported it" in text


async def test_a_peer_of_other_nodes_misses_none_here(stage: Stage) -> None:
    stage.plan("router", "n1")
    stage.session("n1", up(prefixes_sent=1))
    assert (await read(stage)).exit_status == 0


async def test_without_the_right_to_read_slices_only_what_is_reported_is_known(
    stage: Stage,
) -> None:
    stage.plan("router", "n1", "n2")
    stage.refuse[SLICES] = ApiError(403, "Forbidden", "no")
    found = await read(stage)
    assert (found.rows, found.exit_status) == ((), 3)
    assert "router: NoSession\n  no node reports a session with it" in printed(found)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("not ready", "the speaker's pod on node n2 is not ready: what the speaker of n2 said"),
        ("none", "there is no speaker pod on node n2: what the speaker of n2 said"),
    ],
)
async def test_what_a_speaker_that_is_down_has_said_last_is_doubted(
    stage: Stage, state: str, why: str
) -> None:
    for node in ("n1", "n2"):
        stage.session(node, up(prefixes_sent=1))
    stage.pod("n1")
    if state == "not ready":
        stage.pod("n2", ready="False")
    found = await read(stage)
    assert found.exit_status == 3
    text = printed(found)
    assert text.count("Established?") == 1
    assert f"router on n2: SpeakerSilent\n  {why}" in text


@pytest.mark.parametrize("why", ["no right", "no such pods"])
async def test_where_no_pods_are_seen_nothing_is_said_of_them(stage: Stage, why: str) -> None:
    stage.session("n1", up(prefixes_sent=1))
    if why == "no right":
        stage.pod("n2")
        stage.refuse[PODS] = ApiError(403, "Forbidden", "no")
    assert (await read(stage)).exit_status == 0


async def test_without_the_right_to_read_nodes_reports_are_believed(stage: Stage) -> None:
    stage.session("n9", up(prefixes_sent=1))
    stage.refuse["/api/v1/nodes"] = ApiError(403, "Forbidden", "no")
    assert (await read(stage)).exit_status == 0


async def test_one_node_or_one_peer_alone(stage: Stage) -> None:
    everything(stage)
    of_node = await read(stage, nodes=("n1",))
    assert [row.status.peer for row in of_node.rows] == ["idle", "router"]
    assert not of_node.absent
    of_peer = await read(stage, peers=("router", "lonely"))
    assert [row.status.node for row in of_peer.rows] == ["n1", "n2"]
    assert list(of_peer.absent or ()) == ["lonely"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"nodes": ("n7",)}, 'there is no node "n7"; there are n1, n2'),
        ({"peers": ("rooter",)}, 'there is no BGPPeer "rooter"; there are router'),
    ],
)
async def test_a_name_that_nothing_has(stage: Stage, fields: dict[str, Any], sentence: str) -> None:
    stage.session("n1", up())
    with pytest.raises(NotFoundError) as caught:
        await read(stage, **fields)
    assert str(caught.value) == sentence


async def test_a_cluster_without_the_kind_is_told_what_to_do(stage: Stage) -> None:
    stage.refuse[SESSIONS] = ApiError(404, "NotFound", "page not found")
    with pytest.raises(ApiError, match="the cluster has no BGPSessionStatus: apply the CRDs"):
        await read(stage)


# --- what is printed -----------------------------------------------------------------------------


async def test_for_scripts(stage: Stage) -> None:
    everything(stage)
    body = json.loads(as_json(await read(stage)))
    assert (body["version"], body["summary"]) == (
        1,
        {"sessions": 4, "established": 3, "peersWithoutSession": 1},
    )
    spine = next(item for item in body["sessions"] if item["peer"] == "spine")
    assert (spine["established"], spine["reason"], spine["cause"]["code"]) == (
        False,
        "WrongASN",
        "WrongASN",
    )
    assert spine["lastNotification"] == {
        "direction": "received",
        "message": "OPEN Message Error, Bad Peer AS",
    }
    assert body["peersWithoutSession"][0]["peer"] == "lonely"


async def test_what_a_router_says_cannot_paint_the_screen(stage: Stage) -> None:
    stage.session("n1", down(message="\x1b[2J[bold]gone[/bold]"))
    text = printed(await read(stage))
    assert "\x1b" not in text
    assert "[bold]gone[/bold]" in text


@pytest.mark.parametrize(
    ("since", "text"),
    [
        ("2026-06-01T12:00:09Z", "0s"),
        ("2026-06-01T11:59:15Z", "45s"),
        ("2026-06-01T11:58:30Z", "90s"),
        ("2026-06-01T11:48:00Z", "12m"),
        ("2026-06-01T07:00:00Z", "5h"),
        ("2026-05-20T12:00:00Z", "12d"),
        (None, "-"),
        ("soon", "-"),
        ("2026-06-01T11:48:00", "-"),
    ],
)
def test_ages(since: str | None, text: str) -> None:
    assert age(since, NOW) == text


# --- watching ------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_watching_prints_what_changes_and_waits_for_the_api(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.session("n1", down())
    out = io.StringIO()
    task = asyncio.create_task(follow(stage, settings(watch=True), out))
    await asyncio.sleep(5)
    assert out.getvalue().count("0 of 1 session established") == 1
    stage.down = True
    await asyncio.sleep(5)
    assert capsys.readouterr().err.count("did not answer") == 1
    stage.down = False
    stage.session("n1", up(prefixes_sent=1))
    await asyncio.sleep(5)
    assert out.getvalue().count("1 of 1 session established") == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# --- the command line ----------------------------------------------------------------------------


def test_what_is_typed() -> None:
    typed = ["status", "bgp", "--node", "n1", "--node", "n2", "--peer", "p", "--output", "json"]
    assert parse(typed, {"METALLB_NAMESPACE": "lb"}, "0") == StatusBGPSettings(
        "lb", ("n1", "n2"), ("p",), False, "json"
    )


@pytest.mark.parametrize("typed", [["status", "arp"], ["status", "bgp", "n1"]])
def test_wrong_usage_is_status_2(typed: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(typed, {}, "0")
    assert caught.value.code == 2


def test_the_help(
    golden: Golden, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parser("0").parse_args(["status", "bgp", "--help"])
    golden.check("status-bgp-help.txt", capsys.readouterr().out)
