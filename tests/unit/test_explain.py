"""`bellmetal explain`: what is read, what is printed, and its exit status."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import msgspec
import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.cli.chain_text import print_explanations
from bellmetal.cli.explain import explain
from bellmetal.cli.owners import NotFoundError
from bellmetal.diagnosis import catalogue
from bellmetal.diagnosis.catalogue import CATALOGUE
from bellmetal.diagnosis.situation import Situation
from bellmetal.diagnosis.wire import as_plain
from bellmetal.explanation import Cause
from bellmetal.facts import DoubtKind, Finding
from bellmetal.inquiries import ExplainSettings
from bellmetal.intents import RefusedReason, WithheldReason
from bellmetal.settings import parse
from bellmetal.survey import Surveyor, Told, count_endpoints, speakers_of, told_by
from builders import NOW, cluster, node_object, pool_object, service, service_object
from situations import doubt, explained, settled
from small_api import SmallApi

SYSTEM = "metallb-system"
OWN = f"/apis/metallb.io/v1beta1/namespaces/{SYSTEM}"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/bellmetal-controller"
PODS = f"/api/v1/namespaces/{SYSTEM}/pods"
WEB = service("shop/web")

Json = dict[str, Any]


class Golden(Protocol):
    check: Callable[[str, str], None]


def raw(body: object) -> Json:
    found: Json = msgspec.json.decode(msgspec.json.encode(body))
    return found


class Stage(SmallApi):
    """A cluster in memory: one node, one pool, one Service that has no endpoint."""

    def __init__(self) -> None:
        super().__init__()
        for name in (SYSTEM, "shop"):
            self.put(f"/api/v1/namespaces/{name}", {"metadata": {"name": name}})
        self.put("/api/v1/nodes/n1", raw(node_object("n1")))
        self.put(f"{OWN}/ipaddresspools/lan", raw(pool_object("lan", "192.0.2.0/24")))
        advertisement = {"metadata": {"name": "all", "namespace": SYSTEM}, "spec": {}}
        self.put(f"{OWN}/l2advertisements/all", advertisement)
        self.put("/api/v1/namespaces/shop/services/web", raw(service_object("shop/web")))
        self.lease("2026-06-01T11:59:59Z")

    def lease(self, renewed: str) -> None:
        spec = {"holderIdentity": "c-1", "leaseDurationSeconds": 4, "renewTime": renewed}
        self.put(LEASE, {"metadata": {"name": "bellmetal-controller"}, "spec": spec})

    def pod(self, name: str, component: str, *args: str, ready: bool = True) -> None:
        self.put(
            f"{PODS}/{name}",
            {
                "metadata": {
                    "name": name,
                    "namespace": SYSTEM,
                    "labels": {"app": "metallb", "component": component},
                },
                "spec": {"nodeName": "n1", "containers": [{"name": component, "args": args}]},
                "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
            },
        )

    async def survey(self, told: Told | None = None) -> tuple[Surveyor, Situation]:
        surveyor = Surveyor(self, SYSTEM, told)
        return surveyor, await surveyor.survey(NOW)

    async def explain(self, subject: str, name: str) -> Json:
        surveyor, situation = await self.survey()
        (found,) = await explain(surveyor, situation, subject, name)
        return as_plain(found)


@pytest.fixture(name="api")
def _api(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("bellmetal.survey.AGAIN", 0.0)
    return Stage()


# --- what is read --------------------------------------------------------------------------------


async def test_a_service_is_explained_from_what_the_cluster_says(api: Stage) -> None:
    found = await api.explain("service", "shop/web")
    assert [link["link"] for link in found["links"]] == ["claim", "pool", "address"]
    assert found["cause"]["code"] == "ControllerBehind"  # nobody has written the status yet
    shown = service_object("shop/web", ingress=("192.0.2.0",))
    api.put("/api/v1/namespaces/shop/services/web", raw(shown))
    found = await api.explain("service", "shop/web")
    assert found["cause"]["code"] == "noEndpoints"
    assert [request.method for request in api.writes()] == []


async def test_a_service_without_a_namespace_is_of_default(api: Stage) -> None:
    with pytest.raises(NotFoundError) as error:
        await api.explain("service", "web")
    assert str(error.value) == 'there is no Service "default/web"; there are shop/web'


@pytest.mark.parametrize(
    ("subject", "name", "said"),
    [
        ("pool", "lna", 'there is no IPAddressPool "lna"; is lan meant?'),
        ("pool", "xyz", 'there is no IPAddressPool "xyz"; there are lan'),
        ("service", "shop/wbe", 'there is no Service "shop/wbe"; is shop/web meant?'),
        ("node", "x7", 'there is no Node "x7"; there are n1'),
        ("peer", "tor", 'there is no BGPPeer "tor"; there are none'),
        ("address", "192.0.2.9", "no Service has 192.0.2.9: it is free in IPAddressPool/lan"),
        ("address", "203.0.113.1", "no Service has 203.0.113.1: no IPAddressPool allows it"),
    ],
)
async def test_what_is_not_there_is_said_with_what_is(
    api: Stage, subject: str, name: str, said: str
) -> None:
    with pytest.raises(NotFoundError) as error:
        await api.explain(subject, name)
    assert str(error.value) == said


async def test_an_address_is_explained_by_its_service(api: Stage) -> None:
    found = await api.explain("address", "192.0.2.0")
    assert (found["kind"], found["name"]) == ("Service", "shop/web")


async def test_what_the_controller_was_told_is_read_from_its_pod(api: Stage) -> None:
    api.pod("c-1", "controller", "controller", "--lb-class=example.com/lb", "--ignore-exclude-lb")
    _, situation = await api.survey()
    assert situation.lb_class == "example.com/lb"
    assert situation.cluster.ignore_exclude_label
    assert (await api.explain("service", "shop/web"))["cause"]["code"] == "OtherClass"
    _, situation = await api.survey(Told("of my own"))
    assert situation.lb_class == "of my own"


async def test_a_lease_that_seems_old_is_read_again(api: Stage) -> None:
    api.lease("2026-06-01T11:00:00Z")
    _, situation = await api.survey()
    assert situation.leader is not None
    assert not situation.leader.leads
    reads = [request for request in api.requests if request.path == LEASE]
    assert len(reads) == 2


async def test_no_lease_is_no_leader(api: Stage) -> None:
    del api.objects[LEASE]
    _, situation = await api.survey()
    assert situation.leader is not None
    assert not situation.leader.leads


async def test_what_may_not_be_read_is_said_and_not_guessed(api: Stage) -> None:
    forbidden = ApiError(403, "Forbidden", "pods is forbidden: you may not list them")
    api.refuse = {PODS: forbidden, LEASE: ApiError(403, "Forbidden", "leases is forbidden")}
    _, situation = await api.survey()
    assert situation.speakers is None
    assert situation.leader is None
    assert len(situation.unread) == 2


async def test_without_the_services_there_is_nothing_to_say(api: Stage) -> None:
    api.refuse = {"/api/v1/services": ApiError(403, "Forbidden", "services is forbidden")}
    with pytest.raises(ApiError, match="services is forbidden"):
        await api.survey()


async def test_what_only_the_controller_can_know_is_read_in_its_words(api: Stage) -> None:
    sentence = 'there is no Secret "nichda"'
    summary = f"BGPPeer/tor spec.passwordSecret: {sentence}\n… and 3 more problems"
    state = {"metadata": {"name": "controller"}, "status": {"errorSummary": summary}}
    api.put(f"{OWN}/configurationstates/controller", state)
    _, situation = await api.survey()
    (problem,) = situation.problems
    assert (problem.kind, problem.name, problem.path, problem.message) == (
        "BGPPeer",
        "tor",
        "spec.passwordSecret",
        sentence,
    )
    assert (await api.explain("peer", "tor"))["cause"]["sentence"].endswith(sentence)


@pytest.mark.parametrize(
    "line", ["explain service web -n shop", "explain service shop/web -n other"]
)
def test_the_namespace_of_a_service_may_stand_behind_it(line: str) -> None:
    found = parse(line.split(), {}, "1")
    assert isinstance(found, ExplainSettings)
    assert found.name == "shop/web"


async def test_objects_of_ours_in_other_namespaces_are_strays(api: Stage) -> None:
    other = "/apis/metallb.io/v1beta1/namespaces/default/ipaddresspools/mine"
    api.put(other, {"metadata": {"name": "mine", "namespace": "default"}, "spec": {}})
    _, situation = await api.survey()
    assert situation.strays == ("IPAddressPool/mine in default",)


def test_which_speakers_pods_are_ready() -> None:
    api = Stage()
    api.pod("s-1", "speaker", ready=False)
    api.pod("c-1", "controller")
    pods = [
        msgspec.convert(body, resources.Pod)
        for path, body in api.objects.items()
        if path.startswith(PODS)
    ]
    assert speakers_of(pods) == {"n1": False}
    assert speakers_of(pods[1:]) is None
    assert told_by(pods) == Told()


def test_endpoints_are_counted_by_what_they_can_do() -> None:
    def endpoint(node: str | None, **conditions: bool) -> resources.SliceEndpoint:
        return resources.SliceEndpoint(
            ["10.0.0.1"], resources.EndpointConditions(**conditions), node
        )

    body = resources.EndpointSlice(
        endpoints=[
            endpoint("n1", ready=True),
            endpoint(None),
            endpoint("n2", ready=False, serving=True, terminating=True),
            endpoint("n2", ready=False),
        ]
    )
    counts = count_endpoints([body])
    assert (counts.ready, counts.ending, counts.not_ready) == (
        {"n1": 1, "": 1},
        {"n2": 1},
        {"n2": 1},
    )
    assert counts.usable == 3


# --- what is printed -----------------------------------------------------------------------------


def test_the_text_of_a_broken_service(golden: Golden) -> None:
    found = settled(cluster(WEB))
    held = doubt(DoubtKind.HELD, "192.0.2.0", owner="n3")
    out = io.StringIO()
    print_explanations([explained(replace(found, doubts=(("n3", held),)))], out)
    golden.check("explain-broken.txt", out.getvalue())


def test_the_text_of_a_service_that_is_well(golden: Golden) -> None:
    found = settled(cluster(WEB))
    key = Finding("unknownKey", "a beacon of n1 was refused: its key is unknown")
    out = io.StringIO()
    print_explanations([explained(replace(found, findings={"n2": (key,)}))], out)
    golden.check("explain-well.txt", out.getvalue())


def test_the_json(golden: Golden) -> None:
    found = explained(cluster(WEB, endpoints={}))
    golden.check("explain.json", json.dumps(as_plain(found), indent=2) + "\n")


# --- the catalogue -------------------------------------------------------------------------------

NOT_EXPLAINED = {DoubtKind.CONTESTED.reason}


@pytest.mark.parametrize(
    "code",
    [
        *[item.value for item in RefusedReason],
        *[item.value for item in WithheldReason],
        *{item.reason for item in DoubtKind},
    ],
)
def test_every_reason_of_a_condition_is_in_the_catalogue(code: str) -> None:
    assert code in CATALOGUE


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_cause_says_what_to_do(code: str) -> None:
    advice = CATALOGUE[code]
    assert advice.title
    assert not advice.title.endswith(".")
    assert advice.meaning.endswith(".")
    assert advice.command
    blanks = {"namespace", "name", "system", "pool", "node", "address", "port", "object"}
    for text in (advice.edit, advice.command):
        for blank in blanks:
            text = text.replace("{" + blank + "}", "")
        assert "{" not in text.replace('{"spec":{"type":"LoadBalancer"}}', "").replace(
            "{.spec", ""
        ).replace("{.metadata", "")


def test_blanks_are_filled_in_and_braces_of_commands_stay() -> None:
    found = catalogue.cause(catalogue.NOT_LOAD_BALANCER, "it is", namespace="shop", name="web")
    assert found == Cause(
        "NotLoadBalancer",
        "it is",
        edit="Service/web spec.type",
        command='kubectl patch service -n shop web -p \'{"spec":{"type":"LoadBalancer"}}\'',
    )
