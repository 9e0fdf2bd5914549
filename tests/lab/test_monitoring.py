"""A real Prometheus over a bare lab: it scrapes, its rules fire when they must, dashboards show."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.bgp_cluster import BGPCluster
from lab.fixtures import require
from lab.processes import Process
from lab.programs import NAMESPACE
from lab.prometheus import Json, Prometheus
from lab.routers.frr import FRR
from lab.routers.router import Bfd
from lab.waiting import until
from metric_names import ALL, DASHBOARD_20162
from prometheus_rules import DASHBOARDS, chosen, queries, rules

pytestmark = pytest.mark.lab

ALL_NODES = ("n1", "n2", "n3")
PORT, WARM = 9120, 9122  # of the controller that leads and of the one that does not
# Panels that have nothing to show while all is well, or while nobody asks.
EMPTY = {
    *("Refused, by reason", "Not announced, by reason", "Moves"),
    *("Addresses with more than one owner", "Frames not believed", "Held by a foreign device"),
    *("Not seen on the LAN", "Looks at other nodes' addresses", "Findings"),
}


class Scene:
    """The cluster with an address on layer 2 and one by BGP, and Prometheus over it."""

    def __init__(self, it: BGPCluster) -> None:
        self.it, self.lab, self.programs = it, it.lab, it.programs
        self.programs.pool("lan", f"{self.lab.address(255, 200)}/32", autoAssign=False)
        self.programs.advertise("lan", ipAddressPools=["lan"])
        self.programs.controller("controller-2", f"--port={WARM}")
        plane = self.lab.control_plane_host
        targets = {"controller-1": f"127.0.0.1:{PORT}", "controller-2": f"127.0.0.1:{WARM}"}
        targets |= {name: f"{self.lab.node(name).address}:9120" for name in ALL_NODES}
        self.prometheus = Prometheus(plane, targets, rules())
        it.established()
        self.lan("first")
        it.service("web")
        it.wait_next_hops(self.programs.address("web"), *ALL_NODES)
        self.prometheus.start()

    def lan(self, name: str) -> None:
        """A Service that asks for the one address of the pool "lan"."""
        self.programs.service(name, ALL_NODES, {"metallb.io/address-pool": "lan"})

    def fires(self, alert: str, timeout: float = 30) -> list[Json]:
        """Until an alert fires; all of its name."""
        found = until(
            lambda: self.prometheus.alerts().get(alert), f"{alert} fires", timeout, every=0.5
        )
        return list(found)

    def quiet(self, *alerts: str, timeout: float = 30) -> None:
        """Until none of these fires."""
        until(
            lambda: not self.prometheus.alerts().keys() & set(alerts),
            f"{alerts} are over",
            timeout,
            every=0.5,
        )


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    fast = {"transmitInterval": 100, "receiveInterval": 100, "detectMultiplier": 3}
    peer = {"holdTime": "9s", "bfdProfile": "fast"}
    flags = [f"--port={PORT}"]
    with BGPCluster(FRR, neighbor={"bfd": Bfd(100, 3)}, peer=peer, controller=flags) as cluster:
        cluster.object("BFDProfile", "fast", fast)
        yield Scene(cluster)


def names_of(found: list[Json]) -> set[str]:
    """The instances that series or alerts are of."""
    return {item.get("labels", item.get("metric"))["instance"] for item in found}


# --- at rest --------------------------------------------------------------------------------------


def test_every_target_is_scraped_and_shows_what_it_is_said_to(scene: Scene) -> None:
    ask = scene.prometheus.query
    until(lambda: len(ask("up == 1")) == 5, "five targets are up", every=0.5)
    until(lambda: ask("metallb_bfd_session_up == 1"), "BFD is up", every=0.5)
    shown = ask('group by (__name__) ({__name__=~"(metallb|bellmetal|process)_.+"})')
    names = {item["metric"]["__name__"] for item in shown}
    here = {name for name in ALL if not re.match("bellmetal_(layer2|speaker_findings)", name)}
    assert here - names == set()
    assert names - ALL.keys() == set()
    assert names >= DASHBOARD_20162
    assert names_of(ask("metallb_layer2_gratuitous_sent")) == set(ALL_NODES)
    assert names_of(ask("metallb_allocator_addresses_in_use_total")) == {"controller-1"}


def test_at_rest_rules_are_sound_and_what_fires_is_true(scene: Scene) -> None:
    until(lambda: not scene.prometheus.unhealthy(), "every rule was evaluated", every=0.5)
    full = {
        "MetalLBAddressPoolExhausted",
        *(f"MetalLBAddressPoolUsage{n}Percent" for n in (75, 85, 95)),
    }
    until(lambda: scene.prometheus.alerts().keys() == full, "one pool is full, no more", every=0.5)
    time.sleep(3)  # no other comes
    assert scene.prometheus.alerts().keys() == full


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_something_to_show(scene: Scene, path: Path) -> None:
    until(lambda: scene.prometheus.query("rate(metallb_bgp_keepalives_sent[10s]) > 0"), "a rate")
    empty = set()
    for title, targets in queries(path).items():
        found = [scene.prometheus.query(chosen(target["expr"], "10s")) for target in targets]
        if not any(found):
            empty.add(title)
    assert empty <= EMPTY


def test_at_rest_nobody_logs_anything(scene: Scene) -> None:
    def lines() -> dict[str, int]:
        return {name: len(one.log().splitlines()) for name, one in scene.it.running.items()}

    before = until(lambda: lines() if _same_for(3, lines) else None, "the logs are still")
    time.sleep(10)
    assert lines() == before


def _same_for(seconds: float, look: Callable[[], object]) -> bool:
    before = look()
    time.sleep(seconds)
    return look() == before


# --- what goes wrong ------------------------------------------------------------------------------


def test_an_exhausted_pool(scene: Scene) -> None:
    (alert,) = scene.fires("MetalLBAddressPoolExhausted")
    assert alert["labels"]["pool"] == "lan"
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"] == "The pool lan has no address left."
    scene.lan("second")
    (refused,) = scene.fires("BellmetalServicesRefused")
    said = "1 Services do not get the address that they ask for (NoAddressLeft)."
    assert refused["annotations"]["summary"] == said
    scene.lab.kubectl("delete", "service", "second")
    scene.quiet("BellmetalServicesRefused")


def test_an_invalid_object(scene: Scene) -> None:
    scene.programs.pool("wrong", "198.51.100.0/25")  # overlaps with main
    assert names_of(scene.fires("MetalLBStaleConfig")) == {"controller-1"}
    scene.lab.kubectl("delete", "ipaddresspool", "wrong", "-n", NAMESPACE)
    scene.quiet("MetalLBStaleConfig")


def test_a_router_that_is_gone(scene: Scene) -> None:
    scene.it.router.kill()
    until(
        lambda: names_of(scene.fires("MetalLBBGPSessionDown")) == set(ALL_NODES),
        "an alert for each node",
        every=0.5,
    )
    (alert, *_) = scene.fires("MetalLBBGPSessionDown")
    assert alert["labels"]["peer"] == f"{scene.it.host.address}:179"
    assert names_of(scene.fires("BellmetalBFDSessionDown")) == set(ALL_NODES)
    scene.it.router.start()
    scene.quiet("MetalLBBGPSessionDown", "BellmetalBFDSessionDown")


def test_a_speaker_that_is_gone(scene: Scene) -> None:
    speaker: Process = scene.it.running["n3"]
    speaker.kill()
    (silent,) = scene.fires("BellmetalSpeakerSilent")
    assert silent["annotations"]["summary"] == "1 of the speakers are silent."
    assert names_of(scene.fires("BellmetalTargetDown")) == {"n3"}
    scene.it.speaker("n3")
    scene.quiet("BellmetalSpeakerSilent", "BellmetalTargetDown", "BellmetalMembersSplit")


def test_the_lead_passes_on_and_ends(scene: Scene) -> None:
    scene.it.running["controller-1"].terminate()
    scene.programs.wait_leading("controller-2")
    leading = "bellmetal_controller_leading == 1"
    until(
        lambda: names_of(scene.prometheus.query(leading)) == {"controller-2"},
        "it says so",
        every=0.5,
    )
    until(
        lambda: (
            names_of(scene.prometheus.query("metallb_allocator_addresses_total"))
            == {"controller-2"}
        ),
        "it alone speaks of pools",
        every=0.5,
    )
    scene.quiet("BellmetalNoLeader")
    scene.lab.control_plane_host.process("controller-2").terminate()
    (alert,) = scene.fires("BellmetalNoLeader")
    assert alert["annotations"]["summary"] == "No controller leads."
