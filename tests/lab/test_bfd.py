"""BFD against FRR's bfdd and BIRD 2, on a wire of two namespaces."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bellmetal_bgp.bfd.packets import Packet, State
from lab import netns, packages, sockets
from lab.bfd_scene import FAR, FRRBFD, NODE6, NODE_FAR, ROUTER6, BFDScene, Speaker
from lab.fixtures import require
from lab.processes import start_time
from lab.progress import Lines
from lab.waiting import until
from lab.wire import CLIENT_IP, LINK, NODE_IP

pytestmark = pytest.mark.lab

NO_DIAGNOSTIC = "No Diagnostic"
DETECT = 0.15  # 3 x 50 ms
V4 = {"remote": CLIENT_IP, "interface": LINK}
V6 = {"remote": ROUTER6, "local": NODE6, "interface": LINK}
FAST = [" profile fast", "  transmit-interval 50", "  receive-interval 50", " exit"]
PEERS = [
    *FAST,
    f" peer {NODE_IP} local-address {CLIENT_IP} interface {LINK}",
    "  profile fast",
    " exit",
    f" peer {NODE6} local-address {ROUTER6} interface {LINK}",
    "  profile fast",
    " exit",
]


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    require()
    packages.install(Lines())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[BFDScene]:
    with BFDScene(tmp_path) as it:
        yield it


@pytest.fixture
def frr(scene: BFDScene) -> FRRBFD:
    return scene.frr(scene.client, "frr", PEERS)


@pytest.fixture
def speaker(scene: BFDScene) -> Speaker:
    return scene.speaker()


# --- FRR, single hop -----------------------------------------------------------------------------


def test_both_families_come_up_with_the_intervals_of_both(frr: FRRBFD, speaker: Speaker) -> None:
    quick = {"transmit_interval_ms": 60, "receive_interval_ms": 70, "detect_multiplier": 4}
    speaker.want(v4=V4, v6=V6 | {"profile": quick})
    speaker.up("v4", "v6")
    speaker.until("v4", transmit_us=50_000, detect_us=150_000, multiplier=3, message="")
    speaker.until("v6", transmit_us=60_000, detect_us=210_000, multiplier=4)
    shown = frr.until(NODE6, status="up", remote_transmit_interval=60)
    assert (shown["remote-receive-interval"], shown["remote-detect-multiplier"]) == (70, 4)
    assert frr.peer(NODE_IP)["remote-transmit-interval"] == 50


def test_a_cut_link_is_down_within_the_detection_time(
    scene: BFDScene, frr: FRRBFD, speaker: Speaker
) -> None:
    speaker.want(v4=V4, v6=V6)
    speaker.up("v4", "v6")
    time.sleep(0.5)
    cut = scene.link(scene.client, up=False)
    for key in ("v4", "v6"):
        row = speaker.until(key, state="Down")
        assert row["diagnostic"] == "Control Detection Time Expired"
        assert "fell silent" in row["message"]
        assert 0 < row["since"] - cut <= 1.5 * DETECT
        assert row["at"] - row["since"] < 0.1
    frr.until(NODE_IP, status="down")
    scene.link(scene.client, up=True)
    netns.ip([f"addr replace {ROUTER6}/64 dev {LINK} nodad"], scene.client)
    speaker.up("v4", "v6")
    assert speaker.downs("v4") == 1


def test_a_planned_stop_is_seen_as_such(frr: FRRBFD, speaker: Speaker) -> None:
    speaker.want(v4=V4, v6=V6)
    speaker.up("v4", "v6")
    frr.until(NODE_IP, status="up")
    speaker.want(v6=V6)  # one of two
    shown = frr.until(NODE_IP, 1, status="down")
    assert shown["remote-diagnostic"] == "administratively down"
    assert frr.peer(NODE6)["status"] == "up"
    speaker.close(gracefully=True)
    shown = frr.until(NODE6, 1, status="down")
    assert shown["remote-diagnostic"] == "administratively down"
    assert speaker.process == 0


def test_a_router_that_is_shut_down_is_told_as_such(frr: FRRBFD, speaker: Speaker) -> None:
    speaker.want(v4=V4)
    speaker.up("v4")
    frr.configure([f"peer {NODE_IP} local-address {CLIENT_IP} interface {LINK}", "shutdown"])
    row = speaker.until("v4", state="Down", remote_state="AdminDown")
    assert row["message"] == f"{CLIENT_IP} has it administratively down"
    frr.configure([f"peer {NODE_IP} local-address {CLIENT_IP} interface {LINK}", "no shutdown"])
    speaker.up("v4")


def test_another_profile_is_no_flap(frr: FRRBFD, speaker: Speaker) -> None:
    speaker.want(v4=V4)
    speaker.up("v4")
    frr.until(NODE_IP, status="up", remote_transmit_interval=50)
    for interval, multiplier in ((400, 5), (50, 3), (100, 10), (60, 3)):
        profile = {"transmit_interval_ms": interval, "receive_interval_ms": interval}
        speaker.want(v4=V4 | {"profile": profile | {"detect_multiplier": multiplier}})
        speaker.until("v4", state="Up", transmit_us=interval * 1000)
        shown = frr.until(
            NODE_IP, remote_transmit_interval=interval, remote_receive_interval=interval
        )
        assert shown["remote-detect-multiplier"] == multiplier
        time.sleep(0.5)
    frr.configure(["profile fast", "transmit-interval 200", "receive-interval 200"])
    speaker.until("v4", state="Up", transmit_us=200_000, detect_us=600_000)
    assert speaker.downs("v4") == 0
    assert frr.counters(NODE_IP)["session-down"] == 0


def test_ours_may_wait_and_so_may_theirs(frr: FRRBFD, speaker: Speaker) -> None:
    speaker.want(v4=V4 | {"profile": {"passive_mode": True}})
    speaker.up("v4")
    speaker.want()
    frr.configure(["profile fast", "passive-mode"])
    speaker.want(v4=V4)
    speaker.up("v4")
    speaker.want()
    until(lambda: speaker.process == 0, "no process without wishes", 5)
    speaker.want(v4=V4 | {"profile": {"passive_mode": True}})
    time.sleep(2)
    row = speaker.facts("v4")
    said = f"waiting for {CLIENT_IP}, as passive mode says; no packet has come yet"
    assert (row["state"], row["message"]) == ("Down", said)
    assert row["counters"]["control_packet_output"] == 0


def test_link_local_peers_meet_on_their_interface(scene: BFDScene, speaker: Speaker) -> None:
    ours, theirs = scene.link_local(scene.node), scene.link_local(scene.client)
    scene.frr(
        scene.client,
        "frr",
        [*FAST, f" peer {ours} local-address {theirs} interface {LINK}", "  profile fast"],
    )
    speaker.want(unnumbered={"remote": theirs, "interface": LINK})
    speaker.up("unnumbered")


# --- FRR, echo -----------------------------------------------------------------------------------

ECHO = {"echo_mode": True, "echo_interval_ms": 50}


def test_echoes_return_and_a_path_that_swallows_them_is_down(
    scene: BFDScene, frr: FRRBFD, speaker: Speaker
) -> None:
    sockets.sysctls(scene.client, {"net/ipv4/ip_forward": "1"})
    slow = {"transmit_interval_ms": 300, "receive_interval_ms": 300}
    speaker.want(v4=V4 | {"profile": ECHO | slow})
    speaker.up("v4")
    shown = frr.until(NODE_IP, status="up", remote_receive_interval=1000)
    speaker.until("v4", state="Up", message="", detect_us=3_000_000)  # one packet a second
    assert shown["remote-echo-receive-interval"] == 0
    until(lambda: speaker.facts("v4")["counters"]["echo_packet_input"] > 15, "echoes", 10)
    counters = speaker.facts("v4")["counters"]
    assert counters["echo_packet_input"] >= counters["echo_packet_output"] - 2
    sockets.sysctls(scene.client, {"net/ipv4/ip_forward": "0"})
    swallowed = time.monotonic()
    row = until(
        lambda: next((one for one in speaker.rows if "Echo" in one["diagnostic"]), None),
        "the echo to fail",
    )
    assert row is not None
    assert (row["state"], row["diagnostic"]) == ("Down", "Echo Function Failed")
    assert row["since"] - swallowed <= 1.5 * DETECT
    said = "echo mode: 10.76.0.2 says that it loops packets back, but none returns; "
    speaker.until("v4", 15, state="Up", message=said + "the session goes on without")
    assert speaker.downs("v4") == 1


def test_who_loops_nothing_back_has_a_session_all_the_same(
    scene: BFDScene, frr: FRRBFD, speaker: Speaker
) -> None:
    frr.configure(["profile fast", "echo receive-interval disabled"])
    speaker.want(v4=V4 | {"profile": ECHO}, v6=V6 | {"profile": ECHO})
    said = f"echo mode: {CLIENT_IP} loops no packets back, by its own word; the session"
    speaker.until("v4", state="Up", detect_us=150_000, message=said)
    said = "echo mode: for IPv4 over one hop alone; the session goes on without"
    speaker.until("v6", state="Up", message=said)


# --- FRR, several hops ---------------------------------------------------------------------------


def test_several_hops_and_how_many_are_too_many(scene: BFDScene, speaker: Speaker) -> None:
    far = scene.far()
    frr = scene.frr(
        far,
        "frr",
        [*FAST, f" peer {NODE_FAR} multihop local-address {FAR}", "  profile fast", " exit"],
    )
    wish = {"remote": FAR, "local": NODE_FAR, "multi_hop": True}
    speaker.want(far=wish | {"profile": {"minimum_ttl": 255}})
    said = f"packets of {FAR} are discarded: they come with TTL 254, at least 255 is needed: "
    speaker.until("far", message=said + "it is more hops away than allowed")
    speaker.want(far=wish)
    speaker.up("far")
    frr.until(NODE_FAR, status="up")
    assert frr.peer(NODE_FAR)["multihop"] is True


# --- BIRD ----------------------------------------------------------------------------------------

BIRD = 'interface "*" { interval 50 ms; multiplier 3; }; multihop { interval 50 ms; };'


def test_bird_single_hop(scene: BFDScene, speaker: Speaker) -> None:
    bird = scene.bird(
        scene.client,
        [
            BIRD,
            f'neighbor {NODE_IP} dev "{LINK}" local {CLIENT_IP};',
            f'neighbor {NODE6} dev "{LINK}" local {ROUTER6};',
        ],
    )
    speaker.want(v4=V4, v6=V6)
    speaker.up("v4", "v6")
    speaker.until("v4", transmit_us=50_000, detect_us=150_000)
    assert bird.until(NODE_IP, "Up")[-2:] == ["0.050", "0.150"]
    time.sleep(0.5)
    cut = scene.link(scene.client, up=False)
    assert 0 < speaker.until("v4", state="Down")["since"] - cut <= 1.5 * DETECT
    scene.link(scene.client, up=True)
    speaker.up("v4")
    assert speaker.downs("v4") == 1
    speaker.close(gracefully=True)
    bird.until(NODE_IP, "Down", 1)


def test_bird_several_hops(scene: BFDScene, speaker: Speaker) -> None:
    far = scene.far()
    bird = scene.bird(far, [BIRD, f"neighbor {NODE_FAR} local {FAR} multihop on;"])
    wish = {"remote": FAR, "local": NODE_FAR, "multi_hop": True}
    speaker.want(far=wish)  # as the profile's default says; BIRD sends with the system's TTL
    said = f"packets of {FAR} are discarded: they come with TTL 63, at least 254 is needed"
    speaker.until("far", message=said)
    speaker.want(far=wish | {"profile": {"minimum_ttl": 63}})
    speaker.up("far")
    bird.until(NODE_FAR, "Up")


# --- the process ---------------------------------------------------------------------------------


def test_a_loop_that_stands_still_loses_nothing(frr: FRRBFD, speaker: Speaker) -> None:
    speaker.want(v4=V4, v6=V6)
    speaker.up("v4", "v6")
    speaker.stall(2.0)
    assert (speaker.downs("v4"), speaker.downs("v6")) == (0, 0)
    assert frr.counters(NODE_IP)["session-down"] == 0


def test_a_process_that_is_killed_is_started_anew(frr: FRRBFD, speaker: Speaker) -> None:
    speaker.want(v4=V4)
    speaker.up("v4")
    frr.until(NODE_IP, status="up")
    os.kill(speaker.process, signal.SIGKILL)
    killed = time.monotonic()
    row = speaker.until("v4", state="Down", message="the BFD process has ended")
    assert row["message"] == "the BFD process has ended (killed by signal 9); it is started anew"
    assert row["at"] - killed < 0.1
    speaker.up("v4")
    frr.until(NODE_IP, status="up")


def test_it_ends_with_its_parent_and_the_router_takes_that_for_a_failure(
    frr: FRRBFD, speaker: Speaker
) -> None:
    speaker.want(v4=V4)
    speaker.up("v4")
    frr.until(NODE_IP, status="up")
    process = speaker.process
    speaker.child.kill()
    until(lambda: start_time(process) is None, "the process to end", 1, every=0.005)
    shown = frr.until(NODE_IP, 2, status="down")
    assert shown["diagnostic"] == "control detection time expired"


def test_signals_to_all_of_a_pod_do_not_end_it(frr: FRRBFD, speaker: Speaker) -> None:
    speaker.want(v4=V4)
    speaker.up("v4")
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(speaker.process, number)
    time.sleep(0.3)
    assert speaker.downs("v4") == 0


# --- what a person is told -----------------------------------------------------------------------


def test_whom_nobody_answers_is_told_why(scene: BFDScene, speaker: Speaker) -> None:
    speaker.want(
        v4=V4,
        gone={"remote": "10.76.0.99"},
        nowhere={"remote": "192.0.2.1", "multi_hop": True},
        interface={"remote": "fe80::1", "interface": "eth7"},
        address=V4 | {"local": "10.76.0.77"},
    )
    refused = f"{CLIENT_IP} refuses packets to UDP port 3784: no BFD runs there"
    speaker.until("v4", message=refused)
    speaker.until("gone", 8, message="there is no way to 10.76.0.99: No route to host")
    speaker.until("nowhere", message="there is no way to 192.0.2.1: Network is unreachable")
    speaker.until("interface", message="interface eth7 is not there")
    speaker.until("address", message="this node has no address 10.76.0.77")


def test_another_program_that_speaks_bfd_here_is_told(scene: BFDScene, speaker: Speaker) -> None:
    other = scene.frr(scene.node, "other", FAST)
    assert other.peer(CLIENT_IP) == {}
    scene.frr(scene.client, "frr", PEERS)
    speaker.want(v4=V4)
    said = "UDP port 3784 is taken: another program on this node speaks BFD"
    speaker.until("v4", message=said)
    for process in other.processes:
        process.kill()
        process.wait()
    speaker.up("v4")


# --- what is hostile -----------------------------------------------------------------------------


def attack(scene: BFDScene) -> int:
    """Packets of all kinds from the router's namespace, under its own address; how many."""
    dice, sent = random.Random(1), 0
    hello = Packet(State.DOWN, 3, 66, 0, 50_000, 50_000)
    with sockets.open_in(scene.client, socket.AF_INET, socket.SOCK_DGRAM) as opened:
        for number in range(20_000):
            packet = hello._replace(state=State(number % 3), my_discriminator=number + 1)
            data = bytearray(packet.encode() if number % 2 else dice.randbytes(24))
            if number % 3 == 0:
                data = data[: number % 24]
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 254 if number % 5 else 255)
            if number % 5 == 0:
                data[:1] = b"\x40"  # with the right TTL: of another version
            try:
                opened.sendto(data, (NODE_IP, 3784))
                sent += 1
            except BlockingIOError:
                continue
    return sent


def test_floods_and_nonsense_take_nothing_down(
    scene: BFDScene, frr: FRRBFD, speaker: Speaker
) -> None:
    frr.configure(["profile fast", "transmit-interval 100", "receive-interval 100"])
    profile = {"transmit_interval_ms": 100, "receive_interval_ms": 100}
    speaker.want(v4=V4 | {"profile": profile}, v6=V6 | {"profile": profile})
    speaker.up("v4", "v6")
    speaker.until("v6", detect_us=300_000)
    process = speaker.process
    before = memory(process)
    for _ in range(3):
        assert attack(scene) > 10_000
    lost = [
        row for row in speaker.rows if row["state"] == "Down" and row["diagnostic"] != NO_DIAGNOSTIC
    ]
    assert not lost
    assert (speaker.downs("v4"), speaker.downs("v6")) == (0, 0)
    assert frr.counters(NODE_IP)["session-down"] == 0
    assert speaker.process == process
    assert memory(process) - before < 1024  # kB


def memory(pid: int) -> int:
    """RSS in kB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(row for row in text.splitlines() if row.startswith("VmRSS")).split()[1])
