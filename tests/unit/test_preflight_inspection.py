"""`bellmetal preflight` reads a cluster: what it makes of the API's answers, and of its "no"s."""

from __future__ import annotations

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.cli.inspection import NothingAllowedError, inspect
from bellmetal.cli.preflight import advised, judge
from bellmetal.cli.system_maps import kube_proxy_of_flags, parse_kube_proxy, parse_kubeadm
from bellmetal.preflight import objects
from bellmetal.preflight.codes import Code
from bellmetal.preflight.crds import KINDS
from bellmetal.preflight.seen import KubeProxy, Seen
from builders import metadata
from preflight_scene import (
    OWN,
    container,
    pod,
    pool_body,
    speakers,
    workload,
)
from preflight_stage import CRDS, FORBIDDEN, KUBEADM, LISTS, POOLS, Stage, fresh


@pytest.fixture
def stage() -> Stage:
    return fresh()


def codes(seen: Seen) -> set[str]:
    return {item.code.text for item in judge(seen).findings}


# --- what is read --------------------------------------------------------------------------------


async def test_an_empty_cluster(stage: Stage) -> None:
    seen = await inspect(stage, OWN)
    assert (seen.server.git_version, seen.user, seen.installed) == ("v1.36.3", "alice", False)
    assert [node.name for node in seen.nodes] == ["n1", "n2"]
    assert seen.age("2026-06-01T11:59:00Z") == 60
    assert codes(seen) == {"NotInstalled", "ProxyUnknown", "NotKnown"}


async def test_an_installation(stage: Stage) -> None:
    stage.install()
    stage.put(f"/api/v1/namespaces/{OWN}/secrets/memberlist", {"metadata": {"name": "memberlist"}})
    stage.put(f"/api/v1/namespaces/{OWN}/pods/p", pod("p", "speaker", "n1"))
    stage.put(f"{POOLS}/main", pool_body(f"{OWN}/main", "10.0.0.200-10.0.0.210"))
    seen = await inspect(stage, OWN)
    assert [one.kind for one in seen.workloads] == ["Deployment", "DaemonSet"]
    assert (seen.has_secret, len(seen.pods), len(seen.config.pools)) == (True, 1, 1)
    assert "PoolNotAdvertised" in codes(seen)


async def test_the_secret_is_asked_for_without_what_is_in_it(stage: Stage) -> None:
    stage.install()
    stage.put(f"/api/v1/namespaces/{OWN}/secrets/memberlist", {"metadata": {"name": "memberlist"}})
    await inspect(stage, OWN)
    (accept,) = (item.accept for item in stage.requests if item.path.endswith("/memberlist"))
    assert accept == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def test_nothing_is_written(stage: Stage) -> None:
    stage.install()
    await inspect(stage, OWN)
    assert {item.path.rpartition("/")[2] for item in stage.writes()} == {
        "selfsubjectreviews",
        "selfsubjectaccessreviews",
        "subjectaccessreviews",
    }


async def test_an_object_that_cannot_be_read_is_a_problem(stage: Stage) -> None:
    body = {"metadata": {"name": "odd", "namespace": OWN}, "spec": {"addresses": "10.0.0.0/24"}}
    stage.put(f"{POOLS}/odd", body)
    seen = await inspect(stage, OWN)
    assert [str(problem) for problem in seen.problems] == [
        "IPAddressPool/odd spec.addresses: cannot be read: expected array | null, got str"
    ]
    assert seen.unread["pools"].why.startswith("ipaddresspools.metallb.io could not be read: ")


async def test_rights(stage: Stage) -> None:
    stage.install()
    stage.refuses = {("patch", "services")}
    seen = await inspect(stage, OWN)
    assert [(want.who, want.what) for want in seen.refused_user] == [("move", "services")]
    assert [(want.who, want.what) for want in seen.refused_programs] == [
        ("controller", "services/status")
    ]


async def test_who_may_not_ask_for_others_rights_is_told_so(stage: Stage) -> None:
    stage.install()
    stage.reviews = False
    answer = judge(await inspect(stage, OWN))
    assert Code.PROGRAM_LACKS not in {item.code for item in answer.findings}
    why = answer.skipped["the programs' ServiceAccounts have their rights"]
    assert why.endswith("with create of subjectaccessreviews.authorization.k8s.io alone")


async def test_configuration_in_another_namespace_is_found_whatever_it_is(stage: Stage) -> None:
    stage.install()
    root = "/apis/metallb.io/v1beta1/namespaces/default"
    stage.put(f"{root}/ipaddresspools/a", pool_body("default/a", "10.0.0.1/32"))
    stage.put(f"{root}/l2advertisements/b", resources.Object(metadata=metadata("default/b")))
    seen = await inspect(stage, OWN)
    assert [(one.kind, one.key) for one in seen.strays] == [
        ("IPAddressPool", "default/a"),
        ("L2Advertisement", "default/b"),
    ]
    assert seen.pools == ()


@pytest.mark.parametrize("version", ["v2", "v2alpha1"])
async def test_other_systems_kinds_are_read_where_they_are(stage: Stage, version: str) -> None:
    """In whichever version has them."""
    stage.groups = {"cilium.io": ["v2", "v2alpha1"]}
    path = f"/apis/cilium.io/{version}/ciliumloadbalancerippools"
    stage.put(f"{path}/blue", objects.CiliumPool(metadata=metadata("blue")))
    stage.absent = {f"/apis/cilium.io/{v}/" for v in ("v2", "v2alpha1")} - {
        f"/apis/cilium.io/{version}/"
    }
    assert "CiliumPools" in codes(await inspect(stage, OWN))
    assert not [item for item in stage.requests if "projectcalico" in item.path]


# --- a "no" --------------------------------------------------------------------------------------


async def test_what_may_not_be_read_is_said_with_what_grants_it(stage: Stage) -> None:
    stage.refuse["/api/v1/nodes"] = FORBIDDEN
    answer = judge(await inspect(stage, OWN))
    (finding,) = (item for item in answer.findings if item.code is Code.NOT_READ)
    assert finding.sentence == "alice may not list nodes"
    assert finding.todo.startswith("kubectl create clusterrole bellmetal-preflight-list-nodes-")
    assert answer.skipped["all nodes are ready"] == "alice may not list nodes"
    assert answer.exit_status == 3


async def test_all_that_may_not_be_read_is_said_at_once(stage: Stage) -> None:
    root = f"/apis/metallb.io/v1beta1/namespaces/{OWN}"
    for name in ("ipaddresspools", "l2advertisements", "communities"):
        stage.refuse[f"{root}/{name}"] = FORBIDDEN
    answer = judge(await inspect(stage, OWN))
    refused = [item.about for item in answer.findings if item.code is Code.NOT_READ]
    assert sorted(refused) == [
        "communities.metallb.io",
        "ipaddresspools.metallb.io",
        "l2advertisements.metallb.io",
    ]
    assert "every pool is advertised" in answer.skipped


async def test_a_server_at_fault_is_quoted(stage: Stage) -> None:
    stage.refuse["/api/v1/nodes"] = ApiError(500, "InternalError", "etcd is full")
    (finding,) = (
        item for item in judge(await inspect(stage, OWN)).findings if item.code is Code.NOT_READ
    )
    assert finding.sentence == "nodes could not be read: 500 InternalError: etcd is full"
    assert finding.todo == ""


async def test_who_may_read_nothing_is_told_so_once(stage: Stage) -> None:
    stage.refuse |= dict.fromkeys(LISTS, FORBIDDEN)
    stage.refuse |= {f"{CRDS}/{name}": FORBIDDEN for name in KINDS}
    with pytest.raises(NothingAllowedError, match=r"^alice may read nothing of this cluster"):
        await inspect(stage, OWN)


@pytest.mark.parametrize("code", [0, 401])
async def test_a_server_that_does_not_answer_or_know_us_ends_it(stage: Stage, code: int) -> None:
    stage.refuse["/api/v1/nodes"] = ApiError(code, "", "no")
    with pytest.raises(ApiError):
        await inspect(stage, OWN)


async def test_whether_there_is_a_secret_need_not_be_known(stage: Stage) -> None:
    stage.install()
    stage.refuse[f"/api/v1/namespaces/{OWN}/secrets/memberlist"] = FORBIDDEN
    answer = judge(await inspect(stage, OWN))
    assert Code.NO_SECRET not in {item.code for item in answer.findings}
    assert "without the right to read it" in answer.skipped["the members' secret is there"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ApiError(401, "Unauthorized", "Unauthorized"), "get a new kubeconfig"),
        (ApiError(0, "", "… certificate verify failed: certificate has expired"), "certs renew"),
        (ApiError(0, "", "… certificate verify failed: self-signed"), "kubeconfig of this cluster"),
        (ApiError(0, "", "Cannot connect to host 10.0.0.1:6443"), "is the cluster running"),
        (
            ApiError(0, "", "… verify failed: IP address mismatch, certificate is not valid for"),
            "that its certificate does not have",
        ),
        (ApiError(403, "Forbidden", 'User "system:anonymous" cannot get'), "kubectl create token"),
        (ApiError(500, "InternalError", "etcd is full"), "etcd is full"),
    ],
)
def test_what_to_do_about_a_server_that_cannot_be_asked(error: ApiError, said: str) -> None:
    assert said in str(advised(error))


# --- ConfigMaps ----------------------------------------------------------------------------------

PORTS = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", KubeProxy("iptables")),
        ('mode: ""\nipvs: {strictARP: false}', KubeProxy("iptables")),
        ("mode: ipvs\nipvs: {strictARP: true}", KubeProxy("ipvs", True)),
        ("mode: ipvs\nipvs: null\nnodePortAddresses: null", KubeProxy("ipvs")),
        ("nodePortAddresses: [primary]", KubeProxy("iptables", False, ("primary",))),
        ("mode: [", KubeProxy(fault="config.conf is no YAML")),
        ("just words", KubeProxy(fault="config.conf is no mapping")),
        (
            "ipvs: 7",
            KubeProxy(fault="config.conf: ipvs or nodePortAddresses is of another form"),
        ),
    ],
)
def test_kube_proxys_configuration(text: str, wanted: KubeProxy) -> None:
    assert parse_kube_proxy(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (KUBEADM, (("10.244.0.0/16", "fd00::/48"), ("10.96.0.0/12",))),
        ("networking: none", ((), ())),
        ("{", ((), ())),
        ("", ((), ())),
    ],
)
def test_kubeadms_networks(text: str, wanted: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    body = objects.ConfigMap(data={"ClusterConfiguration": text})
    assert parse_kubeadm(body) == wanted
    assert parse_kubeadm(None) == ((), ())


async def test_networks_are_those_of_the_servicecidrs_and_of_kubeadm(stage: Stage) -> None:
    stage.config_map("kubeadm-config", ClusterConfiguration=KUBEADM)
    path = "/apis/networking.k8s.io/v1/servicecidrs/kubernetes"
    spec = objects.CIDRsSpec(["10.96.0.0/12", "fd96::/108"])
    stage.put(path, objects.ServiceCIDR(metadata=metadata("kubernetes"), spec=spec))
    seen = await inspect(stage, OWN)
    assert seen.service_cidrs == ("10.96.0.0/12", "fd96::/108")
    assert seen.pod_cidrs == ("10.244.0.0/16", "fd00::/48")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--proxy-mode=ipvs",), KubeProxy("ipvs")),
        (("--proxy-mode=ipvs", "--ipvs-strict-arp"), KubeProxy("ipvs", True)),
        (("--proxy-mode=ipvs", "--ipvs-strict-arp=false"), KubeProxy("ipvs")),
        (("--nodeport-addresses=10.0.0.0/8,fd00::/8",), KubeProxy("iptables", False, PORTS)),
        ((), KubeProxy("iptables")),
        (("--config=/etc/x", "--proxy-mode=ipvs"), None),
    ],
)
def test_kube_proxys_flags(words: tuple[str, ...], wanted: KubeProxy | None) -> None:
    one = workload("Pod", "kube-system/kube-proxy-n1", container("kube-proxy", "x", *words))
    assert kube_proxy_of_flags([one]) == wanted
    assert kube_proxy_of_flags([speakers()]) is None


async def test_pods_that_a_node_made_by_itself_are_seen(stage: Stage) -> None:
    """As RKE2 runs kube-proxy; no other pod of kube-system stands for itself."""
    for name, marks in (("kube-proxy-n1", {"kubernetes.io/config.mirror": "1"}), ("web", {})):
        words = ["--proxy-mode=ipvs"]
        body = objects.Pod(
            metadata=metadata(f"kube-system/{name}", annotations=marks),
            spec=objects.PodSpec(containers=[objects.Container("kube-proxy", args=words)]),
        )
        stage.put(f"/api/v1/namespaces/kube-system/pods/{name}", body)
    seen = await inspect(stage, OWN)
    assert [one.metadata.name for one in seen.static_pods] == ["kube-proxy-n1"]
    assert seen.kube_proxy == KubeProxy("ipvs")
    assert "NoStrictARP" in codes(seen)


async def test_cilium_in_kube_proxys_place(stage: Stage) -> None:
    stage.config_map("cilium-config", **{"kube-proxy-replacement": "true"})
    seen = await inspect(stage, OWN)
    assert seen.kube_proxy == KubeProxy(replaced_by="Cilium")
    assert judge(seen).about["kubeProxy"] == "Cilium"
