"""Intents that a person wrote: what may be left out, and what is wrong, by path."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from bellmetal.config import Community
from bellmetal.facts import ClaimOrder
from bellmetal.intents import Announcement, NodeSet
from bellmetal.intentsfile import THIS_NODE, IntentsError, doubts, intents_of, read_intents
from bellmetal.slices import SliceContents
from bellmetal.validation.bgp_annotations import WELL_KNOWN
from bgp_facts import prefix
from builders import addresses

PATH = Path("/etc/bellmetal/intents.yaml")
PEER = "peers: [{name: router, myASN: 64512, peerASN: 64513, address: 192.0.2.1"


def read(text: str) -> SliceContents:
    return intents_of(textwrap.dedent(text).encode(), PATH, "n1")


def wrong(text: str | bytes) -> list[str]:
    """What is wrong with it, without the file's path."""
    data = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
    with pytest.raises(IntentsError) as caught:
        intents_of(data, PATH, "n1")
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{PATH}: ") for line in lines)
    return [line.removeprefix(f"{PATH}: ") for line in lines]


# --- what may be left out ------------------------------------------------------------------------


def test_the_shortest_file_means_this_node() -> None:
    found = read("""
        peers:
        - name: router
          myASN: 64512
          peerASN: 64513
          address: 192.0.2.1
        routes:
        - prefix: 198.51.100.7/32
    """)
    assert found.node_sets == {THIS_NODE: NodeSet(THIS_NODE, {"n1": ""})}
    (peer,), (route,) = found.peers, found.routes
    assert (peer.name, peer.address, peer.port) == ("router", *addresses("192.0.2.1"), 179)
    assert (route.prefix, route.node_set) == (prefix("198.51.100.7/32"), THIS_NODE)


def test_an_address_on_layer_2_is_this_nodes_in_term_1() -> None:
    (address,) = addresses("192.0.2.10")
    assert read("announcements: [{address: 192.0.2.10}]").announcements == {
        address: Announcement(address, 1, "n1", THIS_NODE)
    }
    assert ClaimOrder(1, True, 0).term == 1


def test_sets_may_be_named() -> None:
    found = read("""
        nodeSets:
        - {name: rack, nodes: [{name: n1}, {name: n2}]}
        routes:
        - {prefix: 198.51.100.7/32, nodeSet: rack}
    """)
    assert list(found.node_sets) == ["rack"]


@pytest.mark.parametrize("text", ["", "---\n", "peers: []"])
def test_nothing_is_nothing(text: str) -> None:
    assert read(text) == SliceContents()


def test_what_yaml_would_make_a_number_of_stays_text() -> None:
    found = read("""
        routes:
        - {prefix: 198.51.100.7/32, communities: [64512:10, "large:1:2:3"], med: 0, localPref: 200}
    """)
    attributes = found.routes[0].attributes
    assert [str(item) for item in attributes.communities] == ["64512:10", "large:1:2:3"]
    assert (attributes.med, attributes.local_pref) == (0, 200)


@pytest.mark.parametrize(("name", "numbers"), WELL_KNOWN.items())
def test_well_known_communities_have_names(name: str, numbers: Community) -> None:
    found = read(f"routes: [{{prefix: 198.51.100.7/32, communities: [{name}, 64512:10]}}]")
    assert found.routes[0].attributes.communities == (numbers, Community((64512, 10)))


def test_a_slice_as_kubectl_prints_it() -> None:
    found = read("""
        apiVersion: bellmetal.io/v1alpha1
        kind: AnnouncementSlice
        metadata: {name: routes-0, uid: x}
        spec:
          version: 1
          nodeSets: [{name: all, nodes: [{name: n1}]}]
          routes: [{prefix: 198.51.100.7/32, nodeSet: all}]
    """)
    assert len(found.routes) == 1


# --- what does nothing ---------------------------------------------------------------------------

V6 = "2001:db8:100::7/128"
ROUTE = "routes: [{prefix: 2001:db8:100::7/128"
BOTH = "{name: both, myASN: 1, peerASN: 2, address: 192.0.2.2, dualStack: true}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            PEER + "}]\nroutes: [{prefix: 198.51.100.7/32}, {prefix: 2001:db8:100::7/128}]",
            [f"routes[1] {V6}: no peer takes IPv6 routes: dualStack: true of a peer"],
        ),
        (PEER + ", dualStack: true}]\n" + ROUTE + "}]", []),
        (PEER + "}, " + BOTH + "]\n" + ROUTE + "}]", []),
        (
            PEER + "}, " + BOTH + "]\n" + ROUTE + ", peers: [router]}]",
            [f"routes[0] {V6}: no peer of it takes IPv6 routes: dualStack: true of a peer"],
        ),
        (ROUTE + "}]", []),
    ],
    ids=["another family", "both families", "one of two", "not that one", "no peer at all"],
)
def test_a_route_that_no_peer_takes_is_doubted(text: str, said: list[str]) -> None:
    assert list(doubts(read(text))) == said


# --- what is wrong -------------------------------------------------------------------------------

WRONG = [
    ("a: b: c", "line 1, column 5: not YAML: "),
    (b"\xff\xfe\xfd", "not YAML"),
    ("[" * 5000, "nested deeper than 32 levels"),
    ("- a", "wants fields: peers, routes, announcements, nodeSets"),
    ("route: []", "route: unknown field; is routes meant?"),
    ("routes: [{prefx: 198.51.100.7/32}]", "routes[0].prefx: unknown field; is prefix meant?"),
    (PEER + ", holdtime: 9}]", "peers[0].holdtime: unknown field; is holdTime meant?"),
    (
        PEER + ", password: hunter2}]",
        "peers[0].password: unknown field; a password stands in a file of --bgp-password-dir,"
        " named like the peer",
    ),
    (
        PEER + ", bfd: {interval: 50}}]",
        "peers[0].bfd.interval: unknown field; is echoInterval meant?",
    ),
    (
        "routes: [{zzz: 1}]",
        "routes[0].zzz: unknown field; there are communities, localPref, med, nextHop, nodeSet,"
        " peers, prefix, prepend, services",
    ),
    ("routes: {}", "routes: expected array, got object"),
    ("routes: [198.51.100.7/32]", "routes[0]: expected object, got str"),
    (PEER + ", port: bgp}]", "peers[0].port: expected int, got str"),
    ("routes: [{prefix: 198.51.100.300/32}]", 'routes[0]: "198.51.100.300/32" is not a prefix'),
    (PEER + ", holdTime: 2}]", "peers[0]: holdTime 2 is neither 0 nor at least 3"),
    (
        "peers: [{name: router, myASN: 1, peerASN: 2}]",
        "peers[0]: not exactly one of address, interface and gateway is given",
    ),
    (
        "routes: [{prefix: 198.51.100.7/32, peers: [router]}]",
        "routes, 198.51.100.7/32: there is no peer router",
    ),
    (
        "routes: [{prefix: 198.51.100.7/32, nodeSet: rack}]",
        "routes, 198.51.100.7/32: there is no node set rack",
    ),
    (PEER + ", nodeSet: rack}]", "peers, router: there is no node set rack"),
    ("version: 9", "version: 9 is not understood (this release reads 1)"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_is_wrong_is_said_with_its_path(text: str | bytes, sentence: str) -> None:
    (said,) = wrong(text)
    assert said.startswith(sentence)
    assert "hunter2" not in said


def test_two_peers_of_one_name() -> None:
    entry = PEER.removeprefix("peers: [") + "}"
    assert wrong(f"peers: [{entry}, {entry}]") == ["peers: 2 are named router"]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert len(wrong("{routs: [], peeers: [], routes: [{a: 1}]}")) == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(IntentsError) as caught:
        read_intents(tmp_path / "lost.yaml", "n1")
    assert str(caught.value) == f"{tmp_path}/lost.yaml: No such file or directory"


@pytest.mark.parametrize("text", ["a: &a [*a]", "x: !!python/object:os.system {}"])
def test_tricks_of_yaml_are_refused_or_harmless(text: str) -> None:
    assert wrong(text)
