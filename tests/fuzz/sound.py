"""Sound objects that the fuzzer makes odd: each field that is read has a value. Values alone."""

from __future__ import annotations

from typing import Any

WHO = {"namespace": "shop", "name": "web", "uid": "u1"}
SINCE = "2025-12-01T00:00:00Z"


def _meta(name: str, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "metallb-system",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "creationTimestamp": SINCE,
        "labels": {"a": "b"},
        "annotations": annotations or {},
    }


SLICE: dict[str, Any] = {
    "metadata": _meta("layer2-0"),
    "spec": {
        "version": 1,
        "nodeSets": [
            {
                "name": "all",
                "nodes": [{"name": "n1", "address": "192.0.2.11"}],
                "networks": ["192.0.2.0/24"],
                "draining": ["n1"],
            }
        ],
        "announcements": [
            {
                "address": "192.0.2.1",
                "term": 3,
                "owner": "n1",
                "nodeSet": "all",
                "successors": ["n2", "n3"],
                "interfaces": ["eth0"],
                "services": [WHO],
                "refresh": 10,
            }
        ],
        "routes": [
            {
                "prefix": "198.51.100.0/24",
                "nodeSet": "all",
                "localPref": 100,
                "communities": ["64500:1", "large:1:2:3"],
                "med": 5,
                "prepend": 1,
                "nextHop": "192.0.2.9",
                "peers": ["tor"],
                "services": [WHO],
            }
        ],
        "peers": [
            {
                "name": "tor",
                "uid": "u2",
                "nodeSet": "all",
                "myASN": 64500,
                "peerASN": 64501,
                "address": "192.0.2.254",
                "sourceAddress": "192.0.2.11",
                "port": 179,
                "holdTime": 90,
                "keepaliveTime": 30,
                "connectTime": 5,
                "routerID": "192.0.2.11",
                "bfd": {"name": "fast", "receiveInterval": 50, "transmitInterval": 50},
                "ttlSecurity": 1,
                "drainTime": 5,
                "maxPrefixes": 10,
            }
        ],
    },
}
HOLDER = {**WHO, "since": SINCE, "sharing": "key"}
LEDGER: dict[str, Any] = {
    "metadata": _meta("v4-192.0.2.0"),
    "spec": {
        "block": "192.0.2.0/24",
        "entries": {
            "192.0.2.1": {
                "term": 3,
                "pool": "lan",
                "holders": [HOLDER],
                "owners": [{"node": "n1", "since": SINCE, "why": "first"}],
            },
            "192.0.2.2": {
                "term": 9,
                "pool": "lan",
                "holders": [],
                "lastHolder": HOLDER | {"uid": "u3", "name": "gone"},
                "freedAt": SINCE,
            },
        },
    },
}
SERVICE: dict[str, Any] = {
    "metadata": {
        **_meta("web"),
        "namespace": "shop",
        "uid": "u1",
        "annotations": {
            "metallb.io/loadBalancerIPs": "192.0.2.1,2001:db8::1",
            "metallb.io/address-pool": "lan",
            "metallb.io/allow-shared-ip": "key",
            "metallb.io/ip-allocated-from-pool": "lan",
            "metallb.universe.tf/address-pool": "lan",
            "bellmetal.io/addresses-per-family": "1",
            "bellmetal.io/move-to": "n1",
        },
    },
    "spec": {
        "type": "LoadBalancer",
        "clusterIP": "10.96.0.1",
        "clusterIPs": ["10.96.0.1", "fd96::1"],
        "ipFamilies": ["IPv4", "IPv6"],
        "ipFamilyPolicy": "PreferDualStack",
        "externalTrafficPolicy": "Local",
        "selector": {"app": "web"},
        "ports": [{"port": 80, "protocol": "TCP"}],
    },
    "status": {
        "loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]},
        "conditions": [
            {"type": "bellmetal.io/Announced", "status": "False", "reason": "x", "message": "y"}
        ],
    },
}
REPORT: dict[str, Any] = {
    "metadata": _meta("n1"),
    "spec": {
        "looks": [{"id": "a", "kind": "connect", "address": "192.0.2.1", "port": 80, "seconds": 2}]
    },
    "status": {
        "version": 1,
        "bootID": "1",
        "address": "192.0.2.11",
        "claims": [{"address": "192.0.2.1", "term": 3, "epoch": 1, "firm": True}],
        "interfaces": [
            {
                "name": "eth0",
                "mac": "02:00:00:00:00:01",
                "up": True,
                "subnets": ["192.0.2.11/24", "fe80::1/64"],
                "gateways": ["192.0.2.254"],
            }
        ],
        "findings": [{"code": "x", "message": "y"}],
        "doubts": [
            {
                "address": "192.0.2.1",
                "kind": "foreign",
                "interface": "eth0",
                "owner": "n1",
                "macs": ["02:00:00:00:00:09"],
                "since": SINCE,
            }
        ],
        "proved": {"asked": 1, "seen": 1},
        "node": {
            "kernel": "6.1",
            "links": [{"name": "eth0", "kind": "bridge", "up": True, "rpFilter": 1}],
            "kubeProxy": {"mode": "ipvs", "healthy": True, "message": ""},
            "ipvsAddresses": 1,
            "ipForward": True,
            "unheard": ["n2"],
        },
        "looks": [{"id": "a", "kind": "route", "ok": True, "outcome": "answered", "at": SINCE}],
    },
}
OBJECTS: dict[str, Any] = {
    "pools": [
        {
            "metadata": _meta(
                "lan",
                {
                    "bellmetal.io/exclude": "192.0.2.7",
                    "bellmetal.io/reserve": "192.0.2.8=shop/web",
                    "bellmetal.io/cool-down": "1m",
                    "bellmetal.io/on-orphan": "keep",
                },
            ),
            "spec": {
                "addresses": ["192.0.2.0/28", "2001:db8::/120", "192.0.2.64-192.0.2.70"],
                "autoAssign": True,
                "avoidBuggyIPs": True,
                "serviceAllocation": {
                    "priority": 5,
                    "namespaces": ["shop"],
                    "serviceSelectors": [{"matchLabels": {"a": "b"}}],
                    "namespaceSelectors": [
                        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
                    ],
                },
            },
        },
        {"metadata": _meta("other"), "spec": {"addresses": ["198.51.100.0/24"]}},
    ],
    "l2_advertisements": [
        {
            "metadata": _meta("l2", {"bellmetal.io/announce-every": "10s"}),
            "spec": {
                "ipAddressPools": ["lan"],
                "ipAddressPoolSelectors": [{"matchLabels": {"a": "b"}}],
                "nodeSelectors": [{"matchLabels": {"a": "b"}}],
                "interfaces": ["eth0"],
            },
        }
    ],
    "bgp_advertisements": [
        {
            "metadata": _meta("bgp", {"bellmetal.io/med": "5"}),
            "spec": {
                "ipAddressPools": ["lan"],
                "aggregationLength": 32,
                "aggregationLengthV6": 128,
                "localPref": 100,
                "communities": ["vip", "64500:1"],
                "peers": ["tor"],
                "nodeSelectors": [],
            },
        }
    ],
    "peers": [
        {
            "metadata": _meta("tor", {"bellmetal.io/ttl-security": "1"}),
            "spec": {
                "myASN": 64500,
                "peerASN": 64501,
                "peerAddress": "192.0.2.254",
                "sourceAddress": "192.0.2.11",
                "peerPort": 179,
                "holdTime": "90s",
                "keepaliveTime": "30s",
                "routerID": "192.0.2.11",
                "bfdProfile": "fast",
                "password": "hush",
                "nodeSelectors": [{"matchLabels": {"a": "b"}}],
            },
        }
    ],
    "bfd_profiles": [
        {"metadata": _meta("fast"), "spec": {"receiveInterval": 50, "detectMultiplier": 3}}
    ],
    "communities": [
        {
            "metadata": _meta("words"),
            "spec": {"communities": [{"name": "vip", "value": "64500:100"}]},
        }
    ],
}
