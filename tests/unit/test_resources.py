"""Objects of odd, older and newer servers decode; what we write leaves defaults out."""

from __future__ import annotations

import msgspec
import pytest

from bellmetal import resources

EVERY_KIND = [
    resources.AddressLedger,
    resources.AnnouncementSlice,
    resources.BFDProfile,
    resources.BGPAdvertisement,
    resources.BGPPeer,
    resources.Community,
    resources.ConfigurationState,
    resources.EndpointSlice,
    resources.IPAddressPool,
    resources.L2Advertisement,
    resources.Lease,
    resources.Namespace,
    resources.Node,
    resources.Service,
    resources.ServiceBGPStatus,
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


def test_names_of_metallbs_kinds_for_bgp() -> None:
    peer = msgspec.json.decode(
        '{"spec": {"myASN": 1, "peerASN": 2, "localASN": 3, "dynamicASN": "internal",'
        ' "peerAddress": "a", "interface": "i", "sourceAddress": "s", "peerPort": 179,'
        ' "holdTime": "9s", "keepaliveTime": "3s", "connectTime": "1s", "routerID": "r",'
        ' "nodeSelectors": [{}], "password": "p", "passwordSecret": {"name": "n"},'
        ' "bfdProfile": "b", "enableGracefulRestart": true, "ebgpMultiHop": true, "vrf": "v",'
        ' "disableMP": true, "dualStackAddressFamily": true}}',
        type=resources.BGPPeer,
    )
    assert peer.spec == resources.BGPPeerSpec(
        my_asn=1,
        peer_asn=2,
        local_asn=3,
        dynamic_asn="internal",
        peer_address="a",
        interface="i",
        source_address="s",
        peer_port=179,
        hold_time="9s",
        keepalive_time="3s",
        connect_time="1s",
        router_id="r",
        node_selectors=[resources.LabelSelector()],
        password="p",
        password_secret=resources.SecretReference("n"),
        bfd_profile="b",
        enable_graceful_restart=True,
        ebgp_multi_hop=True,
        vrf="v",
        disable_mp=True,
        dual_stack_address_family=True,
    )
    advertisement = msgspec.json.decode(
        '{"spec": {"aggregationLength": 24, "aggregationLengthV6": 64, "localPref": 5,'
        ' "communities": ["c"], "ipAddressPools": ["p"], "ipAddressPoolSelectors": [{}],'
        ' "nodeSelectors": [{}], "peers": ["x"], "serviceSelectors": [{}]}}',
        type=resources.BGPAdvertisement,
    )
    selectors = [resources.LabelSelector()]
    assert advertisement.spec == resources.BGPAdvertisementSpec(
        24, 64, 5, ["c"], ["p"], selectors, selectors, ["x"], selectors
    )
    profile = msgspec.json.decode(
        '{"spec": {"receiveInterval": 1, "transmitInterval": 2, "detectMultiplier": 3,'
        ' "echoInterval": 4, "echoMode": true, "passiveMode": true, "minimumTtl": 5}}',
        type=resources.BFDProfile,
    )
    assert profile.spec == resources.BFDProfileSpec(1, 2, 3, 4, True, True, 5)


def test_a_pools_status_has_its_zeros() -> None:
    assert msgspec.json.decode(msgspec.json.encode(resources.IPAddressPoolStatus(1))) == {
        "assignedIPv4": 1,
        "assignedIPv6": 0,
        "availableIPv4": 0,
        "availableIPv6": 0,
    }
