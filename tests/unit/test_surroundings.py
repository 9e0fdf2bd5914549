"""When a speaker looks at its node, what kube-proxy says to it, and what counts as a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bellmetal import kube_proxy
from bellmetal.sights import KubeProxy
from bellmetal.sockets import count_addresses, link_name
from bellmetal.surroundings import EVERY, Surroundings
from node_tree import Tree


class Proxy:
    """A kube-proxy on loopback. ``mode``, ``status``: what it answers."""

    def __init__(self, mode: str = "ipvs", status: int = 200) -> None:
        self.mode, self.status = mode, status
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.add_routes([web.get("/proxyMode", self._mode), web.get("/healthz", self._health)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, port = runner.addresses[0][:2]
        yield f"http://127.0.0.1:{port}"
        await runner.cleanup()

    async def _mode(self, _: web.Request) -> web.Response:
        return web.Response(text=self.mode)

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text='{"lastUpdated": "now"}', status=self.status)


@pytest.mark.parametrize(
    ("mode", "status", "shown", "healthy"),
    [
        ("ipvs", 200, "ipvs", True),
        ("iptables", 503, "iptables", False),
        ("nftables\n", 200, "nftables", True),
        ("<html>a stranger's page</html>", 200, "", True),
        ("x" * 100_000, 404, "", False),
    ],
)
async def test_what_kube_proxy_says(mode: str, status: int, shown: str, healthy: bool) -> None:
    async with Proxy(mode, status).serving() as url:
        found = await kube_proxy.ask(url, url)
    assert (found.mode, found.healthy) == (shown, healthy)
    said = f"kube-proxy is not healthy: {url}/healthz answers {status}"
    assert found.message == ("" if healthy else said)


async def test_a_kube_proxy_that_is_not_there_is_said_so() -> None:
    async with Proxy().serving() as url:
        pass
    found = await kube_proxy.ask(url, url)
    assert (found.mode, found.healthy) == ("", None)
    assert found.message.startswith(f"kube-proxy does not answer at {url}/healthz: ")
    assert "onnect" in found.message


async def test_one_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_proxy, "PATIENCE", 0.05)

    ended: asyncio.Queue[None] = asyncio.Queue()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side has had enough
        writer.close()
        ended.put_nowait(None)

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = await kube_proxy.ask(url, url)
        for _ in ("/proxyMode", "/healthz"):
            await ended.get()
    assert found.message == f"kube-proxy does not answer at {url}/healthz: no answer in time"


# --- when it is looked ----------------------------------------------------------------------------

WELL = KubeProxy("ipvs", True)


class Stage:
    """Surroundings of a fake node; ``changes`` counts what the speaker is told."""

    def __init__(self, tree: Tree) -> None:
        self.tree, self.changes, self.proxy = tree, 0, WELL
        self.unheard: set[str] = set()
        self.asked = 0
        self.it = Surroundings(
            tree.files, lambda: self.unheard, self._changed, self._ask, lambda name: len(name)
        )

    def _changed(self) -> None:
        self.changes += 1

    async def _ask(self) -> KubeProxy:
        self.asked += 1
        return self.proxy


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    tree = Tree(tmp_path)
    tree.link("eth0")
    tree.route("eth0")
    return Stage(tree)


async def at_work(stage: Stage, story: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.create_task(stage.it.run())
    while stage.it.sights is None:
        await asyncio.sleep(0.01)
    await story()
    task.cancel()


async def run_for(seconds: float, every: float = 0.5) -> None:
    """Threads need real time, which a looping clock does not give: little by little."""
    for _ in range(int(seconds / every)):
        await asyncio.sleep(every)
        await asyncio.to_thread(int)


@pytest.mark.looptime
async def test_at_rest_it_is_looked_now_and_then_and_nothing_changes(stage: Stage) -> None:
    async def story() -> None:
        await run_for(3 * EVERY + 5)
        assert 3 <= stage.asked <= 5
        assert stage.changes == 1

    await at_work(stage, story)


@pytest.mark.looptime
async def test_a_change_is_told_once(stage: Stage) -> None:
    async def story() -> None:
        stage.proxy = KubeProxy("ipvs", False, "not healthy")
        await run_for(EVERY + 5)
        assert stage.it.sights is not None
        assert stage.it.sights.kube_proxy.healthy is False
        assert stage.changes == 2
        await run_for(EVERY + 5)
        assert stage.changes == 2

    await at_work(stage, story)


@pytest.mark.looptime
async def test_a_change_of_interfaces_is_a_reason_to_look(stage: Stage) -> None:
    async def story() -> None:
        stage.it.interfaces(("eth0",))
        await run_for(3)
        stage.it.interfaces(("eth0",))
        before = stage.asked
        await run_for(3)
        assert stage.asked == before, "the same interfaces are no change"
        stage.tree.link("eth1")
        stage.tree.route("eth1")
        stage.it.interfaces(("eth0", "eth1"))
        await run_for(3)
        assert stage.it.sights is not None
        assert [item.name for item in stage.it.sights.links] == ["eth0", "eth1"]

    await at_work(stage, story)


@pytest.mark.looptime
async def test_a_node_counts_as_unheard_after_a_while(stage: Stage) -> None:
    async def story() -> None:
        stage.unheard = {"n2"}
        await run_for(EVERY + 2)
        assert stage.changes == 1, "a speaker that only restarts is not told of"
        await run_for(EVERY + 2)
        assert stage.it.sights is not None
        assert stage.it.sights.unheard == ("n2",)
        stage.unheard = set()
        await run_for(EVERY + 2)
        assert stage.it.sights.unheard == ()

    await at_work(stage, story)


@pytest.mark.looptime
async def test_a_node_that_cannot_be_looked_at_now_is_looked_at_later(stage: Stage) -> None:
    def fails(_: str) -> int:
        raise OSError(24, "Too many open files")

    async def story() -> None:
        before, count = stage.it.sights, stage.it._count
        stage.tree.link("kube-ipvs0")
        stage.it._count = fails
        await run_for(EVERY + 2)
        assert stage.it.sights == before
        stage.it._count = count
        await run_for(EVERY + 2)
        assert stage.it.sights is not None
        assert stage.it.sights.ipvs_addresses == len("kube-ipvs0")

    await at_work(stage, story)


async def test_ipvs_is_counted_in_both_families(stage: Stage) -> None:
    assert (await stage.it.look()).ipvs_addresses is None
    stage.tree.link("kube-ipvs0")  # where nobody excludes it
    stage.tree.address6("kube-ipvs0", "20010db8" + "0" * 23 + "1")
    found = await stage.it.look()
    assert found.ipvs_addresses == len("kube-ipvs0") + 1
    assert ("kube-ipvs0", "ipvs") in [(item.name, item.kind) for item in found.links]


# --- what the kernel counts -----------------------------------------------------------------------


def test_addresses_are_counted_by_the_kernel() -> None:
    assert count_addresses("lo") >= 1
    assert count_addresses("no-such-link") == 0


def test_a_link_has_a_name_by_its_index() -> None:
    assert link_name(1) == "lo"
    assert link_name(2**30) == ""
