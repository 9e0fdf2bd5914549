"""The page in a real browser, on a situation in memory: what is seen, typed and asked for.

With a real controller it is in `tests/kube/test_page.py`. `pytest tests/lab/test_page.py --golden`
takes the pictures of the docs anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bellmetal.api import ApiError
from bellmetal.config import Problem
from builders import advertisement, cluster, pool, service
from lab.browser import Tab, tab
from lab.paths import REPOSITORY
from page_stage import Told, example, moved, served
from situations import settled

pytestmark = pytest.mark.lab

IMAGES = REPOSITORY / "docs" / "images"
MOST_BYTES = 250_000  # of a picture


@contextlib.asynccontextmanager
async def opened(source: Told, fragment: str = "") -> AsyncIterator[Tab]:
    """The page, open; at its end it has logged no error and asked nobody else for anything."""
    async with served(source) as where, tab() as page:
        await page.size(1280, 900)
        await page.open(where + fragment)
        yield page
        assert page.errors == []
        assert page.requests
        assert {url for url in page.requests if not url.startswith(where)} == set()


async def test_pools_owners_and_services_are_shown() -> None:
    async with opened(Told(example())) as page:
        await page.wait_text("#services", "apps/web")
        assert "192.0.2.1 on n2" in await page.text("#services")
        assert "10.16.0.0 by BGP from 3 nodes" in await page.text("#services")
        assert "IPv4: 63 addresses; 10 held, 1 reserved, 1 cooling, 51 free" in await page.text(
            "#pools"
        )
        assert "2⁸⁰ free" in await page.text("#pools")
        assert "led by bellmetal-controller-1" in await page.text("header")
        label = "document.querySelector('[data-first=\"192.0.2.1\"]').getAttribute('aria-label')"
        assert await page.run(label) == "192.0.2.1: held by apps/web, on n2"


async def test_a_broken_service_is_explained() -> None:
    async with opened(Told(example())) as page:
        await page.wait_text("#services", "apps/video")
        await page.run("[...document.links].find(a => a.textContent === 'apps/video').click()")
        await page.wait_text("#details-body", "Nothing serves the Service (noEndpoints)")
        said = await page.text("#details-body")
        assert "kubectl get endpointslices -n apps -l kubernetes.io/service-name=video" in said
        assert (await page.run("location.hash")) == "#service/apps%2Fvideo"


async def test_a_move_appears_without_reloading() -> None:
    source = Told(example())
    async with opened(source) as page:
        await page.wait_text("#timeline", "given to apps/web")
        await page.run("globalThis.loadedOnce = true")
        why = "took over from n2: its speaker was silent or stopped"
        source.situation = moved(example(), "192.0.2.4", "n1", why, "2026-06-01T12:00:01Z")
        await page.wait_text("#timeline li:first-child", f"192.0.2.4 n2 → n1: {why}")
        await page.wait_text("#services", "192.0.2.4 on n1")
        assert await page.run("globalThis.loadedOnce") is True


async def test_what_is_opened_follows_the_cluster_too() -> None:
    source = Told(example())
    async with opened(source, "#service/apps%2Fvideo") as page:
        await page.wait_text("#details-body", "noEndpoints")
        endpoints = dict(example().cluster.endpoints)
        endpoints["apps/video"] = endpoints["apps/web"]
        source.situation = settled(replace(example().cluster, endpoints=endpoints))
        await page.wait_text("#details-body", "Nothing is broken, as far as can be seen.")


async def test_hostile_texts_are_shown_and_do_nothing() -> None:
    nasty = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    situation = replace(
        example(), problems=(Problem("IPAddressPool", "lan", "spec.addresses[0]", nasty),)
    )
    source = Told(situation)
    source.unread = (nasty,)
    async with opened(source) as page:
        await page.wait_text("#banners", f"Not everything could be read: {nasty}")
        assert f"spec.addresses[0]: {nasty}" in await page.text("#banners")
        assert await page.run("document.querySelectorAll('img, script').length") == 1
        refused = "try { document.body.innerHTML = '<b>x</b>'; 'done' } catch (e) { e.name }"
        assert await page.run(refused) == "TypeError"
        page.errors.clear()  # the browser tells that it has refused it


async def test_the_keyboard_is_enough() -> None:
    async with opened(Told(example())) as page:
        await page.wait_text("#services", "apps/web")
        await page.run("document.querySelector('[data-first=\"192.0.2.0\"]').focus()")
        await page.press("ArrowRight")
        focus = "document.activeElement.dataset.first"
        assert await page.run(focus) == "192.0.2.1"
        await page.press("Enter")
        await page.wait_text("#details-body", "What happened to it")
        assert "n1 → n2: took over from n1" in await page.text("#details-body")
        await page.press("Escape")
        await page.wait("!document.getElementById('details').open", "it is closed")
        assert await page.run(focus) == "192.0.2.1"
        tabbable = "document.querySelectorAll('.map .cell:not([tabindex=\"-1\"])').length"
        assert await page.run(tabbable) == 3  # one for each map


async def test_services_are_found() -> None:
    async with opened(Told(example())) as page:
        await page.wait_text("#services", "apps/web")
        await page.run(
            "wanted.value = 'gateway-1'; wanted.dispatchEvent(new Event('input', {bubbles: true}))"
        )
        await page.wait_text("#matching", "4 Services")
        assert "apps/web" not in await page.text("#services")


@pytest.mark.parametrize("dark", [False, True])
async def test_it_can_be_read_on_a_phone(dark: bool) -> None:
    async with opened(Told(example()), "#service/apps%2Fvideo") as page:
        await page.size(360, 740, dark)
        await page.wait_text("#details-body", "noEndpoints")
        assert await page.run("document.documentElement.scrollWidth") <= 360
        assert await page.run("document.getElementById('details').scrollWidth") <= 360


async def test_ten_thousand_addresses_are_drawn_and_looked_into() -> None:
    many = [service(f"ns-{n % 50}/service-{n}", pool="big") for n in range(10_000)]
    pools = [pool("big", "10.16.0.0/12"), pool("six", "2001:db8::/48")]
    situation = settled(cluster(*many, pools=pools, advertisements=[advertisement()]))
    async with opened(Told(situation)) as page:
        await page.wait_text("#matching", "10,000 Services, the first 200 are listed", 30)
        assert await page.run("document.querySelectorAll('.cell').length") < 1200
        await page.run("document.querySelector('#pools .cell.block').click()")
        await page.wait("document.querySelectorAll('#details .cell.held').length === 16", "a block")


async def test_a_cluster_that_is_away_leaves_what_was_seen() -> None:
    source = Told(example())
    async with opened(source) as page:
        await page.wait_text("#services", "apps/web")
        source.error = ApiError(0, "", "the API server did not answer: Connection refused")
        await page.wait_text("#pulse", "the API server did not answer: Connection refused")
        assert "stale since" in await page.text("#pulse")
        assert "apps/web" in await page.text("#services")
        page.errors.clear()  # the browser tells of the 503


async def test_a_warm_standby_says_who_leads() -> None:
    async with opened(Told(None)) as page:
        await page.wait_text("#banners", "bellmetal-controller-2 leads; look there:")
        command = "kubectl -n metallb-system port-forward pod/bellmetal-controller-2 …"
        assert command in await page.text("#banners")
        assert await page.run("document.getElementById('main').hidden") is True


PICTURES = [
    ("page.png", "", 1280, 1000, False),
    ("page-explanation.png", "#service/apps%2Fvideo", 1280, 760, True),
    ("page-phone.png", "", 390, 844, False),
]


@pytest.mark.parametrize(("name", "fragment", "width", "height", "dark"), PICTURES)
async def test_pictures_of_the_docs(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    name: str,
    fragment: str,
    width: int,
    height: int,
    dark: bool,
) -> None:
    folder = IMAGES if request.config.getoption("--golden") else tmp_path
    async with opened(Told(example()), fragment) as page:
        await page.size(width, height, dark)
        where, what = ("#details-body", "noEndpoints") if fragment else ("#services", "apps/web")
        await page.wait_text(where, what)
        await page.run("pulse('live', 'live, 12:00:00 UTC')")
        await page.picture(folder / name)
    drawn = await asyncio.to_thread((folder / name).read_bytes)
    kept = await asyncio.to_thread((IMAGES / name).read_bytes)
    for picture in (drawn, kept):
        assert picture[16:24] == width.to_bytes(4, "big") + height.to_bytes(4, "big")
        assert len(picture) < MOST_BYTES
