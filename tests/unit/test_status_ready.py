"""`bellmetal status ready`: what it says of an installation, and its exit status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.cli.readiness import Readiness, read_readiness
from bellmetal.cli.status_ready import as_json, as_text, wait_ready
from bellmetal.cluster import Node
from bellmetal.inquiries import StatusReadySettings
from bellmetal.settings import parse, parser
from builders import metadata, node_object, pool_object
from small_api import SmallApi

OWN = "metallb-system"
PODS = f"/api/v1/namespaces/{OWN}/pods"
POOLS = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/ipaddresspools"
ADVERTISEMENTS = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/l2advertisements"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{OWN}/leases/bellmetal-controller"


class Golden(Protocol):
    check: Callable[[str, str], None]


class Stage(SmallApi):
    """Two nodes with a speaker each, two controllers of which c1 leads, and no pool."""

    def __init__(self) -> None:
        super().__init__()
        for name in (OWN, "default"):
            self.put(f"/api/v1/namespaces/{name}", {"metadata": {"name": name}})
        for node in ("n1", "n2"):
            self.put(f"/api/v1/nodes/{node}", node_object(node))
            self.pod(f"s-{node}", "speaker", node)
        for name in ("c1", "c2"):
            self.pod(name, "controller", "n1")
        self.leads("c1")

    def pod(self, name: str, component: str, node: str, ready: str = "True", **meta: Any) -> None:
        labels = {"component": component}
        body = resources.Pod(
            metadata=metadata(f"{OWN}/{name}", labels=labels, **meta),
            spec=resources.PodSpec(node),
            status=resources.PodStatus([resources.NodeCondition("Ready", ready)]),
        )
        self.put(f"{PODS}/{name}", body)

    def leads(self, name: str) -> None:
        self.put(LEASE, resources.Lease(spec=resources.LeaseSpec(holder_identity=name)))

    def pool(self, *entries: str, **fields: Any) -> None:
        """A pool, and an advertisement of everything."""
        self.put(f"{POOLS}/main", pool_object("main", *entries, **fields))
        self.advertise()

    def advertise(self, *pools: str) -> None:
        spec = {"ipAddressPools": list(pools)} if pools else {}
        self.put(f"{ADVERTISEMENTS}/all", {"metadata": {"name": "all"}, "spec": spec})


@pytest.fixture
def stage() -> Stage:
    return Stage()


def settings(**fields: Any) -> StatusReadySettings:
    return StatusReadySettings(OWN, **({"lb_class": "", "timeout": 0, "output": "text"} | fields))


async def read(stage: Stage, **fields: Any) -> Readiness:
    return await read_readiness(stage, settings(**fields))


async def told(stage: Stage, beginning: str) -> str:
    """The one sentence that begins so."""
    (found,) = [said for said in (await read(stage)).sentences() if said.startswith(beginning)]
    return found


async def test_all_is_well(stage: Stage) -> None:
    stage.pool("192.0.2.10-192.0.2.20")
    found = await read(stage)
    assert as_text(found).splitlines() == [
        "controllers: 2 of 2 ready; c1 leads",
        "speakers: 2 of 2 ready",
        "addresses: a Service of namespace default would get 192.0.2.10 of pool main",
        "ready",
    ]
    assert found.exit_status == 0


async def test_without_a_pool_it_is_ready_all_the_same(stage: Stage) -> None:
    found = await read(stage)
    sentence = "addresses: there is no IPAddressPool yet; a Service would wait for one"
    assert (list(found.sentences())[-1], found.exit_status) == (sentence, 0)


async def test_pools_that_give_nothing_are_told_with_the_reason(stage: Stage) -> None:
    stage.pool("192.0.2.10-192.0.2.20", auto_assign=False)
    found = await read(stage)
    sentence = list(found.sentences())[-1]
    assert sentence.startswith("addresses: a Service of namespace default would get none: ")
    assert found.row.refused is not None
    assert sentence.endswith(found.row.refused.message)
    assert found.exit_status == 3


async def test_an_address_that_nobody_would_announce_is_not_ready(stage: Stage) -> None:
    stage.pool("192.0.2.10-192.0.2.20")
    stage.advertise("mian")
    found = await read(stage)
    said = "addresses: a Service of namespace default would get 192.0.2.10 of pool main, and nobody"
    said += ' would announce it: no L2Advertisement or BGPAdvertisement selects pool "main"'
    assert (list(found.sentences())[-1], found.exit_status) == (said, 3)


async def test_nodes_that_may_not_announce_are_not_ready(stage: Stage) -> None:
    stage.pool("192.0.2.10-192.0.2.20")
    for name in ("n1", "n2"):
        stage.put(f"/api/v1/nodes/{name}", node_object(name, labels={Node.EXCLUDED: ""}))
    found = await read(stage)
    assert "nobody would announce it: no node may: n1 has the label" in list(found.sentences())[-1]
    assert found.exit_status == 3


async def test_nothing_is_written(stage: Stage) -> None:
    stage.pool("192.0.2.10-192.0.2.20")
    await read(stage)
    assert stage.writes() == []


TROUBLES: list[tuple[str, Callable[[Stage], object], str]] = [
    (
        "a controller is not ready",
        lambda stage: stage.pod("c2", "controller", "n1", "False"),
        "controllers: 1 of 2 ready, not c2; c1 leads",
    ),
    (
        "nobody leads",
        lambda stage: stage.objects.pop(LEASE),
        "controllers: 2 of 2 ready; none of them leads",
    ),
    (
        "somebody else leads",
        lambda stage: stage.leads("another"),
        "controllers: 2 of 2 ready; none of them leads",
    ),
    (
        "there is no controller",
        lambda stage: [stage.objects.pop(f"{PODS}/{name}") for name in ("c1", "c2")],
        "controllers: there is no pod",
    ),
    (
        "a speaker is not ready",
        lambda stage: stage.pod("s-n2", "speaker", "n2", "False"),
        "speakers: 1 of 2 ready, not n2",
    ),
    (
        "there is no speaker",
        lambda stage: [stage.objects.pop(f"{PODS}/s-{node}") for node in ("n1", "n2")],
        "speakers: there is no pod",
    ),
]


@pytest.mark.parametrize(
    ("change", "sentence"), [row[1:] for row in TROUBLES], ids=[row[0] for row in TROUBLES]
)
async def test_what_is_not_at_work_is_named(
    stage: Stage, change: Callable[[Stage], object], sentence: str
) -> None:
    change(stage)
    assert await told(stage, sentence.split(":")[0]) == sentence
    assert (await read(stage)).exit_status == 3


async def test_a_dead_nodes_speaker_is_told_and_not_waited_for(stage: Stage) -> None:
    stage.put("/api/v1/nodes/n2", node_object("n2", ready="Unknown"))
    stage.pod("s-n2", "speaker", "n2", "False")
    sentence = "speakers: 1 of 2 ready, not n2; nodes that are not ready: n2"
    assert await told(stage, "speakers") == sentence
    assert (await read(stage)).exit_status == 0


async def test_nodes_without_a_speaker_are_told(stage: Stage) -> None:
    stage.put("/api/v1/nodes/n3", node_object("n3"))
    assert await told(stage, "speakers") == "speakers: 2 of 2 ready; nodes without one: n3"
    assert (await read(stage)).exit_status == 0


async def test_pods_that_end_do_not_count(stage: Stage) -> None:
    stage.pod("c0", "controller", "n1", "False", deletion_timestamp="2026-01-01T00:00:00Z")
    assert (await read(stage)).exit_status == 0


@pytest.mark.looptime
async def test_it_is_waited_for_as_long_as_is_said(stage: Stage) -> None:
    stage.pod("c2", "controller", "n1", "False")
    assert (await wait_ready(stage, settings(timeout=5))).exit_status == 3
    later = asyncio.get_running_loop().call_later
    later(3, lambda: stage.pod("c2", "controller", "n1"))
    assert (await wait_ready(stage, settings(timeout=5))).exit_status == 0


async def test_without_the_right_it_says_which(stage: Stage) -> None:
    stage.refuse[PODS] = ApiError(403, "Forbidden", "pods is forbidden")
    with pytest.raises(ApiError, match="pods is forbidden"):
        await read(stage)


async def test_the_json_has_it_all(stage: Stage) -> None:
    stage.pool("192.0.2.10-192.0.2.20")
    found = json.loads(as_json(await read(stage)))
    assert (
        found.items()
        >= {
            "version": 1,
            "ready": True,
            "controllers": {"c1": True, "c2": True},
            "leader": "c1",
            "speakers": {"n1": True, "n2": True},
            "pools": 1,
            "addresses": ["192.0.2.10"],
            "refused": "",
        }.items()
    )


def test_the_command_line() -> None:
    line = ["status", "ready", "--timeout=5", "--lb-class=a/b", "--output=json", "--namespace=x"]
    assert parse(line, {}, "0") == StatusReadySettings("x", "a/b", 5, "json")


def test_seconds_are_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["status", "ready", "--timeout=5m"], {}, "0")
    assert '--timeout: "5m" is not a whole number of seconds' in capsys.readouterr().err


def test_the_help(
    golden: Golden, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parser("0").parse_args(["status", "ready", "--help"])
    golden.check("status-ready-help.txt", capsys.readouterr().out)
