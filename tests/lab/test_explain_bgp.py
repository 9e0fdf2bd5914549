"""What is broken between nodes and routers is named rightly: each row breaks something real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.asked import Asked
from lab.bgp_cluster import THEIRS, BGPCluster
from lab.fixtures import require
from lab.programs import BELLMETAL, NAMESPACE
from lab.routers.frr import FRR
from lab.waiting import until

pytestmark = pytest.mark.lab

ALL = ("n1", "n2")


class Scene:
    """Two nodes, FRR behind them, a Service that is well."""

    def __init__(self, it: BGPCluster) -> None:
        self.it, self.asked = it, Asked(it.lab)
        it.established()
        for node in ALL:
            it.programs.web(node)
        it.wait_next_hops(it.service("web"), *ALL)
        self.wait(None)

    def wait(self, code: str | None) -> dict[str, Any]:
        return self.asked.wait_code("web", code, timeout=60)

    def notes(self) -> list[str]:
        """The codes of what is worth a note, while nothing is wrong."""
        found = self.asked.explain("web")
        assert found["ok"], found["cause"]
        return [link["cause"]["code"] for link in found["links"] if link["state"] == "note"]

    def peer_again(self) -> None:
        self.it.peer(**PEER)


PEER: dict[str, Any] = {"holdTime": "9s", "connectTime": "1s"}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    with BGPCluster(FRR, nodes=2, peer=PEER) as it:
        yield Scene(it)


def test_a_service_that_is_well_names_the_peers_that_were_told(scene: Scene) -> None:
    found = scene.wait(None)
    said = {link["link"]: link["saw"] for link in found["links"]}
    assert said["sessions"].endswith("was sent to r1 by n1, n2")


WRONG: dict[str, dict[str, Any]] = {
    "WrongASN": {"peerASN": THEIRS + 1},
    "ConnectionRefused": {"peerPort": 1790},
    "SourceAddressMissing": {"sourceAddress": "192.0.2.99"},
    "VRFMissing": {"vrf": "red"},
}


@pytest.mark.parametrize("code", WRONG)
def test_a_peer_that_is_wrong(scene: Scene, code: str) -> None:
    scene.it.peer(**PEER | WRONG[code])
    try:
        cause = scene.wait(code)["cause"]
        assert "BGPPeer/r1" in cause["edit"]
        status, found = scene.asked.ask("peer", "r1")
        assert status == 3
        assert found["cause"]["code"] == code
    finally:
        scene.it.lab.kubectl("delete", "bgppeer", "r1", "-n", NAMESPACE)
        scene.peer_again()
    scene.wait(None)


def test_a_router_that_is_gone(scene: Scene) -> None:
    scene.it.router.stop()
    try:
        assert scene.wait("ConnectionRefused")["cause"]["router"]
    finally:
        scene.it.router.start()
    scene.wait(None)


def test_an_advertisement_for_other_peers_only(scene: Scene) -> None:
    scene.it.advertise(peers=["nobody"])
    try:
        scene.wait("noPeers")
    finally:
        scene.it.advertise(peers=["r1"])
    scene.wait(None)


def test_an_advertisement_that_means_nothing_is_a_note(scene: Scene) -> None:
    scene.it.advertise(name="other", localPref=200)
    try:
        until(lambda: scene.notes() == ["InvalidConfiguration"], "a note", 30, every=0.5)
    finally:
        scene.it.lab.kubectl("delete", "bgpadvertisement", "other", "-n", NAMESPACE)
    until(lambda: scene.notes() == [], "no note", 30, every=0.5)


def test_no_peer_at_all(scene: Scene) -> None:
    scene.it.lab.kubectl("delete", "bgppeer", "r1", "-n", NAMESPACE)
    try:
        scene.wait("noPeers")
    finally:
        scene.peer_again()
    scene.wait(None)


def test_one_node_without_a_speaker_is_a_note(scene: Scene) -> None:
    scene.it.running["n2"].kill()
    try:
        scene.it.wait_next_hops(scene.it.programs.address("web"), "n1", timeout=30)
        report = f"speakerreport/n2 -n {NAMESPACE}".split()
        scene.it.lab.kubectl("delete", *report)  # as a controller does when a node leaves
        until(lambda: scene.notes() == ["SpeakerSilent"], "a note on n2", 30, every=0.5)
    finally:
        scene.it.speaker("n2")
    scene.wait(None)


def test_what_the_loss_of_a_node_would_do_is_foreseen(scene: Scene) -> None:
    env = {"KUBECONFIG": str(scene.it.lab.kubeconfig())}
    argv = [*BELLMETAL, "plan", "--namespace", NAMESPACE, "--output", "json"]
    host = scene.it.lab.control_plane_host
    one = host.run([*argv, "--lose", "n1"], check=False, env=env)
    both = host.run([*argv, "--lose", "n1", "--lose", "n2"], check=False, env=env)
    assert (one.returncode, both.returncode) == (0, 3)
    (change,) = json.loads(one.stdout)["changes"]
    assert (change["now"]["routedBy"], change["then"]["routedBy"]) == (["n1", "n2"], ["n2"])
