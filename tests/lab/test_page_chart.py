"""The page as the docs say to open it: the chart's value, kubectl port-forward, a browser."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from lab import demo
from lab.browser import program, tab
from lab.fixtures import require
from lab.paths import REPOSITORY
from lab.screen import Screen
from lab.steps import SYSTEM
from lab.story import Story

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

PAGE = "http://127.0.0.1:8080/"


def commands() -> list[str]:
    """Those of the docs that install and lead there."""
    text = (REPOSITORY / "docs" / "page.md").read_text()
    (block,) = re.findall(r"```sh\n(helm upgrade.*?)```", text, re.DOTALL)
    upgrade, forward = block.strip().split("\nkubectl", 1)
    return [upgrade, f"kubectl{forward}"]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """A cluster with the chart installed and Services that have addresses."""
    require()
    program()
    screen = Screen()
    with demo.cluster(screen) as lab:
        story = Story(lab, screen)
        story.install()
        story.services()
        yield story


async def test_the_commands_of_the_docs_lead_to_the_page(story: Story) -> None:
    lab, (upgrade, forward) = story.lab, commands()
    lab.helm(*upgrade.split()[1:], "--wait", "--timeout", "90s")
    host = lab.control_plane_host
    environment = {**lab.environment(), "PATH": f"{lab.binaries}:{os.environ['PATH']}"}
    lab.kubectl("rollout", "status", "deployment/bellmetal-controller", "-n", SYSTEM)
    process = host.spawn(["bash", "-c", forward], environment, "port-forward")
    ask = ["curl", "-sf", "--retry", "20", "--retry-connrefused", "--retry-delay", "1", PAGE]
    assert "<title>Bellmetal</title>" in host.run(ask).stdout, process.log()
    async with tab(host.command([])) as page:
        await page.open(PAGE)
        await page.wait_text("#services", "default/svc1", 30)
        assert story.address in await page.text("#services")
        assert await page.text("#banners") == ""
        await page.run("location.hash = '#service/default%2Fsvc1'")
        await page.wait_text("#details-body", "Nothing is broken, as far as can be seen.", 30)
        assert page.errors == []
        assert {url for url in page.requests if not url.startswith(PAGE)} == set()
    process.terminate()
