"""What `preflight` is not to find: a little otherwise, and nothing to worry about."""

from __future__ import annotations

from typing import Any

import msgspec

from bellmetal import resources
from bellmetal.preflight import objects
from bellmetal.preflight.seen import KubeProxy
from builders import advertisement, bgp_advertisement, metadata, pool
from preflight_faults import (
    EXCLUDED,
    calico_node,
    metallb,
    of_release,
    others,
    seen_on_n1,
    two_links,
    webhook,
)
from preflight_scene import (
    OWN,
    RELEASE,
    config,
    container,
    controllers,
    lease,
    link,
    node,
    pod,
    pool_body,
    pools,
    report,
    speakers,
    well,
    workload,
)

# what is a little otherwise, and nothing to worry about
SOUND: list[tuple[str, dict[str, Any]]] = [
    ("as it should be", {}),
    (
        "no Secret where speakers do not gossip",
        {
            "has_secret": False,
            "deployments": (
                workload(
                    "Deployment",
                    f"{OWN}/bellmetal-controller",
                    container("controller", "x", "controller"),
                    replicas=2,
                    annotations=RELEASE,
                ),
            ),
        },
    ),
    ("two interfaces, and rp_filter loose", two_links(rp_filter=2)),
    ("one interface, and rp_filter strict", seen_on_n1(links=[link(rp_filter=1)])),
    ("a bridge that has no network", seen_on_n1(links=[link(), link("docker0", kind="bridge")])),
    ("a node unheard that is gone", seen_on_n1(unheard=["gone"])),
    (
        "IPVS with strict ARP, as speakers see it",
        {
            "reports": tuple(
                report(
                    name,
                    kube_proxy=resources.ReportedKubeProxy("ipvs", True),
                    ipvs_addresses=3,
                    links=[link(arp_ignore=1)],
                )
                for name in ("n1", "n2", "n3")
            )
        },
    ),
    (
        "Wi-Fi, and BGP alone",
        {
            **seen_on_n1(links=[link(kind="wireless")]),
            "config": config(l2_advertisements=(), bgp_advertisements=(bgp_advertisement(),)),
        },
    ),
    ("a webhook that lets everything in", {"webhook": webhook("Ignore")}),
    (
        "a taint that is tolerated",
        {"nodes": (node("n1", objects.Taint("x", "", "PreferNoSchedule")), *well().nodes[1:])},
    ),
    ("strict ARP", {"kube_proxy": KubeProxy("ipvs", strict_arp=True)}),
    (
        "IPVS, and BGP alone",
        {
            "kube_proxy": KubeProxy("ipvs"),
            "config": config(l2_advertisements=(), bgp_advertisements=(bgp_advertisement(),)),
        },
    ),
    ("Cilium in kube-proxy's place", {"kube_proxy": KubeProxy(replaced_by="Cilium")}),
    (
        "kube-vip for the control plane alone",
        others(
            "DaemonSet",
            "kube-system/kube-vip-ds",
            "ghcr.io/kube-vip/kube-vip:v0.8.9",
            env={"cp_enable": "true"},
        ),
    ),
    (
        "a program whose tag has a rival's name",
        others("Deployment", "default/web", "web:klipper-lb"),
    ),
    ("Calico with VXLAN", {**calico_node(CALICO_NETWORKING_BACKEND="vxlan")}),
    (
        "Calico's BIRD, and no passive peer",
        others("DaemonSet", "calico-system/calico-node", "calico/node:v3"),
    ),
    (
        "a class of our own beside others",
        {
            "deployments": (controllers("--lb-class=bellmetal"),),
            "daemon_sets": (speakers(), *metallb()["daemon_sets"][1:]),
        },
    ),
    (
        "a second installation of another class",
        {"deployments": (controllers(), controllers("--lb-class=x", namespace="other"))},
    ),
    (
        "excluded nodes that count",
        {
            "deployments": (controllers("--ignore-exclude-lb"),),
            "nodes": tuple(node(n, **{EXCLUDED: ""}) for n in ("n1", "n2", "n3")),
        },
    ),
    (
        "a node's address that is left out",
        {
            "config": config(
                pools=(
                    pool(
                        "main", "10.0.0.2-10.0.0.9", excluded=pool("x", "10.0.0.2-10.0.0.3").ranges
                    ),
                )
            )
        },
    ),
    (
        "first and last address left out",
        {"config": config(pools=(pool("main", "10.0.0.250-10.0.0.255", avoid_buggy=True),))},
    ),
    (
        "outside of the subnets, and routed",
        {"config": pools("192.168.7.1-192.168.7.9", bgp_advertisements=(bgp_advertisement(),))},
    ),
    (
        "outside of the subnets, as it was asked for",
        {
            "config": pools(
                "192.168.7.1-192.168.7.9",
                l2_advertisements=(advertisement("all", any_subnet=True),),
            )
        },
    ),
    ("IPv6, of which no subnet is known", {"config": pools("fd00::1-fd00::9")}),
    (
        "a CIDR in other words",
        {"pools": (pool_body(f"{OWN}/main", "fd00:0::/120", "10.0.0.208/28"),)},
    ),
    (
        "a Lease of a node that is gone",
        {"node_leases": (lease("gone", renewed="2025-01-01T00:00:00Z"),)},
    ),
    ("a Lease that was never renewed", {"node_leases": (lease("n1", renewed=None),)}),
    (
        "a pod that is gone",
        {
            "pods": (
                *well().pods,
                msgspec.structs.replace(
                    pod("old", "speaker", "n1", image="x:0"), status=objects.PodStatus("Failed")
                ),
            )
        },
    ),
    (
        "another Helm release's name for ours",
        {
            "deployments": (
                msgspec.structs.replace(
                    controllers(),
                    metadata=metadata(
                        f"{OWN}/x",
                        annotations={
                            "meta.helm.sh/release-name": "lb",
                            "meta.helm.sh/release-namespace": OWN,
                        },
                    ),
                ),
            ),
            **of_release("bgppeers.metallb.io", "lb"),
        },
    ),
]
