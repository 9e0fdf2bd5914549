"""Whoever is on the LAN without being a member, and a speaker that may not do its work.

Three nodes with speakers; c1 is the stranger, which records beacons and sends them again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from lab.bare import Bare
from lab.fixtures import require
from lab.prober import Prober, outage
from lab.programs import SECRET
from lab.scene import Plain
from lab.waiting import until

pytestmark = pytest.mark.lab

# Records the beacons of one MAC for two seconds, says so, and once the file of that name is there
# sends them again and again: as they were, or (every other one) with a bit changed.
REPLAY = """
import pathlib, socket, sys, time
mac, go = bytes.fromhex(sys.argv[1]), pathlib.Path(sys.argv[2])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD))
link.bind(("eth0", 0x86DD))
link.settimeout(0.1)
frames, end = [], time.monotonic() + 2
while time.monotonic() < end:
    try:
        frame = link.recv(2048)
    except TimeoutError:
        continue
    if frame[6:12] == mac and frame[:6] == bytes.fromhex("333300000001") and frame[20] == 17:
        frames.append(frame)
print("recorded", len(frames), flush=True)
while not go.exists():
    time.sleep(0.01)  # until the test has all in place
print("sending", flush=True)
for number in range(10**9):
    frame = frames[number % len(frames)]
    link.send(frame if number % 2 else frame[:-1] + bytes([frame[-1] ^ 1]))
    time.sleep(0.005)  # 200 a second: ten times what a node hears of its peers
"""
REPLAYED = 3.0  # seconds for which recordings are played


class Scene(Plain):
    """`c1` is nobody's."""

    def stop(self, node: str) -> None:
        """The speaker is killed, and gone."""
        self.running[node].kill()
        self.running[node].wait()

    def answering(self, seconds: float = 1.0) -> set[str]:
        """Who answers when the client asks for the address."""
        with self.lab.sniff_arp() as capture:
            count = str(max(1, int(seconds / 0.1)))
            asks = ["arping", "-I", "eth0", "-c", count, "-W", "0.1", self.address]
            self.lab.client("c2").run(asks, check=False)
            return {self.lab.name_of(mac) for mac in capture.answerers(self.address)}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    with Bare(nodes=3, clients=2) as lab:
        yield Scene(lab)


def test_recordings_keep_no_dead_node_alive(scene: Scene) -> None:
    """Of its beacons, as they were and with a bit changed: 200 a second, from its own address."""
    owner = scene.programs.owner("web")
    scene.programs.leave_out("web", owner)
    stranger = scene.lab.client("c1")
    go = stranger.dir / "go"
    mac = scene.lab.node(owner).mac.replace(":", "")
    replay = stranger.spawn([sys.executable, "-c", REPLAY, mac, go], log="replay")
    prober = Prober(scene.lab.client("c2"), scene.address)
    try:
        until(lambda: "recorded" in replay.log(), "beacons are recorded")
        assert int(replay.log().split()[1]) >= 10
        go.touch()
        until(lambda: "sending" in replay.log(), "they are sent again")
        killed = time.monotonic()
        scene.running[owner].signal(9)
        time.sleep(REPLAYED)  # what is judged is who answers all along
        took = outage(prober.attempts(), killed)
        print(f"outage while recordings were played: {took:.3f} s")
        assert 0.0 < took <= 1.0
        heirs = scene.answering()
        assert len(heirs) == 1
        assert heirs.isdisjoint({owner})
        heir = heirs.pop()
        assert "foreignBeacon" in scene.findings(heir), "what was forged is told"
    finally:
        prober.stop()
        replay.signal(9)
    scene.start_speaker(owner)
    scene.programs.endpoints("web", scene.lab.node_names)
    assert scene.answering() == {heir}


def test_a_speaker_with_another_key_takes_nothing_and_is_named(scene: Scene) -> None:
    owner = scene.programs.owner("web")
    odd = next(node for node in scene.lab.node_names if node != owner)
    witness = next(node for node in scene.lab.node_names if node not in (owner, odd))
    scene.stop(odd)
    scene.programs.secret(odd, "the key of another cluster")
    scene.launch(odd)
    until(lambda: "unknownKey" in scene.findings(witness), "the others name it")
    until(lambda: "unknownKey" in scene.findings(odd), "it names the others")
    assert f"a beacon of {odd} was refused" in scene.findings(witness)["unknownKey"]
    assert scene.answering(3.0) == {owner}
    assert SECRET not in scene.running[odd].log()
    scene.stop(odd)
    scene.programs.secret(odd, SECRET)
    scene.start_speaker(odd)
    until(lambda: "unknownKey" not in scene.findings(witness), "all is well again")
    assert scene.answering() == {owner}


def test_a_speaker_without_raw_frames_says_so_and_another_node_answers(scene: Scene) -> None:
    """The one capability that it has, taken away."""
    owner = scene.programs.owner("web")
    scene.stop(owner)
    scene.launch(owner, under=("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"))
    until(lambda: "interfaceFailed" in scene.findings(owner), f"{owner} says what it lacks")
    assert "Operation not permitted" in scene.findings(owner)["interfaceFailed"]
    assert scene.running[owner].alive
    heirs = scene.answering(2.0)
    assert len(heirs) == 1
    assert heirs.isdisjoint({owner})
    scene.stop(owner)
    scene.start_speaker(owner)
    until(lambda: "interfaceFailed" not in scene.findings(owner), "it can again")
    assert scene.answering() == heirs, "and takes nothing back"
