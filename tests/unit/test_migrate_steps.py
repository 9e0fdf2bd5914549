"""The steps of a takeover, in a cluster in memory: what comes before what, and what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bellmetal.api import ApiError
from bellmetal.beside import Stage
from bellmetal.cli.migrate.metallb import NOWHERE
from bellmetal.cli.migrate.record import Record, Records
from bellmetal.cli.migrate.scene import NotYetError, look
from bellmetal.cli.migrate.takeover import STEPS
from bellmetal.cli.owners import NotFoundError
from bellmetal.moving import TakeoverSettings
from metallb_stand_in import controller, crds, speaker
from small_api import SmallApi

Json = dict[str, Any]
NAMESPACE = "metallb-system"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DAEMON = f"{APPS}/daemonsets/metallb-speaker"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Cluster(SmallApi):
    """One in which a DaemonSet's pods are where its affinity lets them."""

    def answer(self, method: str, path: str, data: Any, content_type: str) -> bytes:
        found = super().answer(method, path, data, content_type)
        if method == "PATCH" and path == DAEMON:
            self.place()
        return found

    def place(self) -> None:
        """A pod of MetalLB's on every node that it may be on."""
        spec = self.objects[DAEMON]["spec"]["template"]["spec"]
        for name in ("n1", "n2"):
            self.objects.pop(f"{PODS}/metallb-{name}", None)
            if _allowed(spec.get("affinity"), name):
                owner = {"kind": "DaemonSet", "name": "metallb-speaker"}
                labels = speaker()["spec"]["selector"]["matchLabels"]
                meta = {"name": f"metallb-{name}", "labels": labels, "ownerReferences": [owner]}
                self.put(f"{PODS}/metallb-{name}", {"metadata": meta, "spec": {"nodeName": name}})


def _allowed(affinity: Json | None, name: str) -> bool:
    if affinity is None:
        return True
    required = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (rule,) = required["nodeSelectorTerms"][0]["matchExpressions"]
    return bool(rule != NOWHERE and name not in rule["values"])


@pytest.fixture
def api() -> Cluster:
    api = Cluster()
    api.put(f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"name": NAMESPACE}})
    api.put(f"{APPS}/deployments/metallb-controller", controller())
    api.put(DAEMON, speaker())
    for body in crds():
        api.put(f"{CRDS}/{body['metadata']['name']}", body)
    for name in ("n1", "n2"):
        meta = {"name": name, "labels": {"kubernetes.io/hostname": name}}
        api.put(f"/api/v1/nodes/{name}", {"metadata": meta})
    api.place()
    return api


async def take(api: SmallApi, step: str, node: str = "", **more: Any) -> str:
    """Takes a step; what is said."""
    settings = TakeoverSettings(NAMESPACE, "", step, node, 0.2, "metallb/metallb", "text")
    said: list[str] = []
    await STEPS[step](await look(api, NAMESPACE, 0.2), settings, said.append)
    return "\n".join(said)


async def begun(api: SmallApi, stage: Stage = Stage.DECIDE, *nodes: str) -> None:
    record = await Records(api, NAMESPACE).create(Record())
    await Records(api, NAMESPACE).write(record, stage=stage, nodes=frozenset(nodes))


async def record(api: SmallApi) -> Record | None:
    return await Records(api, NAMESPACE).read()


TOO_EARLY = [
    ("node", "n1", None, "no takeover has begun: `bellmetal migrate takeover start`"),
    ("finish", "", None, "no takeover has begun: `bellmetal migrate takeover start`"),
    ("node", "n1", Stage.OBSERVE, "MetalLB's controller decides still: `takeover start` is before"),
    ("finish", "", Stage.DECIDE, "MetalLB's speakers are there still: `takeover node --all`"),
    ("node", "n1", Stage.ANNOUNCE, "both announce on layer 2 by now: `takeover node --all`"),
]


@pytest.mark.parametrize(("step", "node", "stage", "sentence"), TOO_EARLY)
async def test_a_step_before_its_time(
    api: Cluster, step: str, node: str, stage: Stage | None, sentence: str
) -> None:
    if stage is not None:
        await begun(api, stage)
    with pytest.raises(NotYetError) as no:
        await take(api, step, node)
    assert str(no.value).startswith(sentence)
    assert no.value.status == 2


async def test_it_does_not_start_before_bellmetal_is_there(api: Cluster) -> None:
    with pytest.raises(NotYetError, match="Bellmetal is not installed beside MetalLB") as no:
        await take(api, "start")
    assert no.value.status == 3
    assert await record(api) is None
    scaled = [item for item in api.writes() if item.path.startswith(APPS)]
    assert scaled == []


async def test_a_node_that_there_is_not(api: Cluster) -> None:
    await begun(api)
    with pytest.raises(NotFoundError, match='the cluster has no node "n9"'):
        await take(api, "node", "n9")


async def test_one_node_after_the_other(api: Cluster) -> None:
    await begun(api)
    await take(api, "node", "n1")
    assert await record(api) == Record(Stage.DECIDE, frozenset({"n1"}))
    assert f"{PODS}/metallb-n1" not in api.objects
    assert f"{PODS}/metallb-n2" in api.objects
    await take(api, "node", "n1")  # may be repeated
    assert "MetalLB's speakers: n2" in await take(api, "status")


async def test_what_lasts_too_long_may_be_repeated(api: Cluster) -> None:
    """The last node takes layer 2 with it, and nobody announces anything in this cluster."""
    await begun(api, Stage.DECIDE, "n1")
    with pytest.raises(NotYetError, match="repeat the step, or `rollback`") as no:
        await take(api, "node")
    assert no.value.status == 4
    found = await record(api)
    assert found is not None
    assert found.stage is Stage.ANNOUNCE


async def test_the_end_says_what_to_type(api: Cluster) -> None:
    await begun(api, Stage.COMPLETE, "n1", "n2")
    for name in ("n1", "n2"):
        api.objects.pop(f"{PODS}/metallb-{name}")
    with pytest.raises(NotYetError, match="MetalLB is installed still") as no:
        await take(api, "finish")
    assert any("daemonset/metallb-speaker" in line for line in no.value.commands)
    api.objects.pop(DAEMON)
    api.objects.pop(f"{APPS}/deployments/metallb-controller")
    assert (await take(api, "finish")).startswith("FINISHED")
    assert await record(api) is None


async def test_nothing_to_give_back(api: Cluster) -> None:
    assert "no takeover is under way" in await take(api, "rollback")


async def test_what_was_removed_cannot_be_given_back(api: Cluster) -> None:
    await begun(api, Stage.COMPLETE)
    api.objects.pop(DAEMON)
    with pytest.raises(NotYetError, match="MetalLB is not installed any more"):
        await take(api, "rollback")


async def test_the_status_as_json(api: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    await begun(api)
    settings = TakeoverSettings(NAMESPACE, "", "status", "", 0.2, "metallb/metallb", "json")
    await STEPS["status"](await look(api, NAMESPACE, 0.2), settings, lambda _: None)
    assert json.loads(capsys.readouterr().out) == {
        "version": 1,
        "stage": "decide",
        "metallbControllers": 0,
        "metallbSpeakers": ["n1", "n2"],
        "left": [],
        "announced": 0,
        "unanswered": [],
        "next": "prepare",
    }


async def test_no_right_to_write_it_down(api: Cluster) -> None:
    await begun(api)
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/bellmetal-takeover"
    api.refuse[path] = ApiError(403, "Forbidden", "configmaps is forbidden")
    with pytest.raises(ApiError, match="forbidden"):
        await take(api, "node", "n1")
