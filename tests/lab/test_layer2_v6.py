"""Layer 2 in IPv6 on real networks: the client's kernel and ndisc6 are the referees."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address

import pytest

from bellmetal_layer2.schedule import REPEATS
from lab import netns
from lab.bare import Bare
from lab.endpoints import WEB_PORT, endpoint_slice
from lab.fixtures import require
from lab.prober import Prober, outage
from lab.programs import WEB, Programs
from lab.scene import Speakers
from lab.waiting import until

pytestmark = pytest.mark.lab

RUNS = 3  # node deaths
DUAL = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}


class Scene(Speakers):
    """Three nodes with speakers and web servers, one dual-stack Service on all of them."""

    def __init__(self, lab: Bare) -> None:
        super().__init__(lab, Programs(lab))
        self.running = self.programs.start()
        for node in lab.node_names:
            self.web(node)
        v4 = f"{lab.address(255, 200)}-{lab.address(255, 250)}"
        v6 = f"{lab.address6(0xFF00)}-{lab.address6(0xFFFF)}"
        self.programs.pool("lan", v4, v6)
        self.programs.advertise()
        self.programs.service("web", lab.node_names, **DUAL)
        self.endpoints(lab.node_names)
        until(lambda: len(self.programs.shown("web")) == 2, "web has two addresses")
        self.v4, self.v6 = self.programs.shown("web")
        for address in (self.v4, self.v6):
            until(lambda a=address: "saw" in self.page(a), f"web answers at {address}")

    def web(self, node: str) -> None:
        """Servers in the place of a pod, of both families (``::``: the pod's is not bindable)."""
        self.programs.web(node)
        self.lab.node(node).spawn(
            [sys.executable, "-c", WEB, "::", node, str(WEB_PORT)], log="web6"
        )

    def endpoints(self, nodes: Iterable[str]) -> None:
        """Says which nodes serve, in both families."""
        chosen = list(nodes)
        self.programs.endpoints("web", chosen)
        pods = {node: self.pod(node) for node in chosen}
        self.lab.apply(endpoint_slice("web", pods, "web-2", "IPv6"))

    def pod(self, node: str) -> str:
        return self.lab.pod_address6(node, 5)

    def leave_out(self, node: str) -> None:
        """Takes a node's endpoints away, and waits until kube-proxy has followed elsewhere."""
        others = [name for name in self.lab.node_names if name != node]
        self.endpoints(others)
        self.programs.leave_out("web", node)

        def followed(name: str) -> bool:
            command = ["nft", "list", "table", "ip6", "kube-proxy"]
            rules = self.lab.node(name).run(command).stdout
            return self.pod(node) not in rules and all(self.pod(o) in rules for o in others)

        for name in others:
            until(lambda n=name: followed(n), f"kube-proxy of {name} has followed", every=0.1)

    def return_of(self, node: str) -> None:
        """Boots a node and starts its programs; waits until it takes part again."""
        self.lab.boot_node(node)
        time.sleep(0.5)
        self.launch(node)
        self.web(node)
        self.wait_settled(node)

    def page(self, address: str) -> str:
        host = f"[{address}]" if ":" in address else address
        command = ["curl", "-s", "-g", "-m", "2", f"http://{host}"]
        return self.lab.client().run(command, check=False).stdout

    def neighbour(self) -> str:
        """What the client's kernel knows of the IPv6 address."""
        command = ["ip", "-6", "neigh", "show", self.v6, "dev", "eth0"]
        return self.lab.client().run(command).stdout

    def neighbour_owner(self) -> str:
        """The node at the MAC that the client's kernel uses."""
        words = self.neighbour().split()
        return self.lab.name_of(words[words.index("lladdr") + 1]) if "lladdr" in words else ""

    def groups(self, node: str, link: str = "eth0") -> str:
        return self.lab.node(node).run(["ip", "maddr", "show", "dev", link]).stdout


def solicited_node(address: str) -> str:
    return str(IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + IPv6Address(address).packed[13:]))


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    if not netns.has_ipv6():
        pytest.skip("this kernel has no IPv6")
    with Bare(nodes=3, clients=1) as lab:
        yield Scene(lab)


@pytest.fixture(autouse=True)
def _whole(scene: Scene) -> Iterator[None]:
    yield
    scene.lab.heal()


def ndisc6(scene: Scene, address: str, link: str = "eth0") -> str:
    """The MAC that ndisc6 is told; empty if nobody answers."""
    if shutil.which("ndisc6") is None:
        pytest.skip("ndisc6 is not installed (Debian's package ndisc6)")
    command = ["ndisc6", "-q", "-1", "-r", "3", address, link]
    return scene.lab.client().run(command, check=False).stdout.strip().lower()


def test_a_client_reaches_the_service_and_both_families_have_one_owner(scene: Scene) -> None:
    with scene.lab.sniff_answers() as capture:
        scene.lab.client().run(["ip", "neigh", "flush", "all"])
        assert "saw fd00:" in scene.page(scene.v6)
        assert "saw 172." in scene.page(scene.v4)
        scene.lab.client().run(["ping", "-c", "1", "-W", "1", scene.v6], check=False)
    owner = scene.programs.owner("web")
    assert scene.neighbour_owner() == owner
    assert "router" not in scene.neighbour()
    for address in (scene.v4, scene.v6):
        assert {scene.lab.name_of(mac) for mac in capture.answerers(address)} == {owner}
    answers = [item for item in capture.advertisements(scene.v6) if item.solicited]
    assert answers
    assert all(item.override for item in answers)


def test_ndisc6_is_answered(scene: Scene) -> None:
    assert scene.lab.name_of(ndisc6(scene, scene.v6)) == scene.programs.owner("web")


def test_what_nobody_owns_is_not_answered(scene: Scene) -> None:
    assert ndisc6(scene, scene.lab.address6(0xFF77)) == ""


def test_only_the_owner_listens_to_the_group(scene: Scene) -> None:
    owner, group = scene.programs.owner("web"), solicited_node(scene.v6)
    mac = "33:33:" + IPv6Address(group).packed[12:].hex(":")
    for node in scene.lab.node_names:
        known = scene.groups(node)
        assert (f"inet6 {group}\n" in known + "\n", f"link  {mac}" in known) == (
            (True, True) if node == owner else (False, False)
        )


def test_a_switch_that_snoops_mld_forwards_to_the_owner(scene: Scene) -> None:
    """The bridge asks who listens; what it has learnt is in its table, and it floods no more."""
    lan = f"{scene.lab.run.prefix}lan"
    netns.ip(["link set br0 type bridge mcast_snooping 1 mcast_querier 1"], lan)
    owner, group = scene.programs.owner("web"), solicited_node(scene.v6)
    try:
        wanted = f"port {scene.lab.node(owner).link} grp {group} "
        until(lambda: wanted in groups_of_the_bridge(lan), "the bridge knows the owner", 15)
        assert groups_of_the_bridge(lan).count(f"grp {group} ") == 1
        scene.lab.client().run(["ip", "neigh", "flush", "all"])
        assert "saw" in scene.page(scene.v6)
    finally:
        netns.ip(["link set br0 type bridge mcast_querier 0"], lan)


def groups_of_the_bridge(namespace: str) -> str:
    command = ["ip", "netns", "exec", namespace, "bridge", "mdb", "show"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_host_that_takes_the_address_finds_the_duplicate(scene: Scene) -> None:
    client = scene.lab.client()
    client.run(["ip", "-6", "addr", "add", f"{scene.v6}/128", "dev", "eth0"])

    def shown() -> str:
        return client.run(["ip", "-6", "addr", "show", "dev", "eth0", "to", scene.v6]).stdout

    try:
        until(lambda: "tentative" not in shown() or "dadfailed" in shown(), "the kernel decided", 5)
        assert "dadfailed" in shown()
    finally:
        client.run(["ip", "-6", "addr", "del", f"{scene.v6}/128", "dev", "eth0"])


def test_an_interface_that_comes_later_is_answered_on(scene: Scene) -> None:
    owner, client = scene.lab.node(scene.programs.owner("web")), scene.lab.client()
    create = ["ip", "link", "add", "late0", "type", "veth", "peer", "name", "late1"]
    owner.run([*create, "netns", client.namespace])
    try:
        client.run(["ip", "link", "set", "late1", "up"])
        owner.run(["ip", "link", "set", "late0", "up"])
        # in the address's subnet, as the interfaces that answer for it are
        own = ipaddress.ip_network(f"{scene.v6}/64", strict=False)[0xBEE]
        within = [f"{own}/64", "dev", "late0", "nodad", "noprefixroute"]
        owner.run(["ip", "-6", "addr", "add", *within])
        group = solicited_node(scene.v6)
        until(lambda: group in scene.groups(owner.name, "late0"), "it has joined", 5)
        until(lambda: ndisc6(scene, scene.v6, "late1") != "", "it answers", 5)
        mac = owner.run(["cat", "/sys/class/net/late0/address"]).stdout.strip()
        assert ndisc6(scene, scene.v6, "late1") == mac
    finally:
        owner.run(["ip", "link", "del", "late0"])


def test_a_node_dies_and_the_clients_neighbour_cache_follows(scene: Scene) -> None:
    probers = [Prober(scene.lab.client(), address) for address in (scene.v4, scene.v6)]
    for prober in probers:
        until(lambda p=prober: any(item.ok for item in p.attempts()), "the client connects")
    for _ in range(RUNS):
        dead = scene.programs.owner("web")
        scene.leave_out(dead)
        fault = scene.lab.kill_node(dead)
        time.sleep(2.0)
        took = [outage(prober.attempts(), fault) for prober in probers]
        print(f"{dead} died: IPv4 {took[0]:.3f} s, IPv6 {took[1]:.3f} s")
        assert all(0.0 < item <= 1.0 for item in took)
        heir = scene.programs.owner("web")
        assert heir != dead
        assert scene.neighbour_owner() == heir
        with scene.lab.sniff_answers() as capture:
            scene.return_of(dead)
            time.sleep(2.0)
            scene.lab.client().run(["ip", "neigh", "flush", "all"])
            assert "saw" in scene.page(scene.v6)
        assert {scene.lab.name_of(mac) for mac in capture.answerers(scene.v6)} == {heir}
        assert scene.programs.owner("web") == heir
        scene.endpoints(scene.lab.node_names)
    for prober in probers:
        prober.stop()


def test_the_new_owners_kernel_sends_nobody_back_to_the_dead(scene: Scene) -> None:
    """It forwards what kube-proxy does not know, and says to which MAC: it may know the old one."""
    client, dead = scene.lab.client(), scene.programs.owner("web")
    old = ["lladdr", scene.lab.node(dead).mac, "dev", "eth0", "nud", "stale"]
    for node in scene.lab.node_names:
        if node != dead:
            scene.lab.node(node).run(["ip", "-6", "neigh", "replace", scene.v6, *old])
    assert "saw" in scene.page(scene.v6)
    scene.leave_out(dead)
    scene.lab.kill_node(dead)
    until(lambda: scene.neighbour_owner() not in ("", dead), "the client knows the new owner")
    heir = scene.neighbour_owner()
    time.sleep(REPEATS[-1] + 0.5)  # until the last announcement: each of them would put it right
    script = "import socket,sys; socket.create_connection((sys.argv[1], 9), 2.5)"
    client.run([sys.executable, "-c", script, scene.v6], check=False)  # it sends again after 1 s
    try:
        assert scene.neighbour_owner() == heir
        assert "saw" in scene.page(scene.v6)
    finally:
        scene.return_of(dead)
        scene.endpoints(scene.lab.node_names)
