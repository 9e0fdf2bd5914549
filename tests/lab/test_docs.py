"""Every page is played on a real cluster: its manifests applied, its commands run, top to bottom.

What cannot be run is shown as skipped, with the reason (`documents.CANNOT_RUN`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from documents import CANNOT_RUN, ELSEWHERE, blocks, cannot_run, inline, pages
from lab import demo
from lab.docs_scene import Page, Reader
from lab.fixtures import require
from lab.screen import Screen

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

POOL = """\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: racks, namespace: metallb-system}
spec: {addresses: [192.0.2.128-192.0.2.191]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: racks, namespace: metallb-system}
spec: {ipAddressPools: [racks]}
"""
OLD = POOL.replace("racks", "old").replace("192.0.2.128-192.0.2.191", "198.18.0.0/28")
WEB = """\
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: NAMESPACE
  annotations: {metallb.io/loadBalancerIPs: ADDRESS}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
"""


def web(namespace: str, address: str) -> str:
    return WEB.replace("NAMESPACE", namespace).replace("ADDRESS", address)


NO_ROUTER = (("bellmetal status bgp", (3,)),)  # no session is up, and that is what it says
PLANS = (("bellmetal plan", (0, 3, 4)),)
FIT = (("bellmetal preflight", (0, 3)),)
BROKEN = (*FIT, ("bellmetal explain", (3,)))  # nothing serves it, and that is what it says
LOST = (("bellmetal plan", (0, 3)),)
PLAYED = [
    Page("docs/installation.md", "", BROKEN, installs=True),
    Page("README.md", installs=True),
    Page("docs/configuration.md", OLD, PLANS),
    Page("docs/layer2.md", POOL + web("default", "192.0.2.130")),
    Page("docs/dual-stack.md"),
    Page("docs/bgp.md", "", NO_ROUTER),
    Page(
        "docs/maintenance.md",
        POOL + web("default", "192.0.2.130") + web("shop", "192.0.2.131"),
        LOST,
    ),
    Page("docs/preflight.md", "", FIT),
    Page("docs/monitoring.md"),
    Page("docs/troubleshooting.md", POOL + web("shop", "192.0.2.131")),
    Page("docs/security.md"),
    Page("docs/standalone.md"),
    Page("announcers/README.md"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    require()
    with demo.cluster(Screen()) as lab:
        desk = tmp_path_factory.mktemp("desk")
        made = Reader(lab, desk)
        (desk / "pools").mkdir()
        (desk / "pools" / "pool.yaml").write_text(POOL)
        (desk / "all.yaml").write_text(POOL)
        yield made


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.path)
def test_a_reader_can_do_what_the_page_says(reader: Reader, page: Page) -> None:
    try:
        done = reader.play(page)
    finally:
        reader.clear(page)
    if page.path == "docs/dual-stack.md":
        (addresses,) = [one.said for one in done if one.command.startswith("kubectl get service")]
        assert addresses == "192.0.2.100 2001:db8:0:1::100"
    if page.path == "docs/maintenance.md":
        orders = [one for one in done if one.command.startswith("bellmetal move")]
        assert "moved: default/web (192.0.2.130)" in orders[0].said
        assert json.loads(orders[-1].said)["outcome"] in ("already there", "ordered")


LOOKING = re.compile("kubectl (get|describe|explain|events|logs) ")
MISUNDERSTOOD = re.compile("resource type|unknown (shorthand )?flag|unknown command|jsonpath|usage")


def test_what_running_text_tells_to_look_at_is_understood(reader: Reader) -> None:
    """Whether it is there is another matter: names in running text stand for the reader's own."""
    told = sorted({command for page in pages() for command in inline(page, "kubectl")})
    said = {command: reader.say(command) for command in told if LOOKING.match(command)}
    assert len(said) > 5
    failed = {command: done.stdout for command, done in said.items() if done.returncode}
    assert {c: text for c, text in failed.items() if MISUNDERSTOOD.search(text.lower())} == {}


def test_every_page_with_commands_is_played() -> None:
    written = {page for page in pages() if any(_left(page))}
    assert written - {page.path for page in PLAYED} - set(ELSEWHERE) == set()


def _left(page: str) -> list[str]:
    """The commands of a page that can be run."""
    found = [command for block in blocks(page, "sh") for command in block.commands()]
    return [command for command in found if not cannot_run(command)]


@pytest.mark.parametrize("begin", CANNOT_RUN)
def test_what_cannot_be_run(begin: str) -> None:
    pytest.skip(f"{begin}… cannot run here, because {CANNOT_RUN[begin]}")
