"""Objects of odd, older and newer servers decode; what we write leaves defaults out."""

from __future__ import annotations

import msgspec
import pytest

from bellmetal import resources

EVERY_KIND = [
    resources.AddressLedger,
    resources.AnnouncementSlice,
    resources.EndpointSlice,
    resources.IPAddressPool,
    resources.L2Advertisement,
    resources.Lease,
    resources.Namespace,
    resources.Node,
    resources.Service,
    resources.ServiceL2Status,
    resources.SpeakerReport,
]


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{}", id="nothing at all"),
        pytest.param('{"metadata": {"name": "web"}}', id="a name alone"),
        pytest.param('{"metadata": {"creationTimestamp": null}, "spec": {}}', id="a bookmark"),
        pytest.param(
            '{"metadata": {"labels": null, "annotations": null, "ownerReferences": null}}',
            id="nulls in the metadata",
        ),
        pytest.param(
            '{"metadata": {"managedFields": [{}]}, "spec": {"tomorrow": [1]}, "more": {"a": 1}}',
            id="fields of a newer server",
        ),
    ],
)
def test_every_kind_decodes(kind: type[resources.Object], text: str) -> None:
    body = msgspec.json.decode(text, type=kind)
    assert msgspec.json.decode(msgspec.json.encode(body), type=kind) == body


def test_names_that_camel_case_alone_would_not_give() -> None:
    text = """
    {"spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "loadBalancerIP": "192.0.2.1",
              "loadBalancerClass": "c", "ipFamilies": ["IPv4"], "externalTrafficPolicy": "Local"},
     "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]}}}
    """
    assert msgspec.json.decode(text, type=resources.Service) == resources.Service(
        spec=resources.ServiceSpec(
            cluster_ip="10.0.0.1",
            cluster_ips=["10.0.0.1"],
            load_balancer_ip="192.0.2.1",
            load_balancer_class="c",
            ip_families=["IPv4"],
            external_traffic_policy="Local",
        ),
        status=resources.ServiceStatus(
            resources.LoadBalancerStatus([resources.Ingress("192.0.2.1", ip_mode="VIP")])
        ),
    )


def test_names_of_metallbs_kinds() -> None:
    pool = msgspec.json.decode(
        '{"spec": {"addresses": ["192.0.2.0/24"], "autoAssign": false, "avoidBuggyIPs": true,'
        ' "serviceAllocation": {"priority": 5, "namespaces": ["shop"]}}}',
        type=resources.IPAddressPool,
    )
    assert pool.spec == resources.IPAddressPoolSpec(
        ["192.0.2.0/24"], False, True, resources.ServiceAllocation(5, ["shop"])
    )
    advertisement = msgspec.json.decode(
        '{"spec": {"ipAddressPools": ["main"], "ipAddressPoolSelectors": [{}], "interfaces": ["e"],'
        ' "nodeSelectors": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}',
        type=resources.L2Advertisement,
    )
    assert advertisement.spec == resources.L2AdvertisementSpec(
        ip_address_pools=["main"],
        ip_address_pool_selectors=[resources.LabelSelector()],
        node_selectors=[
            resources.LabelSelector(match_expressions=[resources.MatchExpression("a", "Exists")])
        ],
        interfaces=["e"],
    )


def test_a_pool_assigns_by_itself_unless_it_says_otherwise() -> None:
    assert msgspec.json.decode("{}", type=resources.IPAddressPool).spec.auto_assign


def test_an_endpoint_slice_without_endpoints_says_null() -> None:
    body = msgspec.json.decode('{"endpoints": null}', type=resources.EndpointSlice)
    assert body.endpoints is None


def test_a_page_knows_where_to_go_on() -> None:
    page = msgspec.json.decode(
        '{"metadata": {"resourceVersion": "7", "continue": "next", "remainingItemCount": 3},'
        ' "items": [{"metadata": {"name": "web"}}]}',
        type=resources.Page[resources.Service],
    )
    assert (page.metadata.resource_version, page.metadata.continue_) == ("7", "next")
    assert [item.metadata.name for item in page.items] == ["web"]


def test_defaults_are_left_out_of_what_is_written() -> None:
    body = resources.AddressLedger(
        metadata=resources.Metadata(name="ipv4-192.0.2.0"),
        spec=resources.AddressLedgerSpec(
            entries={"192.0.2.1": resources.LedgerEntry(3, freed_at="2026-01-01T00:00:00Z")}
        ),
    )
    assert msgspec.json.decode(msgspec.json.encode(body)) == {
        "metadata": {"name": "ipv4-192.0.2.0"},
        "spec": {"entries": {"192.0.2.1": {"term": 3, "freedAt": "2026-01-01T00:00:00Z"}}},
    }


def test_a_secret_does_not_print_its_data() -> None:
    body = resources.Secret(
        metadata=resources.Metadata(name="members", namespace="metallb-system"),
        string_data={"secretkey": "hidden"},
    )
    assert repr(body) == "Secret(metallb-system/members)"
