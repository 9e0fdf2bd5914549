"""The example of an announcer: what a real HTTP server on loopback is told, and how it is found."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import bellmetal_webhook
from bellmetal.announcer import Context, Desired
from bellmetal.facts import ClaimOrder, Owned
from bellmetal_webhook import WebhookAnnouncer
from webhook_server import Call, WebhookServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "webhook_announcer"
README = EXAMPLE.parents[1] / "announcers" / "README.md"
ONE, TWO = "192.0.2.10", "2001:db8::11"


def desired(**epochs: int) -> Desired:
    """What this node owns: ``one`` and ``two``, each with the epoch of its claim."""
    named = {"one": ipaddress.ip_address(ONE), "two": ipaddress.ip_address(TWO)}
    orders = {named[name]: ClaimOrder(2, True, epoch) for name, epoch in epochs.items()}
    return Desired(owned={address: Owned(address, order) for address, order in orders.items()})


class Stage:
    """The announcer of node n1 and its server."""

    def __init__(self, server: WebhookServer) -> None:
        self.server, self.changes = server, 0
        nothing = dict.fromkeys(["boot", "keys", "members", "clock", "random", "count"])
        self.it = WebhookAnnouncer(Context(node="n1", changed=self._changed, **nothing))  # type: ignore[arg-type]

    def _changed(self) -> None:
        self.changes += 1

    async def own(self, **epochs: int) -> None:
        await self.it.apply(desired(**epochs))

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.005)

    async def told(self, *events: tuple[str, str]) -> None:
        """Waits until the server was told exactly this, in any order, and forgets it."""
        await self.until(lambda: sorted(self.server.events()) == sorted(events))
        self.server.calls.clear()

    def findings(self) -> list[str]:
        return [item.message for item in self.it.status().findings]


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    monkeypatch.setattr(bellmetal_webhook, "FIRST", 0.01)
    async with WebhookServer() as server:
        monkeypatch.setenv("WEBHOOK_URL", server.url)
        made = Stage(server)
        await made.it.start()
        yield made
        await made.it.close(gracefully=False)


async def test_an_address_that_is_won_is_told_with_its_claim(stage: Stage) -> None:
    await stage.own(one=3)
    await stage.until(lambda: stage.server.calls)
    assert stage.server.calls == [
        {"event": "won", "address": ONE, "node": "n1", "term": 2, "firm": True, "epoch": 3}
    ]


async def test_what_is_lost_is_told_once_and_what_is_kept_is_not_told_again(stage: Stage) -> None:
    await stage.own(one=0, two=0)
    await stage.told(("won", ONE), ("won", TWO))
    await stage.own(two=0)
    await stage.told(("lost", ONE))
    await stage.own()
    await stage.told(("lost", TWO))


async def test_a_higher_claim_to_the_same_address_is_told(stage: Stage) -> None:
    """Whoever compares epochs has the highest one."""
    await stage.own(one=0)
    await stage.told(("won", ONE))
    await stage.own(one=1)
    await stage.told(("won", ONE))


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_what_is_refused_is_told_again_and_keeps_no_other_from_being_told(
    stage: Stage, status: int
) -> None:
    stage.server.refuse = lambda call: status if call["address"] == ONE else 0
    await stage.own(one=0, two=0)
    await stage.told(("won", TWO))
    await stage.until(stage.findings)
    assert stage.findings() == [f"{ONE} was won, and is told again: HTTP {status}"]
    await stage.own(one=0)
    await stage.told(("lost", TWO))
    stage.server.refuse = lambda _: 0
    await stage.told(("won", ONE))
    await stage.until(lambda: not stage.findings())


async def test_what_was_lost_before_it_could_be_told_is_not_told(stage: Stage) -> None:
    stage.server.refuse = lambda _: 503
    await stage.own(one=0)
    await stage.until(lambda: stage.server.refused)
    await stage.own(two=0)
    stage.server.refuse = lambda _: 0
    await stage.told(("won", TWO))
    await stage.until(lambda: not stage.findings())


async def test_a_server_that_is_away_is_called_until_it_is_there(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, stage.it._url = stage.it._url, "http://127.0.0.1:1/hook?token=secret"
    await stage.own(one=0)
    await stage.until(stage.findings)
    assert stage.findings() == [f"{ONE} was won, and is told again: ClientConnectorError"]
    await stage.until(lambda: stage.changes)  # the speaker is told, and reports it
    stage.it._url = url
    await stage.told(("won", ONE))


async def test_a_planned_end_tells_what_is_lost(stage: Stage) -> None:
    await stage.own(one=0, two=0)
    await stage.told(("won", ONE), ("won", TWO))
    await stage.it.close(gracefully=True)
    assert sorted(stage.server.events()) == [("lost", ONE), ("lost", TWO)]


async def test_the_last_word_on_an_address_is_the_last_that_arrives(stage: Stage) -> None:
    """A slow answer to the first call does not let a later one overtake it."""
    seen: list[Call] = []
    stage.server.refuse = lambda call: seen.append(call) or 0  # type: ignore[func-returns-value]
    for epoch in range(20):
        await stage.own(one=epoch)
        await stage.own()
        await asyncio.sleep(0)
    await stage.own(one=20)
    await stage.until(lambda: seen and seen[-1].get("epoch") == 20)
    assert stage.server.held("n1") == {ONE}


async def test_without_a_url_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBHOOK_URL", raising=False)
    with pytest.raises(ValueError, match=r"^WEBHOOK_URL is not set: it says whom to call$"):
        await Stage(WebhookServer()).it.start()


@pytest.mark.slow
def test_its_package_is_found_by_the_entry_point_group(tmp_path: Path) -> None:
    """Built and installed as anybody would, without an index; found by a new interpreter."""
    python = [sys.executable, "-m"]
    build = [*python, "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=EXAMPLE, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    offline = ["--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    target = tmp_path / "installed"
    install = [*python, "pip", "install", "-q", *offline, "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    code = "from bellmetal.announcer import find; print(find()['webhook'].__module__)"
    environment = {"PYTHONPATH": str(target)}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert said.stdout == "bellmetal_webhook\n"


def test_what_the_guide_shows_of_it_stands_in_it() -> None:
    code = (EXAMPLE / "bellmetal_webhook.py").read_text()
    shown = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S)
    assert shown
    assert [block for block in shown if block not in code] == []
    (entry,) = re.findall(r"^```toml\n(.*?)^```", README.read_text(), re.M | re.S)
    assert entry in (EXAMPLE / "pyproject.toml").read_text()
