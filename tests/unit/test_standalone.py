"""The speaker without Kubernetes: its file, what it tells a person, its end."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bellmetal.facts import BFDState, ClaimOrder, Facts, Finding, Owned, SessionTrouble
from bellmetal.intentsfile import IntentsError, doubts, intents_of
from bellmetal.settings import SpeakerSettings, parse
from bellmetal.standalone import IntentsFile, Sightings, Standalone, main
from bgp_facts import FakeAnnouncer, bfd, down, up
from builders import addresses

PAGE = Path(__file__).parents[2] / "docs" / "standalone.md"
ONE = "routes: [{prefix: 198.51.100.1/32}]\n"
TWO = "routes: [{prefix: 198.51.100.1/32}, {prefix: 198.51.100.2/32}]\n"
BAD = "routes: [{prefx: 198.51.100.1/32}]\n"
PEER = "peers: [{name: router, myASN: 1, peerASN: 2, address: 192.0.2.1}]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "intents.yaml"
    found.write_text(ONE)
    return found


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def settings(path: Path, *flags: str) -> SpeakerSettings:
    ports = ["--port", "0", "--health-probe-port", "0", "--exclude-file", f"{path}.none"]
    found = parse(["speaker", "--intents", str(path), *ports, *flags], {}, "0")
    assert isinstance(found, SpeakerSettings)
    return found


# --- the file ------------------------------------------------------------------------------------


def test_a_change_counts_when_it_stays(path: Path) -> None:
    file = IntentsFile(path, "n1")
    path.write_text(TWO[:40])
    assert not file.look()
    path.write_text(TWO)
    assert not file.look()
    assert file.look()
    assert len(file.contents.routes) == 2
    assert not file.look()


def test_who_asks_gets_it_read_at_once(path: Path) -> None:
    file = IntentsFile(path, "n1")
    path.write_text(TWO)
    assert file.look(asked=True)
    assert len(file.contents.routes) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BAD, "routes[0].prefx: unknown field; is prefix meant?"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_once_and_the_last_good_one_stays(
    text: str | None, sentence: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = IntentsFile(path, "n1")
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    looks = [file.look() for _ in range(5)]
    assert looks == [False] * 5
    assert len(file.contents.routes) == 1
    assert caplog.messages == [
        f"{path}: {sentence}",
        f"{path} is not in force: what it said before stays",
    ]
    path.write_text(TWO)
    assert [file.look(), file.look()] == [False, True]


def test_a_route_that_no_peer_takes_is_warned_of_whenever_the_file_is_read(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(PEER + "routes: [{prefix: 2001:db8::1/128}]")
    file = IntentsFile(path, "n1")
    said = "no peer takes IPv6 routes: dualStack: true of a peer"
    assert caplog.messages == [f"{path}: routes[0] 2001:db8::1/128: {said}"]
    path.write_text(PEER + "routes: [{prefix: 198.51.100.1/32}, {prefix: 2001:db8::1/128}]")
    assert [file.look(), file.look()] == [False, True]
    assert caplog.messages[1:] == [f"{path}: routes[1] 2001:db8::1/128: {said}"]


def test_what_means_the_same_is_no_news(path: Path) -> None:
    file = IntentsFile(path, "n1")
    path.write_text("# a comment\n" + ONE)
    assert [file.look(), file.look()] == [False, False]


async def test_a_bad_file_at_the_start_is_status_2(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, BAD)
    assert await main(settings(path)) == 2
    assert caplog.messages == [f"{path}: routes[0].prefx: unknown field; is prefix meant?"]


def test_the_example_of_the_page_can_be_read() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found = intents_of(text.encode(), PAGE, "n1")
    assert (len(found.peers), len(found.routes)) == (1, 2)
    assert found.routes[1].attributes.med == 50
    assert list(doubts(found)) == []


# --- settings ------------------------------------------------------------------------------------


def test_the_node_is_called_as_the_host(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "bench")
    assert settings(path).node_name == "bench"
    assert settings(path, "--node-name", "n7").node_name == "n7"


def test_in_a_cluster_the_nodes_name_has_to_be_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["speaker"], {}, "0")
    assert "--node-name (or METALLB_NODE_NAME) is required" in capsys.readouterr().err


# --- what is told --------------------------------------------------------------------------------


def test_each_thing_that_is_new_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    (address,) = addresses("192.0.2.10")
    sightings = Sightings()
    sightings.tell(Facts(sessions=(down(SessionTrouble.CONNECTING, message="connecting"),)))
    sightings.tell(Facts(sessions=(up(prefixes_pending=3),)))
    sightings.tell(Facts(sessions=(up(prefixes_sent=3),)))
    sightings.tell(Facts(sessions=(up(prefixes_sent=3),)))
    sightings.tell(
        Facts(
            sessions=(down(SessionTrouble.RESET, message="reset"),),
            owned={address: Owned(address, ClaimOrder(1, True, 1))},
            findings=(Finding("x", "mind the gap"),),
        )
    )
    sightings.tell(Facts())
    assert [(item.levelname, item.getMessage()) for item in caplog.records] == [
        ("INFO", "router (192.0.2.1): connecting (Connecting)"),
        (
            "INFO",
            "router (192.0.2.1): established with AS 64513 (hold time 9 s, keepalive every 3 s)"
            " (BGPSessionEstablished)",
        ),
        ("INFO", "router (192.0.2.1): prefixes sent: 3"),
        ("WARNING", "router (192.0.2.1): the session is lost: reset (ConnectionReset)"),
        ("INFO", "192.0.2.10: announced on layer 2"),
        ("WARNING", "mind the gap"),
        ("INFO", "router (192.0.2.1): no session any more (BGPSessionGone)"),
        ("INFO", "192.0.2.10: not announced on layer 2 any more"),
    ]


def test_bfd_is_a_line_when_it_comes_and_when_it_goes(caplog: pytest.LogCaptureFixture) -> None:
    sightings = Sightings()
    lost = bfd(BFDState.DOWN, diagnostic="Control Detection Time Expired")
    for found in (bfd(BFDState.DOWN), bfd(detect_us=150_000), lost):
        sightings.tell(Facts(sessions=(up(bfd=found),)))
    assert [(item.levelname, item.getMessage()) for item in caplog.records][1:] == [
        ("INFO", "router (192.0.2.1): BFD is Up, a loss is seen within 150 ms"),
        ("WARNING", "router (192.0.2.1): BFD is Down: Control Detection Time Expired"),
    ]


# --- the whole -----------------------------------------------------------------------------------


class Layer2(FakeAnnouncer):
    protocol = "layer2"


class BGP(FakeAnnouncer):
    protocol = "bgp"


class Stage:
    """A process with two announcers in memory."""

    def __init__(self, path: Path, *flags: str) -> None:
        chosen = settings(path, "--node-name", "n1", *flags)
        self.layer2, self.bgp = Layer2("layer2"), BGP("bgp")
        self.it = Standalone(chosen, IntentsFile(path, chosen.node_name))
        self.it.crew.add(self.layer2)
        self.it.crew.add(self.bgp)
        self.stop = asyncio.Event()


@asynccontextmanager
async def at_work(path: Path, *flags: str) -> AsyncIterator[Stage]:
    stage = Stage(path, *flags)
    task = asyncio.create_task(stage.it.run(stage.stop))
    await asyncio.sleep(0.5)
    yield stage
    stage.stop.set()
    await task


@pytest.mark.looptime
async def test_it_announces_follows_the_file_and_ends(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, PEER + ONE)
    async with at_work(path) as stage:
        assert stage.it.applied
        assert [str(route.prefix) for route in stage.bgp.last.routes] == ["198.51.100.1/32"]
        write(path, PEER + TWO)
        await asyncio.sleep(3)
        assert len(stage.bgp.last.routes) == 2
        write(path, PEER + ONE)
        stage.it.file.reread.set()
        await asyncio.sleep(0.1)
        assert len(stage.bgp.last.routes) == 1
    assert stage.bgp.calls[-1] == "close"
    assert caplog.messages == [
        f"{path}: node n1 has 1 peer, 1 route, 0 addresses on layer 2",
        f"{path}: node n1 has 1 peer, 2 routes, 0 addresses on layer 2",
        f"{path}: node n1 has 1 peer, 1 route, 0 addresses on layer 2",
        "ending",
    ]


@pytest.mark.looptime
async def test_what_nothing_is_asked_of_is_not_started(path: Path) -> None:
    write(path, PEER)
    async with at_work(path) as stage:
        assert (stage.layer2.calls, stage.bgp.calls) == ([], ["start", "apply"])
        write(path, PEER + "announcements: [{address: 192.0.2.10}]")
        await asyncio.sleep(3)
        assert stage.layer2.calls == ["start", "apply"]


@pytest.mark.looptime
async def test_a_file_that_is_about_other_nodes_says_so(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sets = "nodeSets: [{name: rack, nodes: [{name: n2}]}]\n"
    write(path, sets + "routes: [{prefix: 198.51.100.1/32, nodeSet: rack}]")
    async with at_work(path):
        assert "no node set of the file has this node: is --node-name right?" in caplog.messages


@pytest.mark.looptime
async def test_a_password_is_handed_over_with_its_peer(path: Path, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    write(passwords / "router", "s3cret\n")
    write(path, PEER)
    async with at_work(path, "--bgp-password-dir", str(passwords)) as stage:
        assert stage.bgp.last.passwords["router"].value == b"s3cret"
        assert stage.bgp.last.peers[0].signed
        assert "s3cret" not in repr(stage.bgp.last)


def test_the_reader_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(IntentsError):
        IntentsFile(tmp_path / "lost.yaml", "n1")
