"""kube-proxy: as its ConfigMap says, before any speaker runs."""

from __future__ import annotations

from collections.abc import Iterator

from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import PROXY, Check, Finding
from bellmetal.preflight.seen import Seen

ABOUT = "ConfigMap/kube-system/kube-proxy"
EDIT = "kubectl -n kube-system edit configmap kube-proxy"
RESTART = "kubectl -n kube-system rollout restart daemonset kube-proxy"


def strict_arp(seen: Seen) -> Iterator[Finding]:
    """IPVS puts every address onto an interface of every node, and the kernel answers for it."""
    proxy = seen.kube_proxy
    if proxy and proxy.mode == "ipvs" and not proxy.strict_arp and seen.by_layer2:
        yield Finding(
            Code.STRICT_ARP,
            ABOUT,
            "mode is ipvs and ipvs.strictARP is false: on layer 2 every node answers for every"
            " address, the owner among them",
            f"set ipvs.strictARP: true ({EDIT}), then: {RESTART}; or --ipvs-strict-arp=true among"
            " its flags",
        )


def unreadable(seen: Seen) -> Iterator[Finding]:
    """A ConfigMap that is no YAML."""
    if seen.kube_proxy and seen.kube_proxy.fault:
        yield Finding(Code.PROXY_UNREADABLE, ABOUT, seen.kube_proxy.fault, EDIT)


def unknown(seen: Seen) -> Iterator[Finding]:
    """No ConfigMap, and nobody who is known to do kube-proxy's work."""
    if seen.kube_proxy is None:
        yield Finding(
            Code.PROXY_UNKNOWN,
            ABOUT,
            "there is none: kube-proxy is configured otherwise (as in k3s, or by flags), or"
            " something else does its work; whether strict ARP is on is seen by speakers alone",
        )


def node_ports(seen: Seen) -> Iterator[Finding]:
    """nodePortAddresses matter to health checks alone."""
    proxy = seen.kube_proxy
    if proxy and proxy.node_port_addresses:
        yield Finding(
            Code.NODE_PORTS,
            ABOUT,
            f"nodePortAddresses is {', '.join(proxy.node_port_addresses)}: what checks nodes by"
            " healthCheckNodePort must ask there; addresses of Services are not concerned",
        )


CHECKS = (
    Check("kube-proxy has strict ARP, or does not need it", strict_arp, ("kube_proxy",), (PROXY,)),
    Check("kube-proxy's configuration can be understood", unreadable, ("kube_proxy",), (PROXY,)),
    Check("how kube-proxy works is known", unknown, ("kube_proxy",)),
    Check("node ports are open on all addresses of nodes", node_ports, ("kube_proxy",), (PROXY,)),
)
