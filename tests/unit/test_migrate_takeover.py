"""A running MetalLB: what is done to it and undone, and the values to run beside it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import msgspec
import pytest
import yaml

from bellmetal.beside import Stage
from bellmetal.cli.migrate.closing import removal, settlement
from bellmetal.cli.migrate.installation import Installation, read_installation
from bellmetal.cli.migrate.metallb import NOWHERE, MetalLB, away_from
from bellmetal.cli.migrate.objects import ReleaseSecret, Workload
from bellmetal.cli.migrate.obstacles import Finding, Weight, findings
from bellmetal.cli.migrate.outlook import look_ahead
from bellmetal.cli.migrate.ports import free, taken
from bellmetal.cli.migrate.protect import protect
from bellmetal.cli.migrate.record import Record, Records
from bellmetal.cli.migrate.releases import ReleaseError, decode, doomed_crds, latest
from bellmetal.cli.migrate.takeover_values import as_yaml
from builders import NOW
from metallb_stand_in import controller, crds, speaker
from small_api import SmallApi

Json = dict[str, Any]
NAMESPACE = "metallb-system"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DELETE = f"kubectl --namespace {NAMESPACE} delete --ignore-not-found"
NO = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["h1", "h2"]}


def terms(affinity: Json | None) -> Any:
    assert affinity is not None
    return affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]


# --- where MetalLB's speakers may run ------------------------------------------------------------


def test_away_from_some_hosts() -> None:
    assert terms(away_from(None, {"h2", "h1"})) == [{"matchExpressions": [NO]}]


def test_away_from_all_hosts_those_to_come_as_well() -> None:
    assert terms(away_from(None, None)) == [{"matchExpressions": [NOWHERE]}]


def test_away_from_none_is_as_before() -> None:
    assert away_from(None, ()) is None
    assert away_from({"podAffinity": {}}, ()) == {"podAffinity": {}}


def test_what_the_affinity_said_before_holds_too() -> None:
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    rack = {"key": "rack", "operator": "In", "values": ["b"]}
    path = "requiredDuringSchedulingIgnoredDuringExecution"
    either = [{"matchExpressions": [zone]}, {"matchExpressions": [rack]}]
    before = {"nodeAffinity": {path: {"nodeSelectorTerms": either}}, "podAffinity": {"x": 1}}
    kept = json.dumps(before)
    found = away_from(before, {"h1", "h2"})
    assert terms(found) == [{"matchExpressions": [zone, NO]}, {"matchExpressions": [rack, NO]}]
    assert found is not None
    assert found["podAffinity"] == {"x": 1}
    assert json.dumps(before) == kept


# --- a cluster in memory -------------------------------------------------------------------------


@pytest.fixture
def api() -> SmallApi:
    """MetalLB, its CRDs and its namespace."""
    api = SmallApi()
    api.put(f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"name": NAMESPACE}})
    api.put(f"{APPS}/deployments/metallb-controller", controller())
    api.put(f"{APPS}/daemonsets/metallb-speaker", speaker())
    for body in crds():
        api.put(f"{CRDS}/{body['metadata']['name']}", body)
    return api


async def found(api: SmallApi) -> Installation:
    return await read_installation(api, NAMESPACE)


async def said(api: SmallApi, lb_class: str = "") -> list[Finding]:
    outlook = await look_ahead(api, NAMESPACE, lb_class, NOW)
    return findings(await found(api), outlook, lb_class)


async def codes(api: SmallApi, weight: Weight = Weight.STOP) -> list[str]:
    return [item.code for item in await said(api) if item.weight is weight]


async def test_who_is_who(api: SmallApi) -> None:
    ours = speaker(args=["speaker", "--port=9121"])
    ours["metadata"]["name"] = "bellmetal-speaker"
    api.put(f"{APPS}/daemonsets/bellmetal-speaker", ours)
    raw = controller()
    raw["metadata"]["labels"] = {"app": "metallb", "component": "controller"}
    raw["metadata"]["name"] = "controller"
    api.objects.pop(f"{APPS}/deployments/metallb-controller")
    api.put(f"{APPS}/deployments/controller", raw)
    installed = await found(api)
    assert installed.controller is not None
    assert installed.controller.name == "controller"
    assert installed.speaker is not None
    assert installed.speaker.name == "metallb-speaker"
    assert installed.our_speaker is not None
    assert installed.our_speaker.name == "bellmetal-speaker"
    assert installed.mode == "frr-k8s"


async def test_a_metallb_that_is_as_it_should_be_is_ready(api: SmallApi) -> None:
    assert await codes(api) == []
    assert await codes(api, Weight.KNOW) == ["port", "port", "port"]


async def test_raw_frr_configuration(api: SmallApi) -> None:
    path = "/apis/frrk8s.metallb.io/v1beta1/namespaces/metallb-system/frrconfigurations"
    raw = {"spec": {"raw": {"rawConfig": "router bgp 1"}}}
    api.put(f"{path}/metallb-n1", {"metadata": {"name": "metallb-n1"}, "spec": {}})
    api.put(f"{path}/mine", {"metadata": {"name": "mine"}, **raw})
    extras = {"metadata": {"name": "bgpextras"}, "data": {"extras": "hostname a"}}
    api.put(f"/api/v1/namespaces/{NAMESPACE}/configmaps/bgpextras", extras)
    assert await codes(api) == ["frrConfiguration", "bgpExtras"]


async def test_an_older_metallb_and_peers_that_are_stored_as_before(api: SmallApi) -> None:
    api.objects.pop(f"{CRDS}/configurationstates.metallb.io")
    peers = api.objects[f"{CRDS}/bgppeers.metallb.io"]
    api.put(
        f"{CRDS}/bgppeers.metallb.io",
        {**peers, "status": {"storedVersions": ["v1beta1", "v1beta2"]}},
    )
    assert await codes(api) == ["missingCRDs", "oldStoredVersion"]


async def test_what_is_invalid_and_what_would_change(api: SmallApi) -> None:
    meta = {"name": "lan", "namespace": NAMESPACE}
    path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/ipaddresspools/lan"
    api.put(path, {"metadata": meta, "spec": {"addresses": ["192.0.2.0/28", "192.0.2.300/32"]}})
    assert await codes(api) == ["invalid"]


async def test_another_class_than_asked_about(api: SmallApi) -> None:
    api.put(f"{APPS}/deployments/metallb-controller", controller(args=["--lb-class", "mine"]))
    assert next(item.code for item in await said(api)) == "lbClass"
    assert not [item for item in await said(api, "mine") if item.code == "lbClass"]


async def test_sources_that_frr_k8s_ignores(api: SmallApi) -> None:
    spec = {"myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "sourceAddress": "10.0.0.9"}
    meta = {"name": "tor", "namespace": NAMESPACE}
    path = f"/apis/metallb.io/v1beta2/namespaces/{NAMESPACE}/bgppeers/tor"
    api.put(path, {"metadata": meta, "spec": spec})
    told = [item for item in await said(api) if item.code == "comesIntoForce"]
    assert [item.subject for item in told] == ["BGPPeer/tor"]


# --- ports and values ----------------------------------------------------------------------------


async def test_the_values_avoid_what_is_taken(api: SmallApi) -> None:
    assert yaml.safe_load(as_yaml(await found(api))) == {
        "takeover": True,
        "prometheus": {"metricsPort": 9121},
        "speaker": {
            "secretName": "bellmetal-memberlist",
            "memberlist": {"mlBindPort": 7947},
            "gratuitousARPInterval": 1,
            "livenessProbe": {"port": 17473},
            "readinessProbe": {"port": 17473},
            "excludeInterfaces": {"enabled": False},
        },
    }


async def test_many_addresses_are_told_again_less_often(api: SmallApi) -> None:
    body = yaml.safe_load(as_yaml(await found(api), 1200))
    assert body["speaker"]["gratuitousARPInterval"] == 3


async def test_the_values_follow_metallbs_own(api: SmallApi) -> None:
    flags = ["--lb-class=mine", "--ignore-exclude-lb", "--port=9121"]
    frr = [
        {"name": "METALLB_BGP_TYPE", "value": "frr"},
        {"name": "METALLB_ML_BIND_PORT", "value": "7947"},
    ]
    api.put(f"{APPS}/deployments/metallb-controller", controller(args=flags))
    api.put(f"{APPS}/daemonsets/metallb-speaker", speaker(args=flags, env=frr))
    excludes = {"metadata": {"name": "metallb-excludel2"}}
    api.put(f"/api/v1/namespaces/{NAMESPACE}/configmaps/metallb-excludel2", excludes)
    installed = await found(api)
    assert taken(installed) == {
        "metrics": 9121,
        "health": 17472,
        "memberlist": 7947,
        "FRR's metrics": 9121,
    }
    assert free(installed) == {"metrics": 9120, "health": 17473, "memberlist": 7946}
    body = yaml.safe_load(as_yaml(installed))
    assert body["loadBalancerClass"] == "mine"
    assert body["speaker"]["ignoreExcludeLB"] is True
    assert "excludeInterfaces" not in body["speaker"]


# --- what is done and undone ---------------------------------------------------------------------


async def test_speakers_leave_and_return_byte_by_byte(api: SmallApi) -> None:
    path = f"{APPS}/daemonsets/metallb-speaker"
    api.put(
        path,
        speaker() | {"spec": speaker()["spec"] | {"updateStrategy": {"type": "RollingUpdate"}}},
    )
    before = json.dumps(api.objects[path]["spec"], sort_keys=True)
    metallb = MetalLB(api, await found(api))
    record = Record(strategy={"type": "RollingUpdate"})
    await metallb.keep_off(record, {"h1"})
    assert api.objects[path]["spec"]["updateStrategy"] == {"type": "OnDelete"}  # nothing restarts
    assert "affinity" in api.objects[path]["spec"]["template"]["spec"]
    await metallb.keep_off(record, None)
    await metallb.restore(record)
    assert json.dumps(api.objects[path]["spec"], sort_keys=True) == before
    number = len(api.writes())
    await metallb.restore(record)
    assert len(api.writes()) == number


async def test_pods_are_told_apart_by_their_owners(api: SmallApi) -> None:
    labels = speaker()["spec"]["selector"]["matchLabels"]
    for name, owner in (("a", "metallb-speaker"), ("b", "bellmetal-speaker")):
        meta = {
            "name": name,
            "labels": labels,
            "ownerReferences": [{"kind": "DaemonSet", "name": owner}],
        }
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        body = {"metadata": meta, "spec": {"nodeName": f"n-{name}"}, "status": status}
        api.put(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", body)
    assert await MetalLB(api, await found(api)).speakers() == {"n-a": True}


async def test_the_record_is_in_the_cluster() -> None:
    api = SmallApi()
    records = Records(api, NAMESPACE)
    assert await records.read() is None
    record = Record(replicas=2, affinity={"a": 1}, strategy={"type": "RollingUpdate"})
    await records.create(record)
    await records.write(record, stage=Stage.DECIDE, nodes=frozenset({"n2", "n1"}))
    changed = Record(Stage.DECIDE, frozenset({"n1", "n2"}), 2, {"a": 1}, {"type": "RollingUpdate"})
    assert await Records(api, NAMESPACE).read() == changed
    await records.delete()
    assert await records.read() is None


# --- and for good -------------------------------------------------------------------------------


async def test_what_removes_metallb_and_nothing_else(api: SmallApi) -> None:
    lines = list(removal(await found(api)))
    assert lines == [
        f"{DELETE} deployment/metallb-controller",
        f"{DELETE} daemonset/metallb-speaker",
        f"{DELETE} service/metallb-webhook-service secret/metallb-webhook-cert",
        "kubectl delete --ignore-not-found"
        " validatingwebhookconfiguration/metallb-webhook-configuration",
    ]
    for path in (f"{APPS}/deployments/metallb-controller", f"{APPS}/daemonsets/metallb-speaker"):
        body = api.objects[path]
        marks = {"meta.helm.sh/release-name": "lb", "meta.helm.sh/release-namespace": NAMESPACE}
        api.put(path, body | {"metadata": body["metadata"] | {"annotations": marks}})
    put_release(api, "lb", "")
    assert list(removal(await found(api))) == [f"helm uninstall lb --namespace {NAMESPACE}"]


async def test_a_crd_whose_webhook_is_gone_converts_no_more(api: SmallApi) -> None:
    (upgrade,) = settlement(await found(api))
    assert upgrade.startswith("helm upgrade bellmetal helm/bellmetal --namespace metallb-system")
    path = f"{CRDS}/bgppeers.metallb.io"
    body = api.objects[path]
    api.put(path, body | {"spec": body["spec"] | {"conversion": {"strategy": "Webhook"}}})
    assert list(settlement(await found(api))) == [
        "kubectl patch crd bgppeers.metallb.io --type=merge --patch"
        ' \'{"spec":{"conversion":{"strategy":"None","webhook":null}}}\'',
        upgrade,
    ]


# --- releases and CRDs ---------------------------------------------------------------------------


def release(version: int = 1, manifest: str = "", **fields: Any) -> ReleaseSecret:
    body = {
        "name": "metallb",
        "namespace": NAMESPACE,
        "version": version,
        "manifest": manifest,
        "info": {"status": "deployed"},
        **fields,
    }
    packed = base64.b64encode(gzip.compress(json.dumps(body).encode()))
    data = {"release": base64.b64encode(packed).decode()}
    return msgspec.convert({"metadata": {"name": "r"}, "data": data}, ReleaseSecret)


def put_release(api: SmallApi, name: str, manifest: str) -> None:
    secret = msgspec.json.decode(msgspec.json.encode(release(name=name, manifest=manifest)))
    secret |= {"type": "helm.sh/release.v1", "metadata": {"name": "r", "labels": {"owner": "helm"}}}
    api.put(f"/api/v1/namespaces/{NAMESPACE}/secrets/r", secret)


def manifest(annotations: Json) -> str:
    crd = crds()[0]
    crd["metadata"]["annotations"] = annotations
    return yaml.safe_dump_all([crd, {"kind": "Service", "metadata": {"name": "a"}}, None])


POLICIES = [
    ({}, ["bfdprofiles.metallb.io"]),
    ({"helm.sh/resource-policy": "delete"}, ["bfdprofiles.metallb.io"]),
    ({"helm.sh/resource-policy": " Keep "}, []),
]


@pytest.mark.parametrize(("annotations", "doomed"), POLICIES)
def test_what_an_uninstall_would_delete(annotations: Json, doomed: list[str]) -> None:
    assert doomed_crds(decode(release(manifest=manifest(annotations)))) == doomed


def test_the_latest_revision_counts() -> None:
    found = [decode(release(n)) for n in (1, 3, 2)]
    assert [item.version for item in latest(found)] == [3]
    assert latest([decode(release(info={"status": "uninstalled"}))]) == []


def test_a_release_that_cannot_be_read() -> None:
    broken = msgspec.convert(
        {"metadata": {"name": "r"}, "data": {"release": "AAAA"}}, ReleaseSecret
    )
    with pytest.raises(ReleaseError, match="Secret /r: cannot be read as a release of Helm"):
        decode(broken)


def test_a_release_shows_nothing_of_what_is_in_it() -> None:
    secret = release(manifest="password: s3cret", config={"password": "s3cret"})
    assert "s3cret" not in f"{secret} {secret!r} {decode(secret)!r}"


async def test_crds_are_annotated_once(api: SmallApi) -> None:
    done = await protect(api, NAMESPACE)
    assert (len(done.annotated), done.complete) == (9, True)
    number = len(api.writes())
    assert (await protect(api, NAMESPACE)).annotated == ()
    assert len(api.writes()) == number


async def test_releases_that_own_crds(api: SmallApi) -> None:
    path = f"{CRDS}/communities.metallb.io"
    marks = {"meta.helm.sh/release-name": "old", "meta.helm.sh/release-namespace": NAMESPACE}
    body = api.objects[path]
    api.put(path, body | {"metadata": body["metadata"] | {"annotations": marks}})
    assert (await protect(api, NAMESPACE)).complete  # it is uninstalled
    assert await codes(api) == []
    kept = f"/api/v1/namespaces/{NAMESPACE}/configmaps/sh.helm.release.v1.old.v1"
    api.put(kept, {"metadata": {"name": "r", "labels": {"owner": "helm", "name": "old"}}})
    assert (await protect(api, NAMESPACE)).unread == (f"{NAMESPACE}/old",)
    assert await codes(api) == ["unreadableRelease"]
    put_release(api, "old", manifest({}))
    assert await codes(api) == ["unprotectedCRDs"]


def test_a_workload_is_read_with_what_is_given_back() -> None:
    body = msgspec.convert(speaker(), Workload)
    assert body.spec.template.spec.affinity is None
