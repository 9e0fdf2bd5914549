"""The speaker around its announcers: slices in, shares out; facts in, reports out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bellmetal import metrics, resources
from bellmetal.api import ApiError
from bellmetal.facts import ClaimOrder, Facts, Finding, Owned
from bellmetal.keyring import Ring, Secrets
from bellmetal.node_files import NodeFiles
from bellmetal.settings import SpeakerSettings, parse
from bellmetal.sights import LookKind
from bellmetal.speaker import Speaker
from bellmetal.speaker_metrics import ANNOUNCED, SPEAKER
from bgp_facts import FakeAnnouncer, down, prefix, up
from builders import addresses, slice_item, slice_object
from small_api import Json
from watched_api import WatchedApi

OWN = "metallb-system"
INTERNAL = f"/apis/bellmetal.io/v1alpha1/namespaces/{OWN}"
STATUSES = f"/apis/metallb.io/v1beta1/namespaces/{OWN}"
WEB = resources.ServiceRef("shop", "web", "uid-web")
SET = resources.SliceNodeSet("all", [resources.SliceNode("n1", "10.0.0.1")])
PEER = resources.SlicePeer(
    "router", "uid-router", "all", 64512, 64513, address="192.0.2.1", signed=True
)
ROUTE = resources.SliceRoute("198.51.100.1/32", "all", services=[WEB])


def settings(*flags: str) -> SpeakerSettings:
    found = parse(["speaker", "--node-name", "n1", *flags], {"METALLB_NAMESPACE": OWN}, "0")
    assert isinstance(found, SpeakerSettings)
    return found


class Stage:
    """A speaker with two announcers in memory, and the API server that it has."""

    def __init__(self, *flags: str) -> None:
        self.api = WatchedApi()
        self.put()
        ring = Ring(Secrets(), 0.0)
        self.speaker = Speaker(self.api, settings(*flags), None, ring, "cluster")
        nowhere = Path("/no/such/place")  # what this machine has is no part of a test
        self.speaker._see(NodeFiles(nowhere, nowhere))
        self.one, self.two = FakeAnnouncer("one"), FakeAnnouncer("two")
        for announcer in (self.one, self.two):
            self.speaker.crew.add(announcer)
        self.stop = asyncio.Event()

    def put(self, *routes: resources.SliceRoute, addresses: int = 0) -> None:
        items = [slice_item(services=[WEB], node_set="all")] * addresses
        body = slice_object("one", *items, node_sets=[SET], routes=routes, peers=[PEER])
        self.api.put(f"{INTERNAL}/announcementslices/one", body)

    async def sees(self, **facts: object) -> None:
        self.one.facts = Facts(**facts)  # type: ignore[arg-type]
        self.speaker.reporting.poke()
        await asyncio.sleep(2)

    def statuses(self, plural: str, group: str = STATUSES) -> list[Json]:
        found = [
            body for path, body in self.api.objects.items() if path.startswith(f"{group}/{plural}/")
        ]
        return [body["status"] for body in found]

    def events(self) -> list[str]:
        found = [body for path, body in self.api.objects.items() if "/events/" in path]
        return [f"{body['involvedObject']['name']}: {body['reason']}" for body in found]


@asynccontextmanager
async def at_work(*flags: str) -> AsyncIterator[Stage]:
    stage = Stage(*flags)
    task = asyncio.create_task(stage.speaker.run(stage.stop))
    await asyncio.sleep(2)
    yield stage
    stage.stop.set()
    await task
    ANNOUNCED.clear()


pytestmark = pytest.mark.looptime


async def test_every_announcer_gets_routes_and_peers() -> None:
    async with at_work() as stage:
        assert stage.one.last.routes == ()
        stage.put(ROUTE)
        await asyncio.sleep(1)
        for announcer in (stage.one, stage.two):
            assert [item.name for item in announcer.last.peers] == ["router"]
            assert [item.prefix for item in announcer.last.routes] == [prefix("198.51.100.1/32")]


async def test_a_speaker_that_has_read_its_slices_is_configured() -> None:
    metrics.CONFIG_LOADED.set(0)
    async with at_work() as stage:
        text = metrics.exposition().decode()
        assert "metallb_k8s_client_config_loaded_bool 1.0" in text
        assert "metallb_k8s_client_config_stale_bool 0.0" in text
        stage.api.put(f"{INTERNAL}/announcementslices/two", slice_object("two", version=99))
        await asyncio.sleep(1)
        assert "metallb_k8s_client_config_stale_bool 1.0" in metrics.exposition().decode()
        stage.api.remove(f"{INTERNAL}/announcementslices/two")
        await asyncio.sleep(1)
        assert "metallb_k8s_client_config_stale_bool 0.0" in metrics.exposition().decode()


async def test_what_is_found_wrong_is_measured() -> None:
    async with at_work() as stage:
        stage.one.fails["apply"] = OSError(13, "Permission denied")
        stage.speaker.applying.poke()
        await asyncio.sleep(1)
        found = metrics.exposition(SPEAKER).decode()
        assert 'bellmetal_speaker_findings{code="announcerFailed"} 1.0' in found


async def test_a_report_that_is_refused_is_a_pass_that_failed() -> None:
    async with at_work() as stage:
        (family,) = metrics.UPDATE_ERRORS.collect()
        stage.api.refuse[f"{INTERNAL}/speakerreports/n1"] = ApiError(500, "InternalError", "no")
        await stage.sees(findings=(Finding("proxyArp", "x"),))
        (later,) = metrics.UPDATE_ERRORS.collect()
        assert later.samples[0].value > family.samples[0].value
        stage.api.refuse.clear()


async def test_one_that_fails_is_a_finding_in_the_report() -> None:
    async with at_work() as stage:
        stage.one.fails["apply"] = OSError(13, "Permission denied")
        stage.speaker.applying.poke()
        await asyncio.sleep(1)
        (report,) = stage.statuses("speakerreports", INTERNAL)
        assert report["findings"] == [
            {
                "code": "announcerFailed",
                "message": "announcer one: apply failed: [Errno 13] Permission denied",
            }
        ]
        before = len(stage.two.desired)
        stage.one.fails.clear()
        await asyncio.sleep(5)
        (report,) = stage.statuses("speakerreports", INTERNAL)
        assert report["findings"] == []
        assert len(stage.two.desired) > before


async def test_what_is_sent_is_reported_and_goes_with_the_speaker() -> None:
    async with at_work() as stage:
        stage.put(ROUTE)
        await asyncio.sleep(1)
        sent = {prefix("198.51.100.1/32"): frozenset(["router"])}
        await stage.sees(sessions=(up(),), sent=sent)
        assert [item["peers"] for item in stage.statuses("servicebgpstatuses")] == [["router"]]
        assert [item["state"] for item in stage.statuses("bgpsessionstatuses", INTERNAL)] == [
            "Established"
        ]
        assert sorted(stage.events()) == ["router: BGPSessionEstablished", "web: nodeAssigned"]
        stage.one.facts = Facts()
    assert stage.one.calls[-1] == stage.two.calls[-1] == "close"
    assert stage.statuses("servicebgpstatuses") == []
    assert stage.statuses("bgpsessionstatuses", INTERNAL) == []


async def test_layer_2_is_reported_as_before() -> None:
    async with at_work() as stage:
        (address,) = addresses("192.0.2.10")
        stage.put(addresses=1)
        await asyncio.sleep(1)
        owned = {address: Owned(address, ClaimOrder(1, True, 1), frozenset(["eth0"]))}
        await stage.sees(owned=owned)
        assert stage.statuses("servicel2statuses") == [
            {
                "node": "n1",
                "serviceName": "web",
                "serviceNamespace": "shop",
                "interfaces": [{"name": "eth0"}],
            }
        ]
        await stage.sees()
        assert stage.statuses("servicel2statuses") == []


async def test_a_session_is_reported_though_the_report_is_refused() -> None:
    async with at_work() as stage:
        stage.api.down = True
        await stage.sees(sessions=(down(),))
        stage.api.down = False
        await asyncio.sleep(15)
        assert [item["reason"] for item in stage.statuses("bgpsessionstatuses", INTERNAL)] == [
            "ConnectionRefused"
        ]


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def test_a_password_reaches_announcers_when_it_comes(tmp_path: Path) -> None:
    async with at_work("--bgp-password-dir", str(tmp_path)) as stage:
        assert stage.one.last.passwords == {}
        write(tmp_path / "router", "s3cret")
        write(tmp_path / "stranger", "other")
        await asyncio.sleep(6)
        assert {n: p.value for n, p in stage.one.last.passwords.items()} == {"router": b"s3cret"}
        assert "s3cret" not in str(stage.api.objects)


async def test_before_the_slices_are_known_nothing_is_applied(tmp_path: Path) -> None:
    stage = Stage("--bgp-password-dir", str(tmp_path))
    stage.api.down = True
    task = asyncio.create_task(stage.speaker.run(stage.stop))
    write(tmp_path / "router", "s3cret")
    await asyncio.sleep(6)
    assert stage.one.desired == []
    stage.api.down = False
    await asyncio.sleep(3)
    assert "router" in stage.one.last.passwords
    stage.stop.set()
    await task


async def test_it_writes_what_it_sees_and_answers_what_it_is_asked() -> None:
    async with at_work() as stage:
        stage.put(addresses=1)
        await asyncio.sleep(1)
        stage.one.sights = {LookKind.RESOLVE: "seen"}
        path = f"{INTERNAL}/speakerreports/n1"
        looks = [
            {"id": "a", "kind": "resolve", "address": "192.0.2.10"},
            {"id": "b", "kind": "connect", "address": "203.0.113.9", "port": 22},
            {"id": "c", "kind": "smell", "address": "192.0.2.10"},
        ]
        meta = {"name": "n1", "namespace": OWN}
        asked = {"metadata": meta, "spec": {"looks": looks}}
        stage.api.put(path, stage.api.objects[path] | asked)
        await asyncio.sleep(4)
        (report,) = stage.statuses("speakerreports", INTERNAL)
        answers = {item["id"]: (item["outcome"], item["message"]) for item in report["looks"]}
        assert answers == {
            "a": ("answered", "seen"),
            "b": (
                "denied",
                "203.0.113.9 is not an address that the slices name: only those are looked at",
            ),
            "c": ("denied", 'kind: "smell" is none of connect, resolve, route, listen'),
        }
        assert [item["at"][:2] for item in report["looks"]] == ["20"] * 3
        assert report["node"]["links"] == []
        assert "healthy" not in report["node"]["kubeProxy"]
        assert stage.one.calls.count("look") == 1


async def test_at_rest_it_writes_nothing() -> None:
    async with at_work() as stage:
        await asyncio.sleep(5)
        before = len(stage.api.writes())
        await asyncio.sleep(120)
        assert len(stage.api.writes()) == before
