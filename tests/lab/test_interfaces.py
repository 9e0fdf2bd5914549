"""Links that come, go and change under a layer-2 announcer: what it says on which, and as whom.

On real links of a kernel, between two namespaces, without a cluster. What is said is counted on the
client's end of each link.
"""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bellmetal_layer2 import arp, ndp
from lab.fixtures import require
from lab.waiting import until
from lab.wire import LINK, Answerer, Ear, Wire

pytestmark = pytest.mark.lab

IP, IP6 = ipaddress.IPv4Address("10.76.9.1"), ipaddress.IPv6Address("2001:db8::10")
BOTH = ("--addresses", str(IP), "--addresses", str(IP6))
BURST = 5.0  # seconds in which one is over
ROUNDS = 7  # of announcements in a burst
NOTHING = "no interface can be used: owning nothing"
LATE, LATE_PEER = "late0", "late1"
NEW_MAC, BRIDGE_MAC = "02:00:00:00:99:01", "02:00:00:00:99:02"


class Scene:
    """A wire with an announcer on the node's end, at rest."""

    def __init__(self, wire: Wire, answerer: Answerer) -> None:
        self.wire, self.answerer = wire, answerer

    def node(self, *lines: str) -> None:
        for line in lines:
            self.wire.run(self.wire.node, "ip", *line.split())

    def client(self, *lines: str) -> None:
        for line in lines:
            self.wire.run(self.wire.client, "ip", *line.split())

    def ear(self, link: str = LINK) -> Ear:
        return Ear(self.wire, self.wire.client, link)

    def add_link(self) -> None:
        """A second link between the two, down on the node's end."""
        self.node(f"link add {LATE} type veth peer name {LATE_PEER} netns {self.wire.client}")
        self.client(f"link set {LATE_PEER} up")

    def mac(self, link: str = LINK) -> str:
        return self.wire.mac(self.wire.node, link).hex(":")

    def answerers(self, link: str = LINK, tag: bytes = b"") -> set[str]:
        """Who answers a request on the client's end of a link."""
        ear, mac = self.ear(link), self.wire.mac(self.wire.client, link)
        host = ipaddress.IPv4Address("10.76.0.2")
        question = arp.ArpFrame(arp.BROADCAST, mac, arp.REQUEST, mac, host, bytes(6), IP).encode()
        self.wire.packets(self.wire.client, link=link).send(question[:12] + tag + question[12:])
        heard = [arp.decode(frame) for frame in ear.listen(0.3) if frame[12:14] == b"\x08\x06"]
        return {
            item.sender_mac.hex(":")
            for item in heard
            if item.operation == arp.REPLY and item.sender == IP and item.destination == mac
        }

    def answers_as(self, mac: str, link: str = LINK) -> None:
        until(lambda: self.answerers(link) == {mac}, f"{link} is answered by {mac}", 10)


def told(frames: list[bytes]) -> tuple[list[str], list[str]]:
    """The MACs that the LAN was told of for the IPv4 address, and for the IPv6 one."""
    found: tuple[list[str], list[str]] = ([], [])
    for frame in frames:
        if frame[12:14] == b"\x08\x06":
            item = arp.decode(frame)
            if item.sender == item.target == IP and item.destination == arp.BROADCAST:
                found[0].append(item.sender_mac.hex(":"))
        elif frame[20] == ndp.ICMPV6 and frame[54] == ndp.ADVERTISEMENT:
            said = ndp.decode(frame)
            if said.target == IP6 and not said.solicited and said.link_address:
                found[1].append(said.link_address.hex(":"))
    return found


def is_a_burst(macs: list[str], mac: str, frames: int) -> None:
    """Seven rounds; on a machine that is short of CPU two that are due together are one."""
    assert set(macs) == {mac}
    assert (ROUNDS - 2) * frames <= len(macs) <= ROUNDS * frames


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    require()
    path = tmp_path_factory.mktemp("wire")
    with Wire(path) as wire, wire.answerer(*BOTH) as answerer:
        it = Scene(wire, answerer)
        it.answers_as(it.mac())
        it.ear().listen(BURST)
        yield it


@pytest.fixture
def late(scene: Scene) -> Iterator[None]:
    """The second link, and no trace of it afterwards."""
    scene.add_link()
    try:
        yield
    finally:
        scene.node(f"link del {LATE}")


def test_at_rest_nothing_is_said(scene: Scene) -> None:
    assert told(scene.ear().listen(3.0)) == ([], [])


CARRIER = [
    pytest.param("node", id="set down and up"),
    pytest.param("client", id="carrier lost and back"),
]


@pytest.mark.parametrize("end", CARRIER)
def test_a_link_that_comes_back_is_told_of_all_addresses(scene: Scene, end: str) -> None:
    turn = scene.node if end == "node" else scene.client
    before = scene.answerer.log().count(NOTHING)
    turn(f"link set {LINK} down")
    until(lambda: scene.answerer.log().count(NOTHING) > before, "it is noticed", 5)
    ear = scene.ear()
    turn(f"link set {LINK} up")
    in_v4, in_v6 = told(ear.listen(BURST + 3.0))
    is_a_burst(in_v4, scene.mac(), 2)
    is_a_burst(in_v6, scene.mac(), 1)
    scene.answers_as(scene.mac())


def test_a_mac_that_changes_is_told(scene: Scene) -> None:
    before, ear = scene.mac(), scene.ear()
    scene.node(f"link set {LINK} address {NEW_MAC}")
    try:
        in_v4, in_v6 = told(ear.listen(BURST + 1.0))
        is_a_burst(in_v4, NEW_MAC, 2)
        is_a_burst(in_v6, NEW_MAC, 1)
        scene.answers_as(NEW_MAC)
    finally:
        scene.node(f"link set {LINK} address {before}")
        scene.ear().listen(BURST + 1.0)


def test_an_address_of_the_link_itself_changes_nothing(scene: Scene) -> None:
    ear = scene.ear()
    scene.node(f"addr add 10.76.0.77/16 dev {LINK}", f"addr del 10.76.0.77/16 dev {LINK}")
    assert told(ear.listen(2.0)) == ([], [])


def test_a_link_local_address_that_comes_later(scene: Scene) -> None:
    local = scene.wire.link_local(scene.wire.node)
    scene.node(f"addr del {local}/64 dev {LINK}")
    until(lambda: scene.answerers() == {scene.mac()}, "ARP is answered all the same")
    ear = scene.ear()
    scene.node(f"addr add {local}/64 dev {LINK} nodad")
    in_v4, in_v6 = told(ear.listen(BURST + 1.0))
    assert in_v4 == []
    is_a_burst(in_v6, scene.mac(), 1)


@pytest.mark.usefixtures("late")
def test_a_link_that_comes_later_is_told_and_no_other_one(scene: Scene) -> None:
    new, old = scene.ear(LATE_PEER), scene.ear()
    scene.node(f"link set {LATE} up")
    in_v4, in_v6 = told(new.listen(BURST + 3.0))
    is_a_burst(in_v4, scene.mac(LATE), 2)
    is_a_burst(in_v6, scene.mac(LATE), 1)
    assert told(old.listen(0.1)) == ([], [])
    assert scene.answerers(LATE_PEER) == {scene.mac(LATE)}


@pytest.mark.usefixtures("late")
def test_a_member_of_a_bridge_is_quiet_and_the_bridge_speaks(scene: Scene) -> None:
    scene.node(f"link set {LATE} up", f"link add br9 address {BRIDGE_MAC} type bridge")
    scene.answers_as(scene.mac(LATE), LATE_PEER)
    try:
        ear = scene.ear(LATE_PEER)
        scene.node("link set br9 up", f"link set {LATE} master br9")
        scene.answers_as(BRIDGE_MAC, LATE_PEER)
        in_v4, _ = told(ear.listen(1.0))
        assert in_v4[-1] == BRIDGE_MAC
        ear = scene.ear(LATE_PEER)
        scene.node(f"link set {LATE} nomaster")
        in_v4, _ = told(ear.listen(BURST + 1.0))
        is_a_burst(in_v4, scene.mac(LATE), 2)
        scene.answers_as(scene.mac(LATE), LATE_PEER)
    finally:
        scene.node("link del br9")


def test_a_frame_with_a_vlans_tag_is_not_ours_to_answer(scene: Scene) -> None:
    scene.answers_as(scene.mac())
    assert scene.answerers(tag=bytes.fromhex("8100 0005")) == set()


# --- links that not every kernel has --------------------------------------------------------------


def made(scene: Scene, line: str) -> None:
    """Makes a link, or skips the test with the kernel's reason."""
    try:
        scene.node(line)
    except subprocess.CalledProcessError as problem:
        pytest.skip(f"this kernel has none: ip {line}: {problem.stderr.strip()}")


def test_a_vlan_is_a_link_of_its_own(scene: Scene) -> None:
    made(scene, f"link add link {LINK} name {LINK}.5 type vlan id 5")
    try:
        scene.client(f"link add link {LINK} name {LINK}.5 type vlan id 5", f"link set {LINK}.5 up")
        scene.node(f"link set {LINK}.5 address {NEW_MAC} up")
        scene.answers_as(NEW_MAC, f"{LINK}.5")
        assert scene.answerers() == {scene.mac()}
    finally:
        scene.node(f"link del {LINK}.5")


@pytest.mark.usefixtures("late")
def test_a_bond_speaks_for_its_members(scene: Scene) -> None:
    made(scene, "link add bond9 type bond mode active-backup miimon 50")
    try:
        scene.node(f"link set {LATE} down", f"link set {LATE} master bond9", "link set bond9 up")
        scene.answers_as(scene.mac("bond9"), LATE_PEER)
    finally:
        scene.node("link del bond9")


def test_a_dummy_is_left_alone(scene: Scene) -> None:
    made(scene, "link add dummy9 type dummy")
    try:
        scene.node("link set dummy9 up")
        scene.ear().listen(0.5)
        assert "dummy9" not in scene.answerer.log()
    finally:
        scene.node("link del dummy9")


# --- which links are used -------------------------------------------------------------------------

CHOSEN = [
    pytest.param(("--exclude", "^late"), {LINK}, id="one is excluded"),
    pytest.param(("--interfaces", LATE), {LATE_PEER}, id="one is named"),
    pytest.param(("--interfaces", f"{LATE},{LINK}"), {LINK, LATE_PEER}, id="both are named"),
]


@pytest.mark.parametrize(("flags", "expected"), CHOSEN)
def test_only_some_links_are_used(
    tmp_path: Path, flags: tuple[str, ...], expected: set[str]
) -> None:
    require()
    with Wire(tmp_path) as wire:
        wire.run(
            wire.node,
            *f"ip link add {LATE} type veth peer name {LATE_PEER}".split(),
            "netns",
            wire.client,
        )
        wire.run(wire.client, *f"ip link set {LATE_PEER} up".split())
        wire.run(wire.node, *f"ip link set {LATE} up".split())
        ears = {link: Ear(wire, wire.client, link) for link in (LINK, LATE_PEER)}
        with wire.answerer(*BOTH, *flags) as answerer:
            scene = Scene(wire, answerer)
            said = {link: told(ear.listen(1.0)) for link, ear in ears.items()}
            assert {link for link, (in_v4, _) in said.items() if in_v4} == expected
            assert {link for link in ears if scene.answerers(link)} == expected


def test_at_rest_it_is_told_again_as_often_as_it_is_wanted(tmp_path: Path) -> None:
    require()
    with Wire(tmp_path) as wire, wire.answerer(*BOTH, "--refresh", "2"):
        Ear(wire, wire.client).listen(BURST + 1.0)
        in_v4, in_v6 = told(Ear(wire, wire.client).listen(8.0))
    assert 3 * 2 <= len(in_v4) <= 5 * 2
    assert 3 <= len(in_v6) <= 5
