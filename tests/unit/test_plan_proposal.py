"""Documents and deletions → the cluster as it would be, or what is not understood of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from msgspec import inspect

from bellmetal import resources
from bellmetal.cli.proposal import merged
from bellmetal.cli.report import as_json
from bellmetal.config import OnOrphan
from builders import LONG_AGO
from configuration import peer_object
from plan_stage import Json, Stage, given, pool_file, raw, service_file, table

OWN = "/apis/metallb.io/v1beta1/namespaces/metallb-system"
PEERS = "/apis/metallb.io/v1beta2/namespaces/metallb-system/bgppeers"
LAST = "kubectl.kubernetes.io/last-applied-configuration"
PLURALS = {
    "BGPPeer": "bgppeers",
    "IPAddressPool": "ipaddresspools",
    "Community": "communities",
    "BFDProfile": "bfdprofiles",
    "BGPAdvertisement": "bgpadvertisements",
    "L2Advertisement": "l2advertisements",
}


@pytest.fixture
def stage() -> Stage:
    return Stage()


# --- what takes whose place ----------------------------------------------------------------------


async def test_a_pool_takes_the_place_of_the_one_of_its_name(stage: Stage) -> None:
    stage.pool("main", "192.0.2.1-192.0.2.2")
    stage.service("web", "192.0.2.1")
    assert await stage.rows(pool_file("main", "192.0.2.2/32")) == {"web": "orphaned 192.0.2.1"}
    assert await stage.rows(pool_file("other", "192.0.3.0/24")) == {"web": "keeps 192.0.2.1"}


async def test_the_cluster_stays_as_it_is(stage: Stage) -> None:
    stage.pool("main")
    stage.service("web", "192.0.2.1")
    before = dict(stage.api.objects)
    await stage.plan(pool_file("main", "192.0.3.0/24"), delete=("service/shop/web",))
    assert stage.api.writes() == []
    assert stage.api.objects == before


async def test_deletions_come_after_the_files(stage: Stage) -> None:
    stage.pool("main")
    stage.service("web", "192.0.2.1")
    move = {"on_orphan": OnOrphan.RENUMBER, "delete": ("IPAddressPool/main",)}
    assert await stage.rows(pool_file("new", "198.51.100.0/24"), **move) == {
        "web": "changes 198.51.100.0"
    }
    assert await stage.rows(delete=("services/shop/web",)) == {"web": "loses"}


@pytest.mark.parametrize("word", ["ipaddresspool", "IPAddressPools", "ipaddresspools.metallb.io"])
async def test_kinds_by_any_of_their_names(stage: Stage, word: str) -> None:
    stage.pool("main")
    stage.service("web", "192.0.2.1")
    assert await stage.rows(delete=(f"{word}/main",)) == {"web": "orphaned 192.0.2.1"}


async def test_the_files_as_the_whole_of_their_kinds(stage: Stage) -> None:
    stage.pool("main")
    stage.service("web", "192.0.2.1")
    advertisement = given("L2Advertisement", "all")
    assert await stage.rows(advertisement, replace=True) == {"web": "keeps 192.0.2.1"}
    other = pool_file("other", "192.0.3.0/24")
    assert await stage.rows(other, replace=True) == {"web": "orphaned 192.0.2.1"}
    # of other kinds nothing goes
    assert await stage.rows(service_file("new"), replace=True) == {
        "new": "gets 192.0.2.0",
        "web": "keeps 192.0.2.1",
    }


async def test_a_new_object_is_the_youngest(stage: Stage) -> None:
    stage.pool("main", "192.0.2.0/24")
    meta = {"creationTimestamp": LONG_AGO, "uid": "mine"}
    report = await stage.plan(pool_file("a", "192.0.2.0/28", **meta))
    assert [str(problem) for problem in report.problems] == [
        'IPAddressPool/a spec.addresses[0]: "192.0.2.0-192.0.2.15" overlaps with'
        " IPAddressPool/main, which is older"
    ]
    assert [report.is_new(problem) for problem in report.problems] == [True]


async def test_an_object_that_could_not_be_read_is_mended(stage: Stage) -> None:
    stage.api.put(f"{OWN}/ipaddresspools/main", pool_file("main") | {"spec": {"addresses": "x"}})
    stage.service("web")
    assert await stage.rows(pool_file("main", "192.0.2.7/32")) == {"web": "gets 192.0.2.7"}


async def test_a_peer_of_the_older_version_takes_the_place_too(stage: Stage) -> None:
    stage.api.put(f"{PEERS}/tor", raw(peer_object("tor")))
    spec = {"myASN": 64500, "peerASN": 64501, "peerAddress": "10.0.0.254", "peerPort": 70000}
    report = await stage.plan(given("BGPPeer", "tor", spec=spec))
    assert [problem.path for problem in report.problems] == ["spec.peerPort"]


async def test_namespaces_their_labels_and_their_quota(stage: Stage) -> None:
    selector = [{"matchLabels": {"kubernetes.io/metadata.name": "bank"}}]
    allocation = {"namespaceSelectors": selector, "priority": 1}
    spec = {"addresses": ["192.0.2.0/24"], "serviceAllocation": allocation}
    bank = given(
        "Namespace", "bank", "v1", meta={"annotations": {"bellmetal.io/address-quota": "1"}}
    )
    new = [service_file(name, meta={"namespace": "bank"}) for name in ("a", "b")]
    rows = await stage.rows(bank, given("IPAddressPool", "main", spec=spec), *new)
    assert rows == {"bank/a": "gets 192.0.2.0", "bank/b": "refused"}


# --- Services of files ---------------------------------------------------------------------------


async def test_a_service_keeps_what_the_server_filled_in(stage: Stage) -> None:
    stage.pool("main", "192.0.2.0/24", "fd00::/120")
    stage.service("six", "fd00::5", cluster_ip="fd01::1", cluster_ips=["fd01::1"])
    assert await stage.rows(service_file("six")) == {"six": "keeps fd00::5"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, "gets 192.0.2.0", id="the first family of the cluster"),
        pytest.param({"ipFamilies": ["IPv6"]}, "gets fd00::", id="the other, as asked for"),
        pytest.param({"ipFamilyPolicy": "RequireDualStack"}, "gets 192.0.2.0 fd00::", id="both"),
        pytest.param({"ipFamilyPolicy": "PreferDualStack"}, "gets 192.0.2.0", id="one family here"),
        pytest.param(
            {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6", "IPv4"]},
            "gets fd00::",
            id="one",
        ),
        pytest.param({"clusterIP": "None"}, "refused", id="headless"),
        pytest.param({"loadBalancerClass": "other"}, None, id="not ours"),
        pytest.param({"type": "ClusterIP"}, None, id="no load balancer"),
    ],
)
async def test_the_families_of_a_new_service(stage: Stage, spec: Json, expected: str) -> None:
    stage.pool("main", "192.0.2.0/24", "fd00::/120")
    assert (await stage.rows(service_file("new", **spec))).get("new") == expected


async def test_a_cluster_of_both_families_is_known_by_its_services(stage: Stage) -> None:
    stage.pool("main", "192.0.2.0/24", "fd00::/120")
    stage.service("both", type="ClusterIP", cluster_ips=["10.96.0.2", "fd01::2"])
    rows = await stage.rows(service_file("new", ipFamilyPolicy="PreferDualStack"))
    assert rows == {"new": "gets 192.0.2.0 fd00::"}


# --- three sides of an apply ---------------------------------------------------------------------


def applied(live: Json, last: Json | None, new: Json) -> Json:
    """All three as the spec and annotations of an object."""
    annotations = live.get("annotations", {})
    if last is not None:
        said = {"metadata": {"annotations": last.get("annotations", {})}, "spec": last["spec"]}
        annotations = annotations | {LAST: json.dumps(said)}
    body = merged(
        {"metadata": {"name": "x", "annotations": annotations}, "spec": live["spec"]},
        {"metadata": {"annotations": new.get("annotations")}, "spec": new["spec"]},
    )
    found = {k: v for k, v in body["metadata"]["annotations"].items() if k != LAST}
    return {"spec": body["spec"], **({"annotations": found} if found else {})}


@pytest.mark.parametrize(
    ("live", "last", "new", "expected"),
    [
        pytest.param({"a": 1}, None, {"b": 2}, {"a": 1, "b": 2}, id="what others wrote stays"),
        pytest.param({"a": 1}, {"a": 1}, {"b": 2}, {"b": 2}, id="what the file had goes"),
        pytest.param({"a": 1}, {"a": 1}, {"a": None}, {}, id="a null removes"),
        pytest.param({}, None, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, id="a null is nothing"),
        pytest.param(
            {"a": {"x": 1, "y": 2}},
            {"a": {"x": 1}},
            {"a": {"z": 3}},
            {"a": {"y": 2, "z": 3}},
            id="inside too",
        ),
        pytest.param({"a": [1, 2]}, None, {"a": [3]}, {"a": [3]}, id="a list is one thing"),
    ],
)
def test_what_apply_makes_of_an_object(
    live: Json, last: Json | None, new: Json, expected: Json
) -> None:
    spec = applied({"spec": live}, None if last is None else {"spec": last}, {"spec": new})
    assert spec == {"spec": expected}


def test_annotations_of_others_stay_also_when_the_file_has_none() -> None:
    live = {"annotations": {"a": "1", "b": "2"}, "spec": {}}
    assert applied(live, {"annotations": {"a": "1"}, "spec": {}}, {"spec": {}}) == {
        "annotations": {"b": "2"},
        "spec": {},
    }


def test_a_mark_of_the_last_apply_that_is_no_json_is_as_none() -> None:
    live = {"metadata": {"annotations": {LAST: "{"}}, "spec": {"a": 1}}
    assert merged(live, {"metadata": {}, "spec": {"b": 1}})["spec"] == {"a": 1, "b": 1}


# --- what is not read, or not understood ---------------------------------------------------------


async def test_what_has_no_part_is_listed_and_nothing_of_it_is_shown(stage: Stage) -> None:
    report = await stage.plan(
        given("Secret", "bgp", "v1", stringData={"password": "s3cret"}),
        given("Service", "fn", "serving.knative.dev/v1"),
        pool_file("far", "192.0.2.0/24", namespace="elsewhere"),
    )
    assert [(item.kind, item.name, item.reason) for item in report.ignored] == [
        ("Secret", "bgp", "Bellmetal reads nothing of this kind"),
        ("Service", "fn", "Bellmetal reads nothing of this kind"),
        ("IPAddressPool", "far", "it is in namespace elsewhere, and metallb-system alone counts"),
    ]
    assert "s3cret" not in table(report) + as_json(report, True) + repr(report.ignored)


@pytest.mark.parametrize(
    ("bodies", "sentence"),
    [
        pytest.param(
            [given("IPAddressPol", "a")],
            'new.yaml, document 1: metallb.io has no kind "IPAddressPol";'
            ' did you mean "IPAddressPool"?',
            id="a kind",
        ),
        pytest.param(
            [given("IPAddressPool", "a", "metallb.io/v1beta9")],
            'new.yaml, document 1: apiVersion: IPAddressPool has no version "v1beta9";'
            " it has v1beta1",
            id="a version",
        ),
        pytest.param(
            [given("BGPPeer", "a", "metallb.io/v1")],
            'new.yaml, document 1: apiVersion: BGPPeer has no version "v1";'
            " it has v1beta2, v1beta1",
            id="a version of two",
        ),
        pytest.param(
            [pool_file("a", "192.0.2.0/24"), pool_file("a", "192.0.3.0/24")],
            "new.yaml, document 2: IPAddressPool/a stands already in new.yaml, document 1",
            id="twice",
        ),
        pytest.param(
            [{"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool"}],
            "new.yaml, document 1: IPAddressPool metadata.name: is missing",
            id="no name",
        ),
        pytest.param(
            [given("Service", "a", "v1")],
            "new.yaml, document 1: Service metadata.namespace: is missing",
            id="a Service without a namespace",
        ),
        pytest.param(
            [given("IPAddressPool", "a", spec={"addresses": "192.0.2.0/24"})],
            "new.yaml, document 1: IPAddressPool/a spec.addresses: expected array | null, got str",
            id="a text for a list",
        ),
        pytest.param(
            [given("BGPPeer", "a", spec={"password": 12345678})],
            "new.yaml, document 1: BGPPeer/a spec.password: expected str, got int",
            id="a password of digits",
        ),
        pytest.param(
            [given("IPAddressPool", "a", spec=[])],
            "new.yaml, document 1: IPAddressPool/a spec: expected object, got array",
            id="a list for a spec",
        ),
    ],
)
async def test_documents_that_are_wrong(stage: Stage, bodies: list[Json], sentence: str) -> None:
    assert await stage.fault(*bodies) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param(
            "pool/x",
            '--delete "pool/x": KIND/NAME of metallb.io, or service/NAMESPACE/NAME, is asked for',
            id="a kind",
        ),
        pytest.param(
            "namespace/shop",
            '--delete "namespace/shop": KIND/NAME of metallb.io, or service/NAMESPACE/NAME,'
            " is asked for",
            id="a namespace",
        ),
        pytest.param(
            "ipaddresspool/x", "--delete: there is no IPAddressPool x in the cluster", id="a name"
        ),
        pytest.param(
            "ipaddresspool/main", "--delete: IPAddressPool/main stands in the files too", id="both"
        ),
    ],
)
async def test_deletions_that_are_wrong(stage: Stage, text: str, sentence: str) -> None:
    stage.pool("main")
    assert await stage.fault(pool_file("main", "192.0.2.0/24"), delete=(text,)) == sentence


async def test_a_null_is_as_if_it_were_not_there(stage: Stage) -> None:
    report = await stage.plan(given("L2Advertisement", "all", spec=None))
    assert report.exit_status == 0


async def test_a_field_that_there_is_not(stage: Stage) -> None:
    spec = {
        "addresses": ["192.0.2.0/24"],
        "serviceAllocation": {"serviceSelectors": [{"matchLabel": {"a": "b"}}]},
    }
    report = await stage.plan(given("IPAddressPool", "a", spec=spec, specs={}))
    assert [str(problem) for problem in report.problems][:2] == [
        "IPAddressPool/a spec.serviceAllocation.serviceSelectors[0].matchLabel: unknown field;"
        ' did you mean "matchLabels"?',
        'IPAddressPool/a specs: unknown field; did you mean "spec"?',
    ]


@pytest.mark.parametrize("kind", PLURALS)
def test_the_fields_that_are_known_are_those_of_the_crd(kind: str) -> None:
    path = Path(__file__).parents[2] / "crds" / f"{PLURALS[kind]}.metallb.io.yaml"
    for version in yaml.safe_load(path.read_text())["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        info = inspect.type_info(getattr(resources, kind))
        assert isinstance(info, inspect.StructType)
        [spec] = [field.type for field in info.fields if field.name == "spec"]
        assert of_crd(schema) <= of_struct(spec)


def of_crd(schema: Json, path: str = "") -> set[str]:
    found = {path}
    for name, inner in schema.get("properties", {}).items():
        found |= of_crd(inner, f"{path}.{name}")
    return found | (of_crd(schema["items"], path) if "items" in schema else set())


def of_struct(info: inspect.Type, path: str = "") -> set[str]:
    found = {path}
    if isinstance(info, inspect.UnionType):
        for option in info.types:
            found |= of_struct(option, path)
    if isinstance(info, inspect.ListType):
        found |= of_struct(info.item_type, path)
    if isinstance(info, inspect.StructType):
        for field in info.fields:
            found |= of_struct(field.type, f"{path}.{field.encode_name}")
    return found
