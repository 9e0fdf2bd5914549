"""What a speaker writes of BGP, on a real API server, with a speaker's own rights and no others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bellmetal.api import Client, read_kubeconfig
from bellmetal.bgp_reports import BGPReports
from bellmetal.cli.expected import read_expected
from bellmetal.cli.sessions import read_sessions
from bellmetal.events import Events
from bellmetal.facts import Facts, SessionFacts, SessionTrouble
from bellmetal.inquiries import StatusBGPSettings
from bellmetal.slices import SLICE_VERSION
from bgp_facts import bfd, down, prefix, route, up
from kube.installed import MERGE, NAMESPACE, Json, installed, parsed, place
from lab.bare import Bare

pytestmark = pytest.mark.kube

SERVICES, SESSIONS, PEER = place("ServiceBGPStatus"), place("BGPSessionStatus"), place("BGPPeer")
ROUTE = route("198.51.100.1/32", "default/web")
SENT = {prefix("198.51.100.1/32"): frozenset(["router"])}
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
PATIENCE = 10.0


@pytest.fixture(scope="module")
def api() -> Iterator[Bare]:
    with installed() as lab:
        spec = "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}"
        lab.apply([parsed("BGPPeer", spec, "router")])
        yield lab


class Speaker:
    """The reports of the speaker of n1, at work."""

    def __init__(self, lab: Bare, client: Client, events: Events) -> None:
        self.lab, self.rest = lab, lab.rest
        self.reports = BGPReports(client, NAMESPACE, "n1", events, lambda _: None)
        self.uid = lab.rest.get(f"{PEER}/router")["metadata"]["uid"]

    async def publish(self, *sessions: SessionFacts, sent: bool = False) -> None:
        ours = tuple(replace(item, uid=self.uid) for item in sessions)
        facts = Facts(sessions=ours, sent=SENT if sent else {})
        await self.reports.publish(facts, [ROUTE], time.monotonic())

    def items(self, path: str) -> list[Json]:
        found: list[Json] = self.rest.get(path)["items"]
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.05)

    def states(self) -> list[str]:
        return [item["status"]["state"] for item in self.items(SESSIONS)]

    def events(self) -> set[tuple[str, str, str]]:
        found = self.items(f"/api/v1/namespaces/{NAMESPACE}/events")
        return {
            (item["involvedObject"]["name"], item["type"], item["reason"])
            for item in found
            if item["involvedObject"].get("uid") == self.uid
        }


@pytest.fixture
async def speaker(api: Bare) -> AsyncIterator[Speaker]:
    config = api.service_account_kubeconfig(NAMESPACE, "bellmetal-speaker", "n1")
    async with Client(read_kubeconfig(config)) as client:
        events = Events(client, "metallb-speaker", "n1")
        found = Speaker(api, client, events)
        tasks = [asyncio.create_task(events.run()), asyncio.create_task(found.reports.run())]
        yield found
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.2)  # connections with TLS end a little later than aiohttp says


async def test_rows_are_written_kept_and_removed(
    speaker: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    await speaker.publish(up(prefixes_sent=1, bfd=bfd()), sent=True)
    await speaker.until(lambda: speaker.states() == ["Established"])
    await speaker.until(lambda: bool(speaker.items(SERVICES)))
    (row,) = speaker.items(SERVICES)
    status = {"node": "n1", "serviceName": "web", "serviceNamespace": "default"}
    await speaker.until(lambda: "status" in speaker.items(SERVICES)[0])
    assert speaker.items(SERVICES)[0]["status"] == status | {"peers": ["router"]}

    where = f"{SERVICES}/{row['metadata']['name']}"
    speaker.rest.request("PATCH", f"{where}/status", {"status": {"peers": ["mine"]}}, MERGE)
    await speaker.until(lambda: speaker.items(SERVICES)[0]["status"]["peers"] == ["router"])
    speaker.rest.request("DELETE", where)
    await speaker.until(lambda: bool(speaker.items(SERVICES)))
    (session,) = speaker.items(SESSIONS)
    speaker.rest.request("DELETE", f"{SESSIONS}/{session['metadata']['name']}")
    await speaker.until(lambda: speaker.states() == ["Established"])

    await speaker.publish()
    await speaker.until(lambda: not speaker.items(SERVICES) and not speaker.items(SESSIONS))
    assert [item for item in caplog.records if item.levelno >= logging.WARNING] == []


async def test_at_rest_nothing_is_written(speaker: Speaker) -> None:
    await speaker.publish(up(prefixes_sent=1), sent=True)
    await speaker.until(lambda: speaker.states() == ["Established"])
    await speaker.until(lambda: "status" in (speaker.items(SERVICES) or [{}])[0])

    def versions() -> list[Any]:
        rows = [*speaker.items(SERVICES), *speaker.items(SESSIONS)]
        return [item["metadata"]["resourceVersion"] for item in rows]

    before = versions()
    for number in range(20):
        moved = up(prefixes_sent=1, counters={"keepalives_sent": number})
        await speaker.publish(moved, sent=True)
        await asyncio.sleep(0.05)
    assert versions() == before
    await speaker.publish()
    await speaker.until(lambda: not speaker.items(SESSIONS))


async def test_transitions_are_events_on_the_peer_that_describe_shows(speaker: Speaker) -> None:
    lost = down(SessionTrouble.HOLD_TIMER, message="nothing was heard for 9 s")
    await speaker.publish(up())
    await speaker.publish(lost)
    expected = {
        ("router", "Normal", "BGPSessionEstablished"),
        ("router", "Warning", "HoldTimerExpired"),
    }
    await speaker.until(lambda: expected <= speaker.events())
    said = speaker.lab.kubectl("describe", "bgppeer", "router", "-n", NAMESPACE).stdout
    assert "the session is lost: nothing was heard for 9 s" in said
    await speaker.publish()
    await speaker.until(lambda: not speaker.items(SESSIONS))


async def test_status_bgp_reads_what_was_written(speaker: Speaker) -> None:
    facts = down(SessionTrouble.WRONG_ASN, notification="Bad Peer AS", notification_sent=True)
    await speaker.publish(facts)
    await speaker.until(lambda: speaker.states() == ["Active"])
    async with Client(read_kubeconfig(speaker.lab.kubeconfig())) as client:
        asked = StatusBGPSettings(NAMESPACE, (), (), False, "text")
        found = await read_sessions(client, asked)
    (row,) = found.rows
    assert (found.exit_status, row.facts.trouble) == (3, SessionTrouble.WRONG_ASN)
    assert row.cause.evidence[1] == "this node sent the last NOTIFICATION: Bad Peer AS"
    await speaker.publish()
    await speaker.until(lambda: not speaker.items(SESSIONS))


async def test_status_bgp_knows_what_there_should_be(speaker: Speaker) -> None:
    speaker.lab.apply([nodes_slice("n1", "n2", "n3"), peers_slice()])
    made = {name: speaker.rest.request("POST", PODS, pod(name)) for name in ("n1", "n2")}
    await speaker.publish(up(prefixes_sent=1))
    await speaker.until(lambda: speaker.states() == ["Established"])
    async with Client(read_kubeconfig(speaker.lab.kubeconfig())) as client:
        expected = await read_expected(client, NAMESPACE)
        found = await read_sessions(client, StatusBGPSettings(NAMESPACE, (), (), False, "text"))
    assert set(expected.plans or ()) == {("router", name) for name in ("n1", "n2", "n3")}
    assert expected.speakers == {"n1": False, "n2": False}
    states = {row.status.node: row.status.state for row in found.rows}
    assert states == {"n1": "Established", "n2": "NoSession", "n3": "NoSession"}
    assert (found.rows[0].established, found.exit_status) == (False, 3)
    for body in made.values():
        speaker.rest.request("DELETE", f"{PODS}/{body['metadata']['name']}?gracePeriodSeconds=0")
    for name in ("nodes", "peers-0"):
        speaker.rest.request("DELETE", f"{place('AnnouncementSlice')}/{name}")
    await speaker.publish()
    await speaker.until(lambda: not speaker.items(SESSIONS))


def nodes_slice(*names: str) -> Json:
    """As the controller writes it."""
    nodes = ", ".join(f"{{name: {name}, address: 192.0.2.9}}" for name in names)
    spec = f"{{version: {SLICE_VERSION}, nodeSets: [{{name: all, nodes: [{nodes}]}}]}}"
    return parsed("AnnouncementSlice", spec, "nodes")


def peers_slice() -> Json:
    """Likewise."""
    fields = "name: router, nodeSet: all, myASN: 64512, peerASN: 64513, address: 192.0.2.1"
    spec = f"{{version: {SLICE_VERSION}, peers: [{{{fields}}}]}}"
    return parsed("AnnouncementSlice", spec, "peers-0")


def pod(node: str) -> Json:
    """A speaker's, that no kubelet has started."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"speaker-{node}", "labels": {"component": "speaker"}},
        "spec": {
            "nodeName": node,
            "serviceAccountName": "bellmetal-speaker",
            "automountServiceAccountToken": False,
            "containers": [{"name": "speaker", "image": "none"}],
        },
    }
