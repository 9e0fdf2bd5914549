"""Layer 2 on real networks: our programs as plain processes, the LAN watched by a sniffer."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from lab.bare import Bare
from lab.fixtures import require
from lab.prober import Prober, outage
from lab.programs import NAMESPACE
from lab.scene import Plain
from lab.waiting import until

pytestmark = pytest.mark.lab

RUNS = 3  # node deaths; the benchmark in docs/measurements.md has ten


class Scene(Plain):
    """With nodes that come back."""

    def return_of(self, node: str) -> float:
        """Boots a node and starts its programs; waits until it takes part again.

        The moment at which its speaker began (what the link's coming up costs is not its doing).
        """
        self.lab.boot_node(node)
        time.sleep(0.5)
        began = time.monotonic()
        self.launch(node)
        self.programs.web(node)
        self.wait_settled(node)
        return began


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    with Bare(nodes=3, clients=1) as lab:
        yield Scene(lab)


@pytest.fixture(autouse=True)
def _whole(scene: Scene) -> Iterator[None]:
    """What a failed test cut must not fail the next one."""
    yield
    scene.lab.heal()


def test_a_client_reaches_the_service_and_one_node_answers_arp(scene: Scene) -> None:
    with scene.lab.sniff_arp() as capture:
        scene.lab.client().run(["arping", "-I", "eth0", "-c", "3", scene.address], check=False)
        page = scene.lab.client().run(["curl", "-s", "-m", "5", f"http://{scene.address}"]).stdout
    assert "saw" in page
    owner = scene.programs.owner("web")
    answerers = {scene.lab.name_of(mac) for mac in capture.answerers(scene.address)}
    assert answerers == {owner}


def test_a_status_that_somebody_deletes_comes_back(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    name = scene.lab.kubectl("get", "servicel2statuses", "-n", NAMESPACE, "-o", "name").stdout
    scene.lab.kubectl("delete", "-n", NAMESPACE, *name.split())
    until(lambda: scene.programs.owners("web") == [owner], "the status is back")


def test_describe_tells_who_announces(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    message = scene.programs.wait_event("Service", "web", "nodeAssigned")
    assert message == f'announcing from node "{owner}" with protocol "layer2"'
    text = scene.lab.kubectl("describe", "service", "web").stdout
    assert f"LoadBalancer Ingress:     {scene.address} (VIP)" in text
    assert "ip-allocated-from-pool: lan" in text
    assert "metallb-speaker" in text


def test_a_node_dies_others_answer_and_it_takes_nothing_when_it_returns(scene: Scene) -> None:
    prober = Prober(scene.lab.client(), scene.address)
    until(lambda: any(item.ok for item in prober.attempts()), "the client connects")
    for _ in range(RUNS):
        dead = scene.programs.owner("web")
        scene.programs.leave_out("web", dead)
        with scene.lab.sniff_arp() as capture:
            fault = scene.lab.kill_node(dead)
            time.sleep(2.0)
            took = outage(prober.attempts(), fault)
            assert 0.0 < took <= 1.0, f"{dead} died: outage {took:.3f} s"
            heir = scene.programs.owner("web")
            assert heir != dead
            back = time.monotonic()
            began = scene.return_of(dead)
            time.sleep(2.0)
            after = {scene.lab.name_of(m) for m in capture.answerers(scene.address, since=back)}
        assert after <= {heir}
        assert capture.contested(scene.address, since=fault) <= 0.1
        assert all(item.ok for item in prober.attempts(since=began))
        assert scene.programs.owner("web") == heir
        scene.programs.endpoints("web", scene.lab.node_names)
    prober.stop()


def test_a_speaker_that_is_told_to_end_hands_over_without_a_lost_connection(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    prober = Prober(scene.lab.client(), scene.address)
    until(lambda: len(prober.attempts()) > 20, "the client connects")
    began = time.monotonic()
    with scene.lab.sniff_arp() as capture:
        scene.running[owner].terminate()
        assert scene.running[owner].wait() == 0
        time.sleep(1.0)
        heir = scene.programs.owner("web")
        scene.running[owner] = scene.programs.speaker(owner)
        time.sleep(2.5)
    assert heir != owner
    assert scene.programs.owner("web") == heir
    assert [item for item in prober.attempts(since=began) if not item.ok] == []
    assert capture.contested(scene.address, since=began) <= 0.1
    prober.stop()


def test_a_speaker_that_crashes_is_replaced_though_its_node_lives(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    scene.running[owner].kill()
    scene.running[owner].wait()
    until(lambda: scene.programs.owner("web") != owner, "another node owns the address", 5)
    heir = scene.programs.owner("web")
    scene.start_speaker(owner)
    time.sleep(1.5)
    assert scene.programs.owner("web") == heir


def test_a_node_dies_while_the_api_is_away(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    scene.programs.leave_out("web", owner)
    prober = Prober(scene.lab.client(), scene.address)
    until(lambda: len(prober.attempts()) > 20, "the client connects")
    scene.lab.api_down()
    fault = scene.lab.kill_node(owner)
    time.sleep(2.0)
    took = outage(prober.attempts(), fault)
    prober.stop()
    scene.lab.api_up()
    assert 0.0 < took <= 1.0
    until(lambda: scene.programs.owner("web") != owner, "the new owner is shown", 20)
    scene.return_of(owner)
    scene.programs.endpoints("web", scene.lab.node_names)


def test_a_speaker_starts_from_its_file_while_the_api_is_away(scene: Scene) -> None:
    scene.lab.api_down()
    for node in scene.lab.node_names:
        scene.running[node].kill()
        scene.running[node].wait()
    for node in scene.lab.node_names:
        scene.running[node] = scene.programs.speaker(node)
    prober = Prober(scene.lab.client(), scene.address, interval=0.05)
    until(lambda: any(item.ok for item in prober.attempts()), "the client connects", 15)
    prober.stop()
    scene.lab.api_up()
    until(lambda: scene.programs.owner("web"), "an owner is shown", 20)


def test_rubbish_on_the_wire_stops_nothing(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    dice = random.Random(7)
    client = scene.lab.client()
    mac = bytes.fromhex(scene.lab.node(owner).mac.replace(":", ""))
    with client.socket(17, 3) as raw:  # AF_PACKET, SOCK_RAW
        raw.bind(("eth0", 0))
        for _ in range(500):
            length = dice.randrange(0, 60)
            destination = dice.choice([mac, b"\xff" * 6, bytes.fromhex("333300000001")])
            kind = dice.choice([b"\x08\x06", b"\x86\xdd"])
            raw.send(destination + bytes(6) + kind + os.urandom(length))
    page = client.run(["curl", "-s", "-m", "5", f"http://{scene.address}"]).stdout
    assert "saw" in page
    assert all(process.alive for process in scene.running.values())


def test_rubbish_in_a_slice_is_reported_and_hides_nothing(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    slice_ = {
        "apiVersion": "bellmetal.io/v1alpha1",
        "kind": "AnnouncementSlice",
        "metadata": {"name": "rubbish", "namespace": NAMESPACE},
        "spec": {
            "version": 1,
            "announcements": [
                {"address": "not an address", "term": 1, "owner": owner, "nodeSet": "all"}
            ],
        },
    }
    scene.lab.apply(slice_)
    wanted = 'AnnouncementSlice/rubbish spec.announcements[0]: \\"not an address\\" is not an IP'
    until(lambda: wanted in scene.running[owner].log(), "the speaker says what is wrong")
    assert "saw" in scene.lab.client().run(["curl", "-s", "-m", "5", scene.address]).stdout
    scene.lab.kubectl("delete", "announcementslice", "rubbish", "-n", NAMESPACE)


def test_a_cut_off_owner_gives_up_to_the_majority_when_it_is_back(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    until(lambda: scene.programs.named_owner() == owner, "the controller has named the owner")
    scene.lab.partition({owner}, {*scene.others(owner), "c1"})
    # Firm, not only provisional: the controller has named the other half's owner.
    until(lambda: scene.programs.named_owner() != owner, "another node is named owner")
    heir = scene.programs.named_owner()
    time.sleep(1.0)
    with scene.lab.sniff_arp() as capture:
        healed = time.monotonic()
        scene.lab.heal()
        prober = Prober(scene.lab.client(), scene.address)
        time.sleep(3.0)
        late = capture.answerers(scene.address, since=healed + 0.5)
    assert {scene.lab.name_of(mac) for mac in late} <= {heir}
    assert all(item.ok for item in prober.attempts(since=healed + 0.5))
    prober.stop()
    until(lambda: scene.programs.owners("web") == [heir], "ServiceL2Status names the heir alone")
