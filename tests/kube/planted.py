"""Faults that are planted into a cluster in which all is well (`healthy`), each for a while."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeAlias

from kube.healthy import (
    APPS,
    CORE,
    METALLB,
    OWN,
    REPORTS,
    Place,
    foreign_kind,
    workload,
)
from kube.installed import NAMESPACE
from lab.rest import ApiError
from lab.waiting import until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SYSTEM = "namespaces/kube-system"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
ENFORCE = "pod-security.kubernetes.io/enforce"

Plant: TypeAlias = Callable[[Place], AbstractContextManager[None]]


@contextmanager
def no_communities(place: Place) -> Iterator[None]:
    name = "communities.metallb.io"
    place.delete(f"{CRDS}/{name}")
    until(lambda: not exists(place, f"{CRDS}/{name}"), "the CRD is gone")
    yield
    place.apply_crds()
    path = f"{METALLB}/communities"
    until(lambda: exists(place, path), "the kind is served again")


@contextmanager
def older_crd(place: Place) -> Iterator[None]:
    """As MetalLB had it before it knew preferred nodes."""
    name = "l2advertisements.metallb.io"
    body = place.rest.get(f"{CRDS}/{name}")
    schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["preferredNodeSelectors"]
    place.rest.request("PUT", f"{CRDS}/{name}", body)
    yield
    place.apply_crds()


@contextmanager
def older_roles(place: Place) -> Iterator[None]:
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles/bellmetal-speaker"
    rules = place.rest.get(path)["rules"]
    kept = [rule for rule in rules if "speakerreports" not in rule["resources"]]
    with place.changed(path, {"rules": kept}, {"rules": rules}):
        yield


@contextmanager
def restricted(place: Place) -> Iterator[None]:
    labels = {"metadata": {"labels": {ENFORCE: "restricted"}}}
    with place.changed(OWN, labels, {"metadata": {"labels": {ENFORCE: "privileged"}}}):
        yield


@contextmanager
def controller_unready(place: Place) -> Iterator[None]:
    path = f"{OWN}/pods/controller-2/status"
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    with place.changed(path, unready, ready):
        yield


@contextmanager
def stale_lease(place: Place) -> Iterator[None]:
    lead, place.lead = place.lead, lambda: None  # type: ignore[method-assign,assignment]
    lead(ago=120)
    yield
    place.lead = lead  # type: ignore[method-assign]


@contextmanager
def tainted(place: Place) -> Iterator[None]:
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    place.delete(f"{OWN}/pods/speaker-n2")
    there, gone = ({"spec": {"taints": taints}} for taints in ([taint], None))
    with place.changed(f"{CORE}/nodes/n2", there, gone):
        yield
    place.pod("speaker-n2", "speaker", "n2")


@contextmanager
def other_image(place: Place) -> Iterator[None]:
    place.delete(f"{OWN}/pods/speaker-n2")
    place.pod("speaker-n2", "speaker", "n2", image="bellmetal:0.0.1")
    yield
    place.delete(f"{OWN}/pods/speaker-n2")
    place.pod("speaker-n2", "speaker", "n2")


@contextmanager
def no_report(place: Place) -> Iterator[None]:
    place.delete(f"{REPORTS}/n2")
    yield
    place.report("n2")


@contextmanager
def no_secret(place: Place) -> Iterator[None]:
    place.delete(f"{OWN}/secrets/memberlist")
    yield
    place.create(f"{OWN}/secrets", {"metadata": {"name": "memberlist"}})


def metallb(place: Place) -> AbstractContextManager[None]:
    path = f"{APPS}/namespaces/default/daemonsets"
    return place.there(path, workload("DaemonSet", "speaker", "quay.io/metallb/speaker:v0.15.3"))


def service_lb(place: Place) -> AbstractContextManager[None]:
    labels = {"svccontroller.k3s.cattle.io/svcname": "traefik"}
    body = workload("DaemonSet", "svclb-traefik-1a2b", "rancher/klipper-lb:v0.4.9", labels=labels)
    return place.there(f"{APPS}/{SYSTEM}/daemonsets", body)


def kube_vip(place: Place) -> AbstractContextManager[None]:
    env = [{"name": "svc_enable", "value": "true"}]
    body = workload("DaemonSet", "kube-vip-ds", "ghcr.io/kube-vip/kube-vip:v0.8.9", env=env)
    return place.there(f"{APPS}/{SYSTEM}/daemonsets", body)


def cloud_controller(place: Place) -> AbstractContextManager[None]:
    image = "hetznercloud/hcloud-cloud-controller-manager:v1.23.0"
    body = workload("Deployment", "hcloud-cloud-controller-manager", image)
    return place.there(f"{APPS}/{SYSTEM}/deployments", body)


@contextmanager
def cilium(place: Place) -> Iterator[None]:
    kind = foreign_kind("cilium.io", "v2", "CiliumLoadBalancerIPPool", "ciliumloadbalancerippools")
    path = "/apis/cilium.io/v2/ciliumloadbalancerippools"
    pool = {"apiVersion": "cilium.io/v2", "kind": "CiliumLoadBalancerIPPool"}
    with place.there(CRDS, kind):
        until(lambda: exists(place, path), "the kind is served")
        spec = {"blocks": [{"cidr": "192.0.2.0/28"}]}
        place.create(path, {**pool, "metadata": {"name": "blue"}, "spec": spec})
        yield


@contextmanager
def cilium_on_layer2(place: Place) -> Iterator[None]:
    group, version = "cilium.io", "v2alpha1"
    kind = foreign_kind(
        group, version, "CiliumL2AnnouncementPolicy", "ciliuml2announcementpolicies"
    )
    path = f"/apis/{group}/{version}/ciliuml2announcementpolicies"
    with place.there(CRDS, kind):
        until(lambda: exists(place, path), "the kind is served")
        body = {"apiVersion": f"{group}/{version}", "kind": "CiliumL2AnnouncementPolicy"}
        spec = {"loadBalancerIPs": True, "externalIPs": True}
        place.create(path, {**body, "metadata": {"name": "lan"}, "spec": spec})
        yield


@contextmanager
def bird(place: Place) -> Iterator[None]:
    """Calico's, and a peer of ours that waits to be called."""
    spec = {"myASN": 64512, "peerASN": 64513, "peerAddress": place.text("LAN.1")}
    peer = place.configuration("BGPPeer", "tor", spec)
    peer["metadata"]["annotations"] = {"bellmetal.io/passive": "true"}
    env = [{"name": "CALICO_NETWORKING_BACKEND", "value": "bird"}]
    calico_node = workload("DaemonSet", "calico-node", "docker.io/calico/node:v3.30.0", env=env)
    with (
        place.there(METALLB.replace("v1beta1", "v1beta2") + "/bgppeers", peer),
        place.there(f"{APPS}/{SYSTEM}/daemonsets", calico_node),
    ):
        yield


def other_release(place: Place) -> AbstractContextManager[None]:
    wrong, right = (
        {"metadata": {"annotations": {"meta.helm.sh/release-name": name}}}
        for name in ("metallb", "bellmetal")
    )
    return place.changed(f"{CRDS}/bgppeers.metallb.io", wrong, right)


def fast_clock(place: Place) -> AbstractContextManager[None]:
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
    spec = {"holderIdentity": "n1", "renewTime": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    body = {"metadata": {"name": "n1"}, "spec": spec}
    return place.there("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", body)


@contextmanager
def calico(place: Place) -> Iterator[None]:
    group = "crd.projectcalico.org"
    kind = foreign_kind(group, "v1", "BGPConfiguration", "bgpconfigurations")
    path = f"/apis/{group}/v1/bgpconfigurations"
    with place.there(CRDS, kind):
        until(lambda: exists(place, path), "the kind is served")
        body = {"apiVersion": f"{group}/v1", "kind": "BGPConfiguration"}
        spec = {"serviceLoadBalancerIPs": [{"cidr": "LAN.192/26"}]}
        place.create(path, {**body, "metadata": {"name": "default"}, "spec": spec})
        yield


@contextmanager
def ipvs(place: Place) -> Iterator[None]:
    place.kube_proxy("ipvs", "false")
    yield
    place.kube_proxy("nftables", "false")


def pool(name: str, *addresses: str) -> Plant:
    def plant(place: Place) -> AbstractContextManager[None]:
        node = place.lab.node("n1").address
        spec = {"addresses": [text.replace("NODE", node) for text in addresses]}
        body = place.configuration("IPAddressPool", name, spec)
        return place.there(f"{METALLB}/ipaddresspools", body)

    return plant


def stray_pool(place: Place) -> AbstractContextManager[None]:
    body = place.configuration("IPAddressPool", "stray", {"addresses": ["LAN.230-LAN.231"]})
    return place.there("/apis/metallb.io/v1beta1/namespaces/default/ipaddresspools", body)


@contextmanager
def typo(place: Place) -> Iterator[None]:
    path = f"{METALLB}/l2advertisements/everywhere"
    wrong, right = ({"spec": {"ipAddressPools": names}} for names in (["lann"], None))
    with place.changed(path, wrong, right):
        yield


@contextmanager
def excluded(place: Place) -> Iterator[None]:
    with ExitStack() as stack:
        for name in place.lab.node_names:
            here, gone = ({"metadata": {"labels": {EXCLUDED: text}}} for text in ("", None))
            stack.enter_context(place.changed(f"{CORE}/nodes/{name}", here, gone))
        yield


@contextmanager
def not_ready(place: Place) -> Iterator[None]:
    place.lab.set_node_ready("n2", False)
    yield
    place.lab.set_node_ready("n2", True)


def left_webhook(place: Place) -> AbstractContextManager[None]:
    name = "metallb-webhook-configuration"
    service = {"namespace": NAMESPACE, "name": "metallb-webhook-service", "path": "/validate"}
    hook = {
        "name": "communityvalidationwebhook.metallb.io",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"service": service},
        "rules": [
            {
                "apiGroups": ["metallb.io"],
                "apiVersions": ["v1beta1"],
                "operations": ["CREATE"],
                "resources": ["communities"],
            }
        ],
    }
    return place.there(WEBHOOKS, {"metadata": {"name": name}, "webhooks": [hook]})


@contextmanager
def view_of_n1(place: Place, **fields: object) -> Iterator[None]:
    path = f"{REPORTS}/n1"
    before = place.rest.get(path)["status"]["node"]
    gone = dict.fromkeys(fields)
    back = {"status": {"node": gone | before}}
    with place.changed(path, {"status": {"node": fields}}, back):
        yield


def ipvs_seen(place: Place) -> AbstractContextManager[None]:
    links = [{"name": "eth0", "up": True, "arpIgnore": 0}]
    return view_of_n1(place, ipvsAddresses=3, kubeProxy={"mode": "ipvs"}, links=links)


def unheard(place: Place) -> AbstractContextManager[None]:
    return view_of_n1(place, unheard=["n2"])


def wireless(place: Place) -> AbstractContextManager[None]:
    return view_of_n1(place, links=[{"name": "eth0", "up": True, "kind": "wireless"}])


FAULTS: list[tuple[Plant, set[str]]] = [
    (no_communities, {"CRDMissing"}),
    (older_crd, {"CRDIncomplete"}),
    (older_roles, {"ProgramLacksRight"}),
    (restricted, {"PodSecurity"}),
    (controller_unready, {"FewerControllers"}),
    (stale_lease, {"NoLeader"}),
    (tainted, {"NodeTainted"}),
    (other_image, {"ImagesDiffer"}),
    (no_report, {"NoReport"}),
    (no_secret, {"NoMemberlistSecret"}),
    (metallb, {"MetalLB"}),
    (service_lb, {"ServiceLB"}),
    (kube_vip, {"OtherLoadBalancer"}),
    (cloud_controller, {"CloudController"}),
    (cilium, {"CiliumPools"}),
    (cilium_on_layer2, {"CiliumAnnounces"}),
    (calico, {"CalicoAnnounces"}),
    (bird, {"BGPPortTaken"}),
    (other_release, {"CRDOfOtherRelease"}),
    (fast_clock, {"ClockDiffers"}),
    (ipvs, {"NoStrictARP"}),
    (pool("node", "NODE/32"), {"PoolOverlapsNode"}),
    (pool("services", "10.96.7.0/24"), {"PoolOverlapsServices", "PoolOutsideSubnets"}),
    (pool("unaligned", "LAN.220/29"), {"PoolUnaligned"}),
    (stray_pool, {"StrayConfiguration"}),
    (typo, {"InvalidConfiguration", "PoolNotAdvertised"}),
    (excluded, {"AllNodesExcluded"}),
    (not_ready, {"NodeNotReady"}),
    (left_webhook, {"WebhookLeftBehind"}),
    (ipvs_seen, {"NodeAnswersARP", "ProxyModesDiffer"}),
    (unheard, {"MembersUnheard"}),
    (wireless, {"Wireless"}),
]


def exists(place: Place, path: str) -> bool:
    try:
        place.rest.get(path)
    except ApiError as error:
        if error.status not in (404, 429):  # 429: "storage is (re)initializing"
            raise
        return False
    return True
