"""BGP end to end: Services on a real API server, routes in a real router, a client behind it.

Where kube-proxy translates, the lab loses connections now and then, for some hundred milliseconds
and without any cause of ours: packets pass a node untranslated, go round until their TTL is used
up, and neither the API, nor a rule of nftables, nor a route has changed (tcpdump, nft monitor,
netlink). So here it is the routes that must not go; that no connection is lost is shown without
kube-proxy, in test_bgp_forwarding.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from lab.bgp_cluster import BGPCluster
from lab.fixtures import require
from lab.prober import Prober
from lab.programs import NAMESPACE
from lab.routers.bird import BIRD
from lab.routers.frr import FRR
from lab.routers.router import Bfd, Family, Restart, Way
from lab.waiting import until

pytestmark = pytest.mark.lab

DRAIN = "bellmetal.io/drain"
GRACEFUL_SHUTDOWN = "65535:0"
ALL = ("n1", "n2", "n3")


@pytest.fixture(scope="module")
def it() -> Iterator[BGPCluster]:
    require()
    peer = {"holdTime": "9s", "annotations": {"bellmetal.io/drain-time": "2s"}}
    with BGPCluster(FRR, peer=peer) as cluster:
        cluster.established()
        for node in ALL:
            cluster.programs.web(node)
        yield cluster


def ways(it: BGPCluster, address: str) -> dict[str, Way]:
    """What the router was told of an address, by node."""
    names = {it.lab.node(name).address: name for name in ALL}
    found = it.router.routes(Family.IPV4).get(f"{address}/32", ())
    return {names[way.peer]: way for way in found}


def fetch(it: BGPCluster, address: str) -> str:
    """What a client behind the router is answered."""
    command = ["curl", "-s", "-m", "2", f"http://{address}/"]
    return str(it.lab.host("o1").run(command, check=False).stdout)


def updates(it: BGPCluster) -> int:
    """How many UPDATEs the router was sent, by its own count."""
    told = it.router.bgpd.json("show bgp neighbors")  # type: ignore[attr-defined]
    return sum(one["messageStats"]["updatesRecv"] for one in told.values())


def same(ups: Mapping[str, float | None], before: Mapping[str, float | None]) -> bool:
    """Whether no session came up anew; FRR's seconds are rounded now this way, now that."""
    pairs = [(ups[node] or 0.0, before[node] or 0.0) for node in before if node in ups]
    return ups.keys() == before.keys() and all(abs(now - then) <= 1 for now, then in pairs)


def statuses(it: BGPCluster, plural: str) -> list[dict[str, Any]]:
    """Of all objects of a kind; one that has just been made has none yet."""
    flags = ["-n", NAMESPACE, "-o", "json"]
    items: list[dict[str, Any]] = json.loads(it.lab.kubectl("get", plural, *flags).stdout)["items"]
    return [item["status"] for item in items if "status" in item]


# --- a Service ------------------------------------------------------------------------------------


def test_a_client_reaches_a_service_through_all_nodes(it: BGPCluster) -> None:
    address = it.service("web")
    it.wait_next_hops(address, *ALL)
    assert {way.as_path for way in ways(it, address).values()} == {(64512,)}
    until(lambda: "saw" in fetch(it, address), "a client is answered")  # kube-proxy takes a second
    events = it.programs.events("Service", "web")
    for node in ALL:
        message = f'announcing from node "{node}" with protocol "bgp"'
        assert ("nodeAssigned", message) in events


def test_who_announces_it_is_shown(it: BGPCluster) -> None:
    it.service("shown")

    def rows() -> dict[str, list[str]]:
        found = statuses(it, "servicebgpstatuses")
        return {row["node"]: row["peers"] for row in found if row["serviceName"] == "shown"}

    until(lambda: rows() == {node: ["r1"] for node in ALL}, "a row for each node")
    it.lab.kubectl("delete", "service", "shown")
    until(lambda: rows() == {}, "no row is left")


def test_sessions_are_shown(it: BGPCluster) -> None:
    def states() -> dict[str, str]:
        found = statuses(it, "bgpsessionstatuses")
        return {row["node"]: row["state"] for row in found}

    until(lambda: states() == dict.fromkeys(ALL, "Established"), "three sessions, established")


def test_local_traffic_goes_to_nodes_with_endpoints_alone(it: BGPCluster) -> None:
    address = it.service("local", ["n2"], externalTrafficPolicy="Local")
    it.wait_next_hops(address, "n2")
    client = it.lab.host("o1").address
    until(lambda: fetch(it, address) == f"n2 saw {client}\n", "the pod on n2 sees the client")
    it.programs.endpoints("local", ["n1", "n3"])
    it.wait_next_hops(address, "n1", "n3")
    it.programs.endpoints("local", [])
    it.wait_next_hops(address)


def test_what_advertisements_say_is_told(it: BGPCluster) -> None:
    address = it.service("told")
    it.wait_next_hops(address, *ALL)
    special = {"bellmetal.io/med": "70", "bellmetal.io/as-path-prepend": "2"}
    it.advertise(annotations=special, communities=["65000:7", "large:1:2:3"], nodeSelectors=[])
    until(lambda: all(way.med == 70 for way in ways(it, address).values()), "the new MED")
    for way in ways(it, address).values():
        assert way.as_path == (64512, 64512, 64512)
        assert (way.communities, way.large) == ({"65000:7"}, {"1:2:3"})
    it.lab.kubectl("delete", "bgpadvertisement", "bgp", "-n", NAMESPACE)
    it.wait_next_hops(address)
    it.advertise()
    it.wait_next_hops(address, *ALL)


# --- changes --------------------------------------------------------------------------------------


def test_no_change_of_services_pools_and_nodes_touches_a_session(it: BGPCluster) -> None:
    first = it.service("still")
    it.wait_next_hops(first, *ALL)
    before = it.ups()
    assert set(before) == set(ALL)
    it.programs.pool("more", "203.0.113.0/28", autoAssign=False)
    for number in range(5):
        it.service(f"passing-{number}")
    it.lab.kubectl("label", "node", "n1", "rack=a")
    it.advertise("second", communities=["65000:9"], peers=["r1"])
    until(lambda: all(w.communities for w in ways(it, first).values()), "the second community")
    it.lab.kubectl("delete", "bgpadvertisement", "second", "-n", NAMESPACE)
    for number in range(5):
        it.lab.kubectl("delete", "service", f"passing-{number}")
    it.lab.kubectl("delete", "ipaddresspool", "more", "-n", NAMESPACE)
    until(lambda: not any(w.communities for w in ways(it, first).values()), "it is gone again")
    assert same(it.ups(), before)


def test_a_change_is_one_update_for_each_peer(it: BGPCluster) -> None:
    for number in range(3):
        it.service(f"quiet-{number}")
    time.sleep(1.0)
    before = updates(it)
    address = it.service("one-more")
    it.wait_next_hops(address, *ALL)
    time.sleep(0.5)
    assert updates(it) - before == len(ALL)
    it.lab.kubectl("delete", "service", "one-more")
    it.wait_next_hops(address)
    time.sleep(0.5)
    assert updates(it) - before == 2 * len(ALL)


def test_a_changed_peer_resets_its_own_sessions_alone(it: BGPCluster) -> None:
    """A second BGPPeer, to the same router's other address, is changed; the first stays up."""
    before = it.ups()
    it.peer("other", peerAddress="192.0.2.99", connectTime="3s")
    it.peer("other", peerAddress="192.0.2.98", connectTime="3s")
    it.peer("r1", {"bellmetal.io/drain-time": "3s"}, holdTime="9s", connectTime="5s")
    time.sleep(1.0)
    assert same(it.ups(), before)
    it.lab.kubectl("delete", "bgppeer", "other", "-n", NAMESPACE)


def test_a_drained_node_is_left_before_its_routes_are_withdrawn(it: BGPCluster) -> None:
    it.peer("r1", {"bellmetal.io/drain-time": "2s"}, holdTime="9s", connectTime="5s")
    address = it.service("drained")
    it.wait_next_hops(address, *ALL)
    it.lab.kubectl("annotate", "node", "n2", f"{DRAIN}=true")
    until(lambda: GRACEFUL_SHUTDOWN in ways(it, address)["n2"].communities, "n2's way says it", 5)
    assert set(ways(it, address)) == set(ALL)
    it.wait_next_hops(address, "n1", "n3", timeout=5)
    it.lab.kubectl("annotate", "node", "n2", f"{DRAIN}-")
    it.wait_next_hops(address, *ALL)
    assert GRACEFUL_SHUTDOWN not in ways(it, address)["n2"].communities


# --- without the API ------------------------------------------------------------------------------


def test_sessions_outlive_the_api_and_begin_without_it(it: BGPCluster) -> None:
    address = it.service("alone")
    it.wait_next_hops(address, *ALL)
    time.sleep(2.0)  # the state file is written at most once a second
    before = it.ups()
    it.lab.api_down()
    try:
        time.sleep(2.0)
        assert same(it.ups(), before)
        it.running["n1"].kill()
        it.running["n1"].wait()
        it.wait_next_hops(address, "n2", "n3")
        it.speaker("n1")
        it.wait_next_hops(address, *ALL, timeout=20)
    finally:
        it.lab.api_up()


# --- nodes and speakers that go -------------------------------------------------------------------


@pytest.mark.parametrize("router", [FRR, BIRD])
def test_a_speaker_restarts_and_no_route_goes(router: Any) -> None:
    require()
    restart = {"restart": Restart(helper=True)}
    peer = {"enableGracefulRestart": True, "holdTime": "9s"}
    with BGPCluster(router, neighbor=restart, peer=peer) as it:
        it.established()
        for node in ALL:
            it.programs.web(node)
        address = it.service("web")
        it.wait_next_hops(address, *ALL)
        prober = Prober(it.lab.host("o1"), address)
        until(lambda: sum(a.ok for a in prober.attempts()) > 20, "the client connects")
        began = time.monotonic()
        with it.router.watch_kernel() as watch:
            for node in ALL:
                it.running[node].terminate()
                it.running[node].wait()
                time.sleep(0.3)
                up = it.ups().get(node)
                it.speaker(node)
                until(partial(_newer, it, node, up), f"the session with {node} is up again")
            time.sleep(1.0)
            changes = [change for change in watch.changes() if change.at >= began]
        told = [f"{c.at - began:.3f} s: {c.what} {c.prefix}" for c in changes]
        assert prober.refused(began) == [], "\n".join(told)
        assert [change for change in changes if change.what == "gone"] == []
        prober.stop()


def _newer(it: BGPCluster, node: str, before: float | None) -> bool:
    since = it.ups().get(node)
    return since is not None and (before is None or since > before + 1)


def test_a_dead_nodes_routes_are_gone_by_bfd() -> None:
    require()
    peer = {"bfdProfile": "fast"}
    with BGPCluster(FRR, neighbor={"bfd": Bfd(50, 3)}, peer=None) as it:
        profile = {"receiveInterval": 50, "transmitInterval": 50, "detectMultiplier": 3}
        it.object("BFDProfile", "fast", profile)
        it.peer(**peer)
        it.established()
        for node in ALL:
            it.programs.web(node)
        address = it.service("web")
        it.wait_next_hops(address, *ALL)
        until(lambda: sum(b.up for b in it.router.bfd().values()) == len(ALL), "BFD is up")
        it.lab.kill_node("n2")
        it.wait_next_hops(address, "n1", "n3", timeout=10)  # without BFD it would be 90 s
        it.lab.boot_node("n2")
        it.programs.web("n2")
        it.speaker("n2")
        it.wait_next_hops(address, *ALL, timeout=30)
