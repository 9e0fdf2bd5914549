"""What `preflight` is to find around an installation: kube-proxy, pools, nodes, configuration."""

from __future__ import annotations

from typing import Any

from bellmetal import resources
from bellmetal.config import Config, Problem
from bellmetal.preflight.codes import Code
from bellmetal.preflight.seen import KubeProxy
from builders import advertisement, labelled, metadata
from preflight_faults import (
    EXCLUDED,
    POOL,
    seen_on_n1,
    two_links,
)
from preflight_scene import (
    OWN,
    config,
    lease,
    link,
    node,
    pool_body,
    pools,
    report,
    well,
)

# what is otherwise; what is found: code, object, sentence
CASES: list[tuple[dict[str, Any], Code, str, str]] = [
    # --- kube-proxy
    (
        {"kube_proxy": KubeProxy("ipvs")},
        Code.STRICT_ARP,
        "ConfigMap/kube-system/kube-proxy",
        "mode is ipvs and ipvs.strictARP is false: on layer 2 every node answers for every address,"
        " the owner among them",
    ),
    (
        {"kube_proxy": KubeProxy(fault="config.conf is no YAML")},
        Code.PROXY_UNREADABLE,
        "ConfigMap/kube-system/kube-proxy",
        "config.conf is no YAML",
    ),
    (
        {"kube_proxy": KubeProxy("iptables", node_port_addresses=("10.0.0.0/24",))},
        Code.NODE_PORTS,
        "ConfigMap/kube-system/kube-proxy",
        "nodePortAddresses is 10.0.0.0/24: what checks nodes by healthCheckNodePort must ask there;"
        " addresses of Services are not concerned",
    ),
    (
        {"kube_proxy": None},
        Code.PROXY_UNKNOWN,
        "ConfigMap/kube-system/kube-proxy",
        "there is none: kube-proxy is configured otherwise (as in k3s, or by flags), or something"
        " else does its work; whether strict ARP is on is seen by speakers alone",
    ),
    # --- pools
    (
        {"config": Config(), "pools": ()},
        Code.NO_POOL,
        f"Namespace/{OWN}",
        "there is no IPAddressPool: no Service gets an address",
    ),
    (
        {"strays": (resources.Object(kind="IPAddressPool", metadata=metadata("default/web")),)},
        Code.STRAY,
        "IPAddressPool/default/web",
        "it is in namespace default, and metallb-system alone counts",
    ),
    (
        {"config": config(l2_advertisements=(advertisement("some", pools="other"),))},
        Code.NOT_ADVERTISED,
        POOL,
        "no L2Advertisement or BGPAdvertisement selects it (some): Services get its addresses, and"
        " nobody answers for them",
    ),
    (
        {"config": config(l2_advertisements=())},
        Code.NOT_ADVERTISED,
        POOL,
        "no L2Advertisement or BGPAdvertisement selects it (there is none): Services get its"
        " addresses, and nobody answers for them",
    ),
    (
        {
            "config": config(
                l2_advertisements=(advertisement("all", node_selectors=(labelled(rack="9"),)),)
            )
        },
        Code.SELECTS_NO_NODE,
        "L2Advertisement/all",
        "its spec.nodeSelectors match none of 3 nodes: it announces nothing",
    ),
    (
        {"config": pools("10.0.0.2-10.0.0.3")},
        Code.OVERLAPS_NODE,
        POOL,
        "it has 10.0.0.2 of node n2, 10.0.0.3 of node n3: it is given last, and cuts the node off"
        " when it is",
    ),
    (
        {"nodes": (node("n1", pods=("10.0.0.192/26", "fd00::/64")), *well().nodes[1:])},
        Code.OVERLAPS_PODS,
        POOL,
        "pods have addresses of 10.0.0.192/26, which overlaps with it: traffic to some addresses"
        " never reaches the LAN, or never comes back",
    ),
    (
        {"pod_cidrs": ("10.0.0.0/8",)},
        Code.OVERLAPS_PODS,
        POOL,
        "pods have addresses of 10.0.0.0/8, which overlaps with it: traffic to some addresses never"
        " reaches the LAN, or never comes back",
    ),
    (
        {"service_cidrs": ("fd96::/108", "10.0.0.128/25")},
        Code.OVERLAPS_SERVICES,
        POOL,
        "Services have cluster IPs of 10.0.0.128/25, which overlaps with it: traffic to some"
        " addresses never reaches the LAN, or never comes back",
    ),
    (
        {"pools": (pool_body(f"{OWN}/main", "10.0.0.210/28", "10.0.0.240/28"),)},
        Code.UNALIGNED,
        POOL,
        "spec.addresses[0]: 10.0.0.210/28 is all of 10.0.0.208-10.0.0.223, 16 addresses, those"
        " before 10.0.0.210 too",
    ),
    (
        {"reports": tuple(report(n, gateways=("10.0.0.205",)) for n in ("n1", "n2", "n3"))},
        Code.HAS_GATEWAY,
        POOL,
        "it has 10.0.0.205, which is the nodes' router: it is given last, and cuts the LAN off when"
        " it is",
    ),
    (
        {"config": pools("10.0.0.250-10.0.0.255")},
        Code.HAS_ENDS,
        POOL,
        "it has 10.0.0.255, the first or last address of a subnet: many devices do not speak to it;"
        " it is given last",
    ),
    (
        {"config": pools("192.168.7.0/28")},
        Code.OUTSIDE,
        POOL,
        "192.168.7.0-192.168.7.15 is in no subnet of any node (10.0.0.0/24), and only an"
        " L2Advertisement selects it: who is on the LAN asks a router for it",
    ),
    # --- nodes
    (
        {"nodes": tuple(node(n, **{EXCLUDED: ""}) for n in ("n1", "n2", "n3"))},
        Code.ALL_EXCLUDED,
        "Node/n1",
        f"every node has the label {EXCLUDED}: none may own an address",
    ),
    (
        {"nodes": (node("n1", **{EXCLUDED: ""}), *well().nodes[1:])},
        Code.EXCLUDED,
        "Node/n1",
        f"the label {EXCLUDED} is on node n1: no address is announced from there",
    ),
    (
        {"nodes": (node("n1", ready="Unknown"), *well().nodes[1:])},
        Code.NOT_READY,
        "Node/n1",
        "it is not ready: KubeletReady, it says so; it gets no new address",
    ),
    (
        {"nodes": well().nodes[:1]},
        Code.SINGLE,
        "Node/n1",
        "it is the only node: if it dies, nobody takes over its addresses",
    ),
    (
        {"reports": (report("n1", ("NoKey", "the secret is not there")), *well().reports[1:])},
        Code.DOUBTS,
        "Node/n1",
        "its speaker says NoKey: the secret is not there",
    ),
    (
        {"node_leases": (lease("n2", renewed="2026-06-01T12:04:00Z"),)},
        Code.CLOCK,
        "Node/n2",
        "its clock is at least 240 s ahead of the API server's, by its Lease (which tells 10 s at"
        " best); logs, events and leaders are then hard to compare",
    ),
    (
        {"node_leases": (lease("n2", renewed="2026-06-01T11:59:00.5Z"),)},
        Code.CLOCK,
        "Node/n2",
        "its clock is about 60 s behind the API server's, by its Lease (which tells 10 s at best);"
        " logs, events and leaders are then hard to compare",
    ),
    # --- what speakers see
    (
        seen_on_n1(ipvs_addresses=4, kube_proxy=resources.ReportedKubeProxy("ipvs", True)),
        Code.ANSWERS_ARP,
        "Node/n1",
        "kube-proxy works with IPVS and arp_ignore is 0 on node n1 (on n1: eth0): they answer for"
        " every address",
    ),
    (
        seen_on_n1(
            kube_proxy=resources.ReportedKubeProxy("ipvs", True), links=[link(arp_ignore=1)]
        ),
        Code.PROXY_MODES,
        "Node/n2",
        "kube-proxy works as ipvs on node n1; nftables on nodes n2, n3",
    ),
    (
        seen_on_n1(kube_proxy=resources.ReportedKubeProxy("nftables", False, "500: no sync")),
        Code.PROXY_SICK,
        "Node/n1",
        "its kube-proxy is not healthy: 500: no sync; Services may not be reached on it",
    ),
    (
        seen_on_n1(kube_proxy=resources.ReportedKubeProxy("", None, "Connection refused")),
        Code.PROXY_SILENT,
        "Node/n1",
        "no kube-proxy answers on node n1 (port 10256): something else does its work, or it does"
        " not run",
    ),
    (
        seen_on_n1(links=[link(kind="wireless"), link("wlan1", kind="wireless")]),
        Code.WIRELESS,
        "Node/n1",
        "eth0 of node n1 is Wi-Fi: many access points do not pass on ARP for an address that their"
        " client did not get from DHCP",
    ),
    (
        seen_on_n1(links=[link(kind="bridge")]),
        Code.LAYERED,
        "Node/n1",
        "eth0 of node n1 is a bridge, macvlan, ipvlan or tap: ARP arrives only if what is below"
        " passes on broadcasts",
    ),
    (
        {"reports": tuple(report(n, links=[link(kind="virtio")]) for n in ("n1", "n2", "n3"))},
        Code.VIRTUAL,
        "Node/n1",
        "eth0 of nodes n1, n2, n3 is a virtual machine's: clouds and hypervisors may drop ARP for"
        " addresses that they did not give it",
    ),
    (
        two_links(rp_filter=1),
        Code.REVERSE_PATH,
        "Node/n1",
        "rp_filter is strict on eth0, eth1 of node n1, and there are several interfaces: what comes"
        " in on one and would be answered on another is dropped",
    ),
    (
        seen_on_n1(ip_forward=False),
        Code.NO_FORWARDING,
        "Node/n1",
        "net.ipv4.ip_forward is 0 on node n1: what arrives there in IPv4 does not get to pods",
    ),
    (
        seen_on_n1(unheard=["n2", "gone"]),
        Code.UNHEARD,
        "Node/n1",
        "speakers do not hear each other (n1 does not hear n2): one of them takes over what the"
        " other still has",
    ),
    # --- configuration
    (
        {"problems": (Problem("BGPPeer", "tor", "spec.myASN", "is missing"),)},
        Code.INVALID,
        "BGPPeer/tor",
        "spec.myASN: is missing",
    ),
    (
        {
            "states": (
                resources.ConfigurationState(
                    metadata=metadata("speaker-n1"),
                    status=resources.ConfigurationStateStatus("Invalid", "bgp: no password"),
                ),
            )
        },
        Code.STATE,
        "ConfigurationState/speaker-n1",
        "speaker-n1 says that the configuration is Invalid: bgp: no password",
    ),
]
