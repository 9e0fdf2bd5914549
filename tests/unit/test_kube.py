"""Typed structs → nouns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bellmetal import kube, resources
from bellmetal.addresses import Family
from bellmetal.cluster import Condition, Endpoints, Node, Request, Service, Sharing, Shown
from builders import (
    LONG_AGO,
    addresses,
    claim,
    endpoint,
    endpoint_slice_object,
    metadata,
    node_object,
    report_object,
    service_object,
)

DRAIN = "bellmetal.io/drain"
BOTH = (
    "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP:"
    " keep the annotation, the field is deprecated in Kubernetes"
)


def test_a_service_becomes_a_noun() -> None:
    body = service_object(
        ingress=["192.0.2.1"],
        meta={
            "labels": {"tier": "web"},
            "annotations": {"metallb.io/ip-allocated-from-pool": "main"},
        },
        external_traffic_policy="Local",
    )
    assert kube.service(body) == Service(
        namespace="shop",
        name="web",
        uid="uid-shop-web",
        created=LONG_AGO,
        local_only=True,
        cluster_ips='["10.96.0.1"]',
        labels={"tier": "web"},
        shown=Shown(addresses("192.0.2.1"), "main"),
    )


@pytest.mark.parametrize(
    ("spec", "meta", "lb_class", "ours", "wants"),
    [
        pytest.param({}, {}, "", True, True, id="a load balancer without a class is ours"),
        pytest.param({"type": "ClusterIP"}, {}, "", True, False, id="other types want nothing"),
        pytest.param({"load_balancer_class": "x"}, {}, "", False, False, id="another class"),
        pytest.param({"load_balancer_class": "x"}, {}, "x", True, True, id="our class"),
        pytest.param({}, {}, "x", False, False, id="no class, and we serve one"),
        pytest.param(
            {}, {"deletion_timestamp": LONG_AGO}, "", True, False, id="being deleted: wants nothing"
        ),
    ],
)
def test_which_services_are_ours(
    spec: dict[str, Any], meta: dict[str, Any], lb_class: str, ours: bool, wants: bool
) -> None:
    noun = kube.service(service_object(meta=meta, **spec), lb_class)
    assert (noun.ours, noun.wants_address) == (ours, wants)


@pytest.mark.parametrize(
    ("annotations", "ip", "request_"),
    [
        pytest.param({}, "", Request(), id="asks for nothing"),
        pytest.param(
            {"metallb.io/address-pool": "main"}, "", Request(pool="main"), id="asks for a pool"
        ),
        pytest.param(
            {"metallb.universe.tf/address-pool": "main"},
            "",
            Request(pool="main"),
            id="the old prefix is read too",
        ),
        pytest.param(
            {"metallb.io/address-pool": "new", "metallb.universe.tf/address-pool": "old"},
            "",
            Request(pool="new"),
            id="the new prefix wins",
        ),
        pytest.param(
            {"metallb.io/address-pool": "", "metallb.universe.tf/address-pool": "old"},
            "",
            Request(),
            id="an empty new one hides the old one",
        ),
        pytest.param(
            {"metallb.io/loadBalancerIPs": "192.0.2.1"},
            "",
            Request(addresses("192.0.2.1")),
            id="asks for an address",
        ),
        pytest.param(
            {"metallb.io/loadBalancerIPs": "192.0.2.1, 2001:db8::1"},
            "",
            Request(addresses("192.0.2.1", "2001:db8::1")),
            id="asks for two addresses",
        ),
        pytest.param({}, "192.0.2.1", Request(addresses("192.0.2.1")), id="by spec.loadBalancerIP"),
        pytest.param(
            {"metallb.io/loadBalancerIPs": "192.0.2.1"},
            "192.0.2.1",
            Request(fault=BOTH),
            id="asks in both ways",
        ),
        pytest.param(
            {"metallb.io/loadBalancerIPs": "192.0.2.1,web", "metallb.io/address-pool": "main"},
            "",
            Request(
                pool="main",
                fault='invalid metallb.io/loadBalancerIPs: "192.0.2.1,web": write addresses'
                " with commas"
                ' between them, as in "192.0.2.1,2001:db8::1"',
            ),
            id="one of them is no address",
        ),
        pytest.param(
            {},
            "web",
            Request(
                fault='invalid spec.loadBalancerIP "web": write one address, as in "192.0.2.1"'
            ),
            id="not an address",
        ),
    ],
)
def test_what_a_service_asks_for(annotations: dict[str, str], ip: str, request_: Request) -> None:
    body = service_object(meta={"annotations": annotations}, load_balancer_ip=ip)
    assert kube.service(body).request == request_


@pytest.mark.parametrize(
    ("spec", "families"),
    [
        pytest.param({}, (Family.IPV4,), id="IPv4"),
        pytest.param({"cluster_ips": ["fd00::1"]}, (Family.IPV6,), id="IPv6"),
        pytest.param(
            {"cluster_ips": ["10.96.0.1", "fd00::1"]}, (Family.IPV4, Family.IPV6), id="dual stack"
        ),
        pytest.param({"cluster_ips": None}, (Family.IPV4,), id="an old server has no list"),
        pytest.param(
            {"cluster_ips": None, "cluster_ip": "fd00::1"}, (Family.IPV6,), id="nor this one"
        ),
        pytest.param({"cluster_ips": [], "cluster_ip": ""}, (Family.IPV4,), id="not yet known"),
    ],
)
def test_families_of_a_service(spec: dict[str, Any], families: tuple[Family, ...]) -> None:
    assert kube.service(service_object(**spec)).families == families


def test_a_hostname_in_the_status_is_foreign_and_hides_no_address() -> None:
    named = resources.Ingress(hostname="web.example.net")
    body = service_object(ingress=[named, "192.0.2.1"])
    assert kube.service(body).shown == Shown(addresses("192.0.2.1"), foreign=True)


def test_only_our_own_conditions_are_looked_at() -> None:
    ours = resources.Condition(kube.ALLOCATED, "False", "NoAddressLeft", "no available IPs")
    theirs = resources.Condition("example.net/Other", "False", "Other", "theirs")
    shown = kube.service(service_object(conditions=[theirs, ours])).shown
    assert shown.conditions == (
        Condition(kube.ALLOCATED, "False", "NoAddressLeft", "no available IPs"),
    )


@pytest.mark.parametrize(
    ("annotations", "spec", "terms"),
    [
        pytest.param({}, {}, Sharing("", "", frozenset(["TCP/80"])), id="none"),
        pytest.param(
            {"metallb.io/allow-shared-ip": "dns"},
            {
                "ports": [resources.ServicePort("TCP", 53), resources.ServicePort("UDP", 53)],
                "selector": {"a": "b"},
            },
            Sharing("dns", "", frozenset(["TCP/53", "UDP/53"])),
            id="Cluster: the selector does not matter",
        ),
        pytest.param(
            {"metallb.universe.tf/allow-shared-ip": "dns"},
            {"external_traffic_policy": "Local", "selector": {"b": "2", "a": "1"}},
            Sharing("dns", "a=1,b=2", frozenset(["TCP/80"])),
            id="Local: it does",
        ),
    ],
)
def test_terms_of_sharing(
    annotations: dict[str, str], spec: dict[str, Any], terms: Sharing
) -> None:
    with_port = {"ports": [resources.ServicePort("TCP", 80)]} | spec
    body = service_object(meta={"annotations": annotations}, **with_port)
    assert kube.service(body).sharing == terms


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("16", 16), ("0", 0), ("17", 0), ("two", 0), ("01", 1), ("", 0)]
)
def test_addresses_per_family(text: str, number: int) -> None:
    name = "bellmetal.io/addresses-per-family"
    noun = kube.service(service_object(meta={"annotations": {name: text}}))
    if number:
        assert (noun.per_family, noun.request.fault) == (number, "")
    else:
        fault = f'metadata.annotations[{name}]: "{text}" is not a number from 1 to 16'
        assert (noun.per_family, noun.request.fault) == (1, fault)


def test_a_headless_service_has_no_family() -> None:
    noun = kube.service(service_object(cluster_ip="None", cluster_ips=["None"]))
    assert noun.request.fault == 'IPFamilyForAddresses: Invalid address ["None"]'


def serving_on(*nodes: str, ending: tuple[str, ...] = ()) -> Endpoints:
    return Endpoints(True, frozenset(nodes), frozenset(nodes) - frozenset(ending))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        pytest.param([], Endpoints(), id="none"),
        pytest.param([endpoint("n1")], serving_on("n1"), id="ready"),
        pytest.param([endpoint("n1", ready=False)], Endpoints(), id="not ready"),
        pytest.param([endpoint("n1", ready=None)], serving_on("n1"), id="unknown is ready"),
        pytest.param(
            [endpoint("n1", ready=False, serving=True, terminating=True)],
            serving_on("n1", ending=("n1",)),
            id="serving while it ends",
        ),
        pytest.param(
            [endpoint("n1"), endpoint("n1", ready=False, serving=True, terminating=True)],
            serving_on("n1"),
            id="one ends, another of the same node stays",
        ),
        pytest.param(
            [endpoint("n1", ready=False, serving=False, terminating=True)],
            Endpoints(),
            id="ending and not serving any more",
        ),
        pytest.param([endpoint(None)], Endpoints(True), id="serving outside of any node"),
        pytest.param(
            [endpoint("n1"), endpoint("n2", ready=False), endpoint("n3")],
            serving_on("n1", "n3"),
            id="several",
        ),
    ],
)
def test_where_endpoints_serve(items: list[resources.SliceEndpoint], expected: Endpoints) -> None:
    assert kube.endpoints(endpoint_slice_object("shop/web", *items)) == expected


def test_an_endpoint_slice_names_its_service_by_label() -> None:
    assert kube.service_of(endpoint_slice_object("shop/web")) == "shop/web"
    assert kube.service_of(resources.EndpointSlice(metadata=metadata("shop/stray"))) == ""


@pytest.mark.parametrize(
    ("ready", "is_ready"), [("True", True), ("False", False), ("Unknown", False)]
)
def test_only_a_ready_node_is_ready(ready: str, is_ready: bool) -> None:
    assert kube.node(node_object("n1", ready)) == Node("n1", "10.0.0.1", ready=is_ready)


def test_a_node_without_status_is_not_ready_and_has_no_address() -> None:
    bare = resources.Node(metadata=metadata("n1", labels={"zone": "a"}))
    assert kube.node(bare) == Node("n1", "", {"zone": "a"}, ready=False)


def test_a_node_takes_its_internal_address_and_its_network_condition() -> None:
    status = resources.NodeStatus(
        [
            resources.NodeCondition("Ready", "True"),
            resources.NodeCondition("NetworkUnavailable", "True"),
        ],
        [
            resources.NodeAddress("Hostname", "n1"),
            resources.NodeAddress("ExternalIP", "203.0.113.1"),
            resources.NodeAddress("InternalIP", "10.0.0.1"),
            resources.NodeAddress("InternalIP", "fd00::1"),
        ],
    )
    body = resources.Node(metadata=metadata("n1"), status=status)
    assert kube.node(body) == Node("n1", "10.0.0.1", network_unavailable=True)


def test_an_unreadable_claim_hides_no_other() -> None:
    rubbish = resources.ReportedClaim("web", 1, 1, True)
    sound = resources.ReportedClaim("192.0.2.10", 3, 2, True)
    reports = [report_object("n1", rubbish, sound), report_object("n2")]
    assert kube.claims(reports) == [claim(node="n1", term=3, epoch=2)]


def test_keys() -> None:
    assert service_object("shop/web").key == "shop/web"
    assert node_object("n1").key == "n1"


def test_a_reference_names_its_object() -> None:
    assert kube.reference("v1", "Service", service_object()) == resources.ObjectReference(
        "v1", "Service", "shop", "web", "uid-shop-web"
    )


def test_addresses_as_in_the_sentences_of_metallb() -> None:
    assert kube.shown_list(addresses("192.0.2.1", "2001:db8::1")) == '["192.0.2.1" "2001:db8::1"]'


def test_addresses_that_are_given_last() -> None:
    interface = resources.ReportedInterface(
        "eth0", "02:00:00:00:00:0a", True, ["192.0.2.7/24", "fd00::7/64", "rubbish"], ["192.0.2.1"]
    )
    report = resources.SpeakerReport(status=resources.SpeakerReportStatus(interfaces=[interface]))
    assert kube.shy_addresses([report]) == frozenset(
        addresses("192.0.2.7", "192.0.2.0", "192.0.2.255", "192.0.2.1", "fd00::7", "fd00::")
    )


# --- nodes and their speakers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotations", "spec", "on_cordon", "draining"),
    [
        ({}, {}, True, ""),
        ({DRAIN: "true"}, {}, False, f"it has the annotation {DRAIN}"),
        ({DRAIN: "false"}, {}, False, ""),
        ({DRAIN: "yes"}, {}, False, ""),
        ({}, {"unschedulable": True}, False, ""),
        ({}, {"unschedulable": True}, True, "it is cordoned"),
        ({}, {"taints": ["example.com/x"]}, True, ""),
        *(
            ({}, {"taints": ["example.com/x", key]}, False, f"it has the taint {key}")
            for key in kube.DRAIN_TAINTS
        ),
    ],
)
def test_which_nodes_are_draining(
    annotations: dict[str, str], spec: dict[str, Any], on_cordon: bool, draining: str
) -> None:
    taints = [resources.Taint(key) for key in spec.get("taints", [])]
    body = msgspec.structs.replace(
        node_object("n1", annotations=annotations),
        spec=resources.NodeSpec(spec.get("unschedulable", False), taints or None),
    )
    assert kube.node(body, on_cordon).draining == draining


@pytest.mark.parametrize(
    ("subnets", "networks", "ipv6"),
    [
        ([], "", False),
        (["192.0.2.1/24", "10.0.0.1/8"], "10.0.0.0/8 192.0.2.0/24", False),
        (["192.0.2.1/32", "2001:db8::1/128"], "", False),
        (["169.254.1.1/16", "fe80::1/64"], "", True),
        (["fe80::1/64", "2001:db8::1/64", "192.0.2.1/24"], "192.0.2.0/24 2001:db8::/64", True),
        (["rubbish", "192.0.2.1/24"], "192.0.2.0/24", False),
    ],
)
def test_networks_of_an_interface(subnets: list[str], networks: str, ipv6: bool) -> None:
    [link] = kube.links([report_object("n1", eth0=subnets)])["n1"]
    assert (link.name, " ".join(map(str, link.networks)), link.ipv6) == ("eth0", networks, ipv6)


def test_an_interface_that_is_down_is_none() -> None:
    body = resources.SpeakerReport(
        metadata=metadata("metallb-system/n1"),
        status=resources.SpeakerReportStatus(interfaces=[resources.ReportedInterface("eth0")]),
    )
    assert kube.links([body]) == {"n1": ()}


def test_a_service_may_ask_to_be_moved() -> None:
    name = "bellmetal.io/move-to"
    assert kube.service(service_object(meta={"annotations": {name: "n3"}})).move_to == "n3"


LONG = "x" * 200_000
LENGTHY = {
    "a request": {"metallb.io/loadBalancerIPs": LONG},
    "a pool": {"metallb.io/address-pool": LONG},
    "a key": {"metallb.io/allow-shared-ip": LONG},
    "a pool that it says it has": {"metallb.io/ip-allocated-from-pool": LONG},
    "what nobody reads": {"example.com/notes": LONG},
    "many that are unknown": {f"bellmetal.io/a{n}": "" for n in range(10_000)},
    "many that are nearly MetalLB's": {f"metallb.io/address-pool{n}": "" for n in range(8000)},
    "many of an old prefix": {f"metallb.universe.tf/a{n}": "" for n in range(8000)},
}


@pytest.mark.parametrize("annotations", LENGTHY.values(), ids=LENGTHY.keys())
def test_what_a_service_says_at_length_is_not_kept(annotations: dict[str, str]) -> None:
    found = kube.service(service_object(meta={"annotations": annotations}))
    assert len(repr(found)) < 8000


def test_long_keys_of_sharing_stay_different() -> None:
    def key(text: str) -> str:
        annotations = {"metallb.io/allow-shared-ip": text}
        return kube.service(service_object(meta={"annotations": annotations})).sharing.key

    assert key(LONG) == key(LONG) != key(LONG + "y")


def test_among_thousands_of_unknown_annotations_those_that_are_known_count() -> None:
    many = {f"bellmetal.io/a{n}": "" for n in range(1000)}
    found = kube.service(
        service_object(meta={"annotations": many | {"bellmetal.io/addresses-per-family": "3"}})
    )
    assert found.per_family == 3
    assert found.problems[-1] == (
        "metadata.annotations: 980 more of these prefixes are not looked at"
    )
