"""The page of a real controller, and `bellmetal ui`, in a real browser.

The controller has the chart's rights with `controller.ui.enabled`; speakers are played by their
reports. The browser is in the network namespace of the controller, as `kubectl port-forward` is.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from kube.scene import SHOP, Scene, stage
from lab.browser import Tab, program, tab
from lab.fixtures import require
from lab.programs import BELLMETAL, NAMESPACE
from lab.waiting import until

pytestmark = pytest.mark.kube

NODES = ("n1", "n2", "n3")
LAN = ["LAN.1/24"]
PORT, OTHER = 8080, 8081
PAGE = f"http://127.0.0.1:{PORT}/"
DRAIN = "bellmetal.io/drain"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Two Services: one is announced, the other has no endpoint; a peer without a session."""
    require()
    program()
    with stage(nodes=3, values={"controller": {"ui": {"enabled": True}}}) as made:
        for name in NODES:
            ready = {"type": "Ready", "status": "True", "reason": "x", "message": "x"}
            made.rest.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": [ready]}})
            made.report(name, eth0=LAN)
        made.start("controller-1", f"--ui-port={PORT}")
        made.programs.wait_leading("controller-1")
        made.pool("lan", "LAN.200-LAN.210")
        made.pool("six", "2001:db8:7::/48", autoAssign=False)
        made.advertise()
        for name in ("web", "empty"):
            made.service(name)
        made.endpoints("web", *NODES)
        until(lambda: made.announced("web"), "it is announced", 15)
        yield made


@contextlib.asynccontextmanager
async def opened(scene: Scene, where: str = PAGE, fragment: str = "") -> AsyncIterator[Tab]:
    async with tab(scene.lab.control_plane_host.command([])) as page:
        await page.size(1280, 900)
        await page.open(where + fragment)
        yield page
        assert page.errors == []
        assert {url for url in page.requests if not url.startswith(where)} == set()


async def test_the_page_shows_the_cluster_and_follows_it(scene: Scene) -> None:
    address, owner = scene.shown("web")[0], (scene.announced("web") or {})["owner"]
    async with opened(scene) as page:
        await page.wait_text("#services", f"{SHOP}/web")
        assert f"{address} on {owner}" in await page.text("#services")
        assert "IPv4: 11 addresses; 2 held, 9 free" in await page.text("#pools")
        assert "led by controller-1 · seen by controller-1" in await page.text("header")
        assert await page.text("#banners") == "", "the chart gives it the rights that it needs"
        await page.run("globalThis.loadedOnce = true")
        scene.node(owner, {DRAIN: "true"})
        await page.wait_text("#timeline", f"{owner} →")
        await page.wait_text("#timeline", f"drain of {owner}")
        assert await page.run("globalThis.loadedOnce") is True
        scene.node(owner, {DRAIN: None})


async def test_a_broken_service_is_explained(scene: Scene) -> None:
    async with opened(scene, fragment=f"#service/{SHOP}%2Fempty") as page:
        await page.wait_text("#details-body", "noEndpoints")
        scene.endpoints("empty", "n1")
        await page.wait_text("#details-body", "NotAnswering")


async def test_sessions_and_what_was_told_of_them_are_shown(scene: Scene) -> None:
    scene.rest.post(
        f"/apis/metallb.io/v1beta2/namespaces/{NAMESPACE}/bgppeers",
        {
            "apiVersion": "metallb.io/v1beta2",
            "kind": "BGPPeer",
            "metadata": {"name": "rack"},
            "spec": {"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.9.1"},
        },
    )
    scene.rest.post(
        f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/bgpsessionstatuses",
        {
            "apiVersion": "bellmetal.io/v1alpha1",
            "kind": "BGPSessionStatus",
            "metadata": {"name": "n1-rack"},
            "status": {
                "node": "n1",
                "peer": "rack",
                "remote": "10.0.9.1",
                "state": "Active",
                "since": "2026-01-01T00:00:00Z",
                "reason": "ConnectionRefused",
                "message": "10.0.9.1 port 179: Connection refused",
                "flaps": 2,
            },
        },
    )
    scene.rest.post(
        f"/api/v1/namespaces/{NAMESPACE}/events",
        {
            "metadata": {"name": "rack.1"},
            "involvedObject": {"kind": "BGPPeer", "name": "rack", "namespace": NAMESPACE},
            "reason": "ConnectionRefused",
            "message": "rack (10.0.9.1): the session is lost",
            "type": "Warning",
            "source": {"component": "metallb-speaker", "host": "n2"},
            "lastTimestamp": "2026-01-02T00:00:00Z",
        },
    )
    async with opened(scene) as page:
        await page.wait_text("#sessions", "10.0.9.1 port 179: Connection refused")
        await page.wait_text("#timeline", "n2: rack (10.0.9.1): the session is lost")
        await page.wait_text("#timeline", "n1: Active, 10.0.9.1 port 179: Connection refused")
        assert await page.text("#banners") == ""


async def test_a_warm_standby_says_who_leads(scene: Scene) -> None:
    process = scene.start("controller-2", f"--ui-port={OTHER}")
    where = f"http://127.0.0.1:{OTHER}/"
    ask = ["curl", "-sf", f"{where}api/state.json"]
    host = scene.lab.control_plane_host
    until(lambda: host.run(ask, check=False).returncode == 0, "it serves", 15)
    assert json.loads(host.run(ask).stdout)["standby"] is True
    async with opened(scene, where) as page:
        await page.wait_text("#banners", "warm standby")
        await page.wait_text("#banners", "controller-1 leads; look there:")
    process.terminate()


def test_the_page_is_on_loopback_alone_and_knows_its_names(scene: Scene) -> None:
    host = scene.lab.control_plane_host
    code = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    assert host.run([*code, PAGE]).stdout == "200"
    assert host.run([*code, "-H", "Host: evil.example", PAGE]).stdout == "403"
    outside = scene.lab.host("n1").run([*code, f"http://{host.address}:{PORT}/"], check=False)
    assert outside.returncode == 7, "connection refused"


async def test_bellmetal_ui_needs_nothing_in_the_cluster(scene: Scene) -> None:
    host = scene.lab.control_plane_host
    command = [*BELLMETAL, "ui", "--port", "0", "--namespace", NAMESPACE]
    process = host.spawn(command, {"KUBECONFIG": str(scene.lab.kubeconfig())}, "ui")
    until(lambda: "until Ctrl-C" in process.log(), "it serves", 15)
    where = process.log().splitlines()[0]
    root = "/".join(where.split("/")[:3])
    code = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    assert host.run([*code, f"{root}/api/state.json"]).stdout == "404"
    async with opened(scene, where) as page:
        await page.wait_text("#services", f"{SHOP}/web")
        assert "led by controller-1 · seen by bellmetal ui" in await page.text("header")
        await page.run(f"location.hash = '#service/{SHOP}%2Fweb'")
        await page.wait_text("#details-body", "advertisement")
    process.signal(signal.SIGINT)
    assert process.wait() == 0


def test_bellmetal_ui_says_why_it_cannot(scene: Scene) -> None:
    host = scene.lab.control_plane_host
    admin = {"KUBECONFIG": str(scene.lab.kubeconfig())}
    taken = host.run([*BELLMETAL, "ui", "--port", str(PORT)], check=False, env=admin)
    sentence = f"bellmetal ui: port {PORT}: Address already in use: choose another one with --port"
    assert (taken.returncode, sentence in taken.stderr) == (1, True), taken.stderr
    speaker = scene.lab.service_account_kubeconfig(NAMESPACE, "bellmetal-speaker", node="n1")
    refused = host.run([*BELLMETAL, "ui"], check=False, env={"KUBECONFIG": str(speaker)})
    assert (refused.returncode, "forbidden" in refused.stderr) == (1, True), refused.stderr
