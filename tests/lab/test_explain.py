"""What is broken on a real cluster is named rightly: each row breaks something, and asks why.

Layer 2, from the pool to the LAN; BGP is in `test_explain_bgp.py`. What this kernel cannot break is
in `tests/unit/test_diagnosis_service.py`.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.asked import Asked
from lab.bare import Bare
from lab.fixtures import require
from lab.programs import BELLMETAL, NAMESPACE, Programs
from lab.waiting import until

pytestmark = pytest.mark.lab

NODES = ("n1", "n2", "n3")
CONFIGURATION = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


class Scene(Asked):
    """Three nodes with speakers, a pool, an advertisement of it, a Service that is well."""

    def __init__(self, lab: Bare) -> None:
        super().__init__(lab)
        self.programs, self.rest = Programs(lab), lab.rest
        self.running = self.programs.start()
        self.web = {node: self.programs.web(node) for node in lab.node_names}
        self.programs.pool("lan", f"{lab.address(255, 200)}-{lab.address(255, 229)}")
        self.programs.pool("one", f"{lab.address(255, 230)}/32", autoAssign=False)
        self.programs.pool("manual", f"{lab.address(255, 231)}/32", autoAssign=False)
        self.programs.advertise("lan", ipAddressPools=["lan", "one"])
        self.service("well")
        until(lambda: self.code("well") is None, "a Service is well", 30, every=0.5)

    def service(self, name: str, *nodes: str, **fields: Any) -> None:
        self.programs.service(name, nodes or NODES, **fields)

    def patch_node(self, name: str, **body: Any) -> None:
        self.rest.request("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    with Bare(nodes=3, clients=1) as lab:
        yield Scene(lab)


# --- pools and requests --------------------------------------------------------------------------

LB = "metallb.io/loadBalancerIPs"
POOL = "metallb.io/address-pool"
SHARE = "metallb.io/allow-shared-ip"
REFUSED = {
    "UnknownPool": ("asks-unknown", POOL, "lna"),
    "AddressNotInPools": ("asks-outside", LB, "203.0.113.1"),
    "AddressTaken": ("asks-taken", LB, "LAN.200"),
    "BadRequest": ("asks-nonsense", LB, "LAN.200,nonsense"),
    "FamilyMismatch": ("asks-v6", LB, "2001:db8::1"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_request_that_cannot_be_granted(scene: Scene, code: str) -> None:
    name, key, text = REFUSED[code]
    value = text.replace("LAN.", scene.lab.address(255, 0)[:-1])
    scene.service(name, annotations={key: value})
    found = scene.wait_code(name, code)
    assert found["links"][-1]["link"] == "pool"
    body = scene.rest.get(f"/api/v1/namespaces/default/services/{name}")
    reasons = [item["reason"] for item in body["status"].get("conditions", [])]
    assert code in reasons  # the condition and `explain` say one word


def test_a_pool_that_is_used_up_names_its_holders(scene: Scene) -> None:
    scene.service("first", annotations={POOL: "one"})
    scene.wait_code("first", None)
    scene.service("second", annotations={POOL: "one"})
    cause = scene.wait_code("second", "NoAddressLeft")["cause"]
    assert any("default/first since" in text for text in cause["evidence"])
    status, found = scene.ask("pool", "one")
    assert (status, found["cause"]["code"]) == (3, "NoAddressLeft")
    assert "1 address, 1 in use, 0 free" in json.dumps(found)
    scene.lab.kubectl("delete", "service", "first", "-n", "default")
    scene.wait_code("second", None)


def test_who_may_not_share_is_told_why(scene: Scene) -> None:
    shared = {SHARE: "a", LB: scene.lab.address(255, 225)}
    scene.service("sharer", annotations=shared)
    scene.wait_code("sharer", None)
    scene.service("other-key", annotations={**shared, SHARE: "b"})
    scene.wait_code("other-key", "SharingConflict")
    scene.service("same-port", annotations=shared)
    scene.wait_code("same-port", "PortInUse")


def test_a_family_that_no_pool_has(scene: Scene) -> None:
    spec = {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}
    scene.service("v6", **spec)
    scene.wait_code("v6", "FamilyNotInPools")


def test_no_pool_that_gives_by_itself_and_one_in_the_wrong_namespace(scene: Scene) -> None:
    wide = scene.rest.get(f"{CONFIGURATION}/ipaddresspools/lan")["spec"]["addresses"]
    scene.programs.pool("lan", *wide, autoAssign=False)
    try:
        scene.service("no-auto")
        cause = scene.wait_code("no-auto", "NoPoolForService")["cause"]
        assert any("autoAssign is false" in text for text in cause["evidence"])
    finally:
        scene.programs.pool("lan", *wide, autoAssign=True)
    scene.wait_code("no-auto", None)


def test_another_class_and_another_type(scene: Scene) -> None:
    scene.service("classy", loadBalancerClass="example.com/other")
    scene.wait_code("classy", "OtherClass")
    scene.service("plain")
    scene.wait_code("plain", None)
    body = {"spec": {"type": "ClusterIP", "allocateLoadBalancerNodePorts": None}}
    scene.rest.patch("/api/v1/namespaces/default/services/plain", body)
    scene.wait_code("plain", "NotLoadBalancer")


# --- advertisements, nodes, endpoints ------------------------------------------------------------


def test_a_pool_that_no_advertisement_selects(scene: Scene) -> None:
    scene.programs.advertise("typo", ipAddressPools=["manuel"])
    scene.service("silent", annotations={POOL: "manual"})
    cause = scene.wait_code("silent", "noMatchingAdvertisement")["cause"]
    assert any('is "manual" meant?' in text for text in cause["evidence"])
    status, found = scene.ask("pool", "manual")
    assert status == 3
    assert found["cause"]["code"] == "noMatchingAdvertisement"
    scene.programs.advertise("typo", ipAddressPools=["manual"])
    scene.wait_code("silent", None)


def test_nodes_that_their_label_excludes(scene: Scene) -> None:
    for node in NODES:
        scene.patch_node(node, metadata={"labels": {EXCLUDED: ""}})
    try:
        cause = scene.wait_code("well", "nodesExcluded")["cause"]
        assert len(cause["evidence"]) == len(NODES)
    finally:
        for node in NODES:
            scene.patch_node(node, metadata={"labels": {EXCLUDED: None}})
    scene.wait_code("well", None)


def test_node_selectors_that_leave_nobody(scene: Scene) -> None:
    pools = ["lan", "one"]
    chosen = [{"matchLabels": {"rack": "none"}}]
    scene.programs.advertise("lan", ipAddressPools=pools, nodeSelectors=chosen)
    try:
        scene.wait_code("well", "noEligibleNodes")
    finally:
        scene.programs.advertise("lan", ipAddressPools=pools)
    scene.wait_code("well", None)


def test_interfaces_that_no_node_has(scene: Scene) -> None:
    pools = ["lan", "one"]
    scene.programs.advertise("lan", ipAddressPools=pools, interfaces=["eth9"])
    try:
        scene.wait_code("well", "noInterface")
    finally:
        scene.programs.advertise("lan", ipAddressPools=pools)
    scene.wait_code("well", None)


def test_endpoints_that_are_missing(scene: Scene) -> None:
    scene.programs.service("empty")
    cause = scene.wait_code("empty", "noEndpoints")["cause"]
    assert "the selector matches no pod" in cause["evidence"][0]
    scene.service("local", "n9", externalTrafficPolicy="Local")
    scene.wait_code("local", "noLocalEndpoints")


# --- who owns it ---------------------------------------------------------------------------------


def test_nodes_that_are_not_ready(scene: Scene) -> None:
    def ready(status: str) -> None:
        condition = {"type": "Ready", "status": status, "reason": "x", "message": "x"}
        for node in NODES:
            path = f"/api/v1/nodes/{node}/status"
            scene.rest.request(
                "PATCH",
                path,
                {"status": {"conditions": [condition]}},
                "application/strategic-merge-patch+json",
            )

    ready("False")
    try:
        scene.wait_code("well", "NodeNotReady")
    finally:
        ready("True")
    scene.wait_code("well", None)


def test_a_controller_that_is_gone(scene: Scene) -> None:
    scene.running["controller-1"].kill()
    try:
        scene.service("late")
        scene.wait_code("late", "NoLeader", timeout=60)
        found = scene.explain("well")
        assert found["ok"]
        notes = [link["cause"]["code"] for link in found["links"] if link["state"] == "note"]
        assert notes == ["NoLeader"]
    finally:
        scene.running["controller-1"] = scene.programs.controller()
    scene.wait_code("late", None)


def test_a_rival_that_writes_the_status(scene: Scene) -> None:
    scene.service("contested")
    scene.wait_code("contested", None)
    end = time.monotonic() + 20
    path = "/api/v1/namespaces/default/services/contested/status"
    rival = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}}
    while time.monotonic() < end:
        scene.rest.request("PATCH", path, rival, "application/merge-patch+json")
        if scene.code("contested") == "RivalController":
            break
        time.sleep(0.3)  # again and again, as a controller that believes it is right
    scene.wait_code("contested", "RivalController")


# --- the LAN -------------------------------------------------------------------------------------


def test_a_stranger_that_has_the_address(scene: Scene) -> None:
    address = scene.lab.address(255, 226)
    client = scene.lab.client("c1")
    client.run(["ip", "addr", "add", f"{address}/32", "dev", "eth0"])
    try:
        scene.service("taken", annotations={LB: address})
        cause = scene.wait_code("taken", "AddressConflict")["cause"]
        assert any(client.mac in text for text in cause["evidence"])
    finally:
        client.run(["ip", "addr", "del", f"{address}/32", "dev", "eth0"])
    scene.wait_code("taken", None, timeout=60)


def test_a_lan_that_loses_every_answer(scene: Scene) -> None:
    ports = ", ".join(f'"{scene.lab.node(name).link}"' for name in NODES)
    rules = [
        "table bridge hush {",
        "chain forward {",
        "type filter hook forward priority 0;",
        f"iifname {{{ports}}} ether type arp arp operation reply drop;",
        "}",
        "}",
    ]
    lan = scene.lab.client("c1").namespace.removesuffix("c1") + "lan"

    def hush(text: str) -> None:
        command = ["ip", "netns", "exec", lan, "nft", "-f", "-"]
        subprocess.run(command, input=text, text=True, check=True)

    hush("\n".join(rules))
    try:
        scene.service("unseen")
        scene.wait_code("unseen", "AddressNotSeen", timeout=60)
    finally:
        hush("delete table bridge hush")
    scene.wait_code("unseen", None, timeout=60)


def test_nodes_that_do_not_hear_each_other(scene: Scene) -> None:
    scene.lab.partition(["n1"], ["n2"])
    try:
        until(lambda: "MembersUnheard" in scene.notes("well"), "a note", 120, every=1.0)
    finally:
        scene.lab.heal()
    until(lambda: "MembersUnheard" not in scene.notes("well"), "no note", 120, every=1.0)


# --- with the nodes' own eyes ---------------------------------------------------------------------


def test_nodes_look_for_themselves(scene: Scene) -> None:
    found = scene.explain("well", "--look")
    assert found["ok"], found["cause"]
    said = [link["saw"] for link in found["links"]]
    owner = scene.programs.owner("well")
    assert any("asked the LAN for" in text and "answers" in text for text in said)
    assert any(f"{owner} listened" in text for text in said)
    assert any(text.startswith(f"a connection from {owner} to ") for text in said)


def test_a_node_that_takes_the_address_to_nobody(scene: Scene) -> None:
    scene.service("dead", "n1", externalTrafficPolicy="Local")
    scene.wait_code("dead", None)
    scene.web["n1"].kill()
    try:
        cause = scene.wait_code("dead", "NotServedOnNode", "--look")["cause"]
        assert "a connection from n1 to" in cause["sentence"]
    finally:
        scene.web["n1"] = scene.programs.web("n1")
    scene.wait_code("dead", None, "--look")


def test_a_way_back_that_is_another(scene: Scene) -> None:
    client = "203.0.113.5"
    owner = scene.lab.node(scene.programs.owner("well"))
    strict = "/proc/sys/net/ipv4/conf/all/rp_filter"
    owner.run(["ip", "link", "add", "back0", "type", "veth", "peer", "name", "back1"])
    try:
        for command in (
            ["ip", "addr", "add", "10.98.0.1/24", "dev", "back0"],
            ["ip", "link", "set", "back0", "up"],
            ["ip", "link", "set", "back1", "up"],
            ["ip", "route", "add", f"{client}/32", "dev", "back0"],
            ["sh", "-c", f"echo 1 > {strict}"],
        ):
            owner.run(command)
        cause = scene.wait_code("well", "ReversePathFilter", "--client", client)["cause"]
        assert "by back0" in cause["sentence"]
        assert "ReversePathFilter" in scene.notes("well")
    finally:
        owner.run(["ip", "link", "del", "back0"])
        owner.run(["sh", "-c", f"echo 0 > {strict}"])
    until(lambda: "ReversePathFilter" not in scene.notes("well"), "no note", 60, every=0.5)


# --- nothing is wrong, and what it costs ----------------------------------------------------------


def test_every_link_of_a_service_that_is_well_was_looked_at(scene: Scene) -> None:
    scene.service("fresh")  # no other test has moved its address
    scene.wait_code("fresh", None)
    found = scene.explain("fresh")
    assert [link["link"] for link in found["links"]] == [
        "claim",
        "pool",
        "address",
        "advertisement",
        "nodes",
        "endpoints",
        "owner",
        "LAN",
        "data path",
    ]
    assert {link["state"] for link in found["links"]} == {"ok"}


def test_nodes_are_explained(scene: Scene) -> None:
    owner = scene.programs.owner("well")
    status, found = scene.ask("node", owner)
    assert status == 0
    assert any("it owns" in link["saw"] for link in found["links"])


def test_what_may_not_be_read_is_said_in_a_sentence(scene: Scene) -> None:
    account = scene.lab.service_account_kubeconfig(NAMESPACE, "bellmetal-speaker", node="n1")
    argv = [*BELLMETAL, "explain", "service", "default/well", "--namespace", NAMESPACE]
    host = scene.lab.control_plane_host
    done = host.run(argv, check=False, env={"KUBECONFIG": str(account)})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("bellmetal explain: ")
    assert "cannot list resource" in line


def test_no_cluster_is_said_in_a_sentence(scene: Scene) -> None:
    host = scene.lab.control_plane_host
    for value in ("/nowhere", str(Path(__file__))):
        argv = [*BELLMETAL, "explain", "service", "default/well"]
        done = host.run(argv, check=False, env={"KUBECONFIG": value})
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
