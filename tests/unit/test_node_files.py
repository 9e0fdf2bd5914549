"""What /proc and /sys say of a node: links by their shapes, settings as they work, IPVS."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bellmetal.node_files import MOST_LINKS, NodeFiles
from bellmetal.sights import NodeLink
from node_tree import GOOD, MASTER, NO_ARP, PROMISCUOUS, UP, Tree

Build = Callable[[Tree], None]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def network_card(tree: Tree) -> None:
    tree.link("eth0")
    tree.driver("eth0", "e1000e")


def virtual_machines(tree: Tree) -> None:
    tree.link("eth0")
    tree.driver("eth0", "virtio_net")


def wireless(tree: Tree) -> None:
    tree.link("eth0", "wireless", "phy80211", type_name="wlan")
    tree.driver("eth0", "brcmfmac")


def veth(tree: Tree) -> None:
    tree.link("eth0", peer=77)
    tree.route("eth0")


KINDS: list[tuple[str, Build]] = [
    ("", network_card),
    ("virtio", virtual_machines),
    ("wireless", wireless),
    ("bridge", lambda tree: tree.link("eth0", "bridge", "brif", type_name="bridge")),
    ("bridge", lambda tree: tree.link("eth0", "bridge", "brif")),
    ("bond", lambda tree: tree.link("eth0", "bonding", flags=GOOD | MASTER, type_name="bond")),
    ("vlan", lambda tree: tree.link("eth0", "lower_eno1", type_name="vlan", peer=2)),
    ("macvlan", lambda tree: tree.link("eth0", "lower_eno1", type_name="macvlan", peer=2)),
    ("ipvlan", lambda tree: tree.link("eth0", type_name="ipvlan", peer=2)),
    ("veth", veth),
    ("tunnel", lambda tree: tree.link("eth0", kind_number=65534, flags=UP | NO_ARP)),  # wireguard
    ("tunnel", lambda tree: tree.link("eth0", kind_number=768, flags=UP | NO_ARP)),  # tunl0
    ("tunnel", lambda tree: tree.link("eth0", type_name="vxlan")),  # flannel.1
    ("tunnel", lambda tree: tree.link("eth0", "tun_flags", kind_number=65534)),
    ("tap", lambda tree: tree.link("eth0", "tun_flags")),
    ("vrf", lambda tree: tree.link("eth0", flags=UP | NO_ARP | MASTER)),
    ("dummy", lambda tree: tree.link("eth0", flags=UP | NO_ARP)),
]


@pytest.mark.parametrize(("kind", "build"), KINDS)
def test_a_link_is_known_by_its_shape(tree: Tree, kind: str, build: Build) -> None:
    build(tree)
    (found,) = tree.files.links()
    assert (found.name, found.kind) == ("eth0", kind)


def test_a_kind_of_link_that_nobody_knows_yet_is_nothing_special(tree: Tree) -> None:
    tree.link("eth0", type_name="hsr")
    tree.route("eth0")
    assert [item.kind for item in tree.files.links()] == [""]


def test_up_is_with_a_carrier(tree: Tree) -> None:
    tree.link("a")
    tree.link("b", carrier="0\n")
    tree.link("c", flags=GOOD & ~UP, carrier="")
    for name in ("a", "b", "c"):
        tree.driver(name, "e1000e")
    assert {item.name: item.up for item in tree.files.links()} == {
        "a": True,
        "b": False,
        "c": False,
    }


def test_promiscuous(tree: Tree) -> None:
    tree.link("eth0", flags=GOOD | PROMISCUOUS)
    tree.route("eth0")
    assert [item.promiscuous for item in tree.files.links()] == [True]


@pytest.mark.parametrize(
    ("of_all", "own", "works"), [(0, 0, 0), (1, 0, 1), (0, 2, 2), (2, 1, 2), (1, 2, 2)]
)
def test_settings_are_those_that_work(tree: Tree, of_all: int, own: int, works: int) -> None:
    tree.link("eth0")
    tree.route("eth0")
    tree.settings("all", rp_filter=of_all, arp_ignore=of_all, arp_filter=min(of_all, 1))
    tree.settings("eth0", rp_filter=own, arp_ignore=own)
    (found,) = tree.files.links()
    assert (found.rp_filter, found.arp_ignore) == (works, works)
    assert found.arp_filter is bool(of_all)


def test_the_links_of_pods_are_left_out(tree: Tree) -> None:
    """Calico routes to a pod by its veth; flannel's veths are in a bridge. The first one has the
    same number at both ends."""
    tree.link("cali1", peer=3)
    tree.route("cali1", "0100F40A", "FFFFFFFF")
    tree.address6("cali1", "fe80" + "0" * 28, scope="20")
    tree.link("vethabc", peer=4)
    assert tree.files.links() == ()


def test_a_veth_that_a_network_is_on_is_no_pods(tree: Tree) -> None:
    tree.link("v4", peer=3)
    tree.route("v4")
    tree.link("v6", peer=4)
    tree.address6("v6", "20010db8" + "0" * 24)
    assert [item.name for item in tree.files.links()] == ["v4", "v6"]


def test_excluded_links_are_left_out_but_for_that_of_ipvs(tree: Tree) -> None:
    for name in ("eth0", "docker0", "kube-ipvs0"):
        tree.link(name, flags=GOOD | NO_ARP)
    files = replace(tree.files, exclude=re.compile("(^docker.*)|(^kube-ipvs.*)"))
    found = {item.name: item.kind for item in files.links()}
    assert found == {"eth0": "dummy", "kube-ipvs0": "ipvs"}


def test_of_very_many_links_the_first_are_told(tree: Tree) -> None:
    for number in range(MOST_LINKS + 5):
        tree.link(f"vlan{number}", type_name="vlan")
    assert len(tree.files.links()) == MOST_LINKS


def test_ipvs_is_known_by_its_interface(tree: Tree) -> None:
    assert not tree.files.has_ipvs()
    tree.link("kube-ipvs0", flags=BROADCAST_NO_ARP)
    tree.address6("kube-ipvs0", "20010db8" + "0" * 23 + "1")
    tree.address6("kube-ipvs0", "20010db8" + "0" * 23 + "2")
    tree.address6("eth0", "20010db8" + "0" * 23 + "3")
    tree.address6("kube-ipvs0", "fe80" + "0" * 27 + "1", scope="20")
    assert tree.files.has_ipvs()
    assert tree.files.ipvs_addresses6() == 2


BROADCAST_NO_ARP = 0x82


def test_where_nothing_can_be_read_nothing_is_said(tmp_path: Path) -> None:
    files = NodeFiles(tmp_path / "proc", tmp_path / "sys")
    assert (files.kernel(), files.links(), files.has_ipvs(), files.forwards()) == (
        "",
        (),
        False,
        False,
    )
    assert files.link("eth0") is None


def test_odd_text_is_no_number(tree: Tree) -> None:
    tree.link("eth0")
    tree.write(
        "sys/class/net/eth0/flags", "\udcff".encode("utf-8", "surrogateescape").decode("latin1")
    )
    tree.write("proc/sys/net/ipv4/conf/eth0/rp_filter", "many\n")
    assert tree.files.link("eth0") == NodeLink("eth0")


def test_this_machine_can_be_read() -> None:
    files = NodeFiles()
    assert files.kernel()
    assert all(item.name != "lo" for item in files.links())
    assert files.link("lo") is not None
