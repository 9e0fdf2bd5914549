"""The example announcer in real speakers: a web server is told who has an address, and since when.

It follows what layer 2 does: it tells of the node that took over, not of the one that was planned.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lab.bare import Bare
from lab.fixtures import require
from lab.paths import REPOSITORY
from lab.processes import Process
from lab.programs import Programs
from lab.rest import Json
from lab.waiting import until

pytestmark = pytest.mark.lab

EXAMPLE = REPOSITORY / "examples" / "webhook_announcer"
PORT = 8088
SERVER = """
import http.server, sys
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        call = self.rfile.read(int(self.headers["Content-Length"])).decode()
        sys.stdout.write(call + "\\n")  # at once: calls come on several threads
        sys.stdout.flush()
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Hook).serve_forever()
"""


def order(call: Json) -> tuple[int, bool, int]:
    """What claims are compared by."""
    return call["term"], call["firm"], call["epoch"]


class Scene:
    """Three nodes whose speakers have the example installed, one Service, a web server."""

    def __init__(self, lab: Bare, packages: Path) -> None:
        self.lab, self.programs = lab, Programs(lab)
        server = lab.client()
        self.server = server.spawn([sys.executable, "-c", SERVER, str(PORT)], log="hook")
        url = f"http://{server.address}:{PORT}/hook"
        self.environment = {"PYTHONPATH": str(packages), "WEBHOOK_URL": url}
        self.programs.controller()
        self.speakers = {node: self.speaker(node) for node in lab.node_names}
        self.programs.wait_leading("controller-1")
        self.programs.pool("lan", f"{lab.address(255, 200)}-{lab.address(255, 250)}")
        self.programs.advertise()
        self.programs.service("web", lab.node_names)
        self.address = self.programs.address("web")

    def speaker(self, node: str, env: Mapping[str, str] | None = None) -> Process:
        return self.programs.speaker(node, env=self.environment | dict(env or {}))

    def end(self, node: str) -> None:
        """Ends a speaker in an orderly way."""
        self.speakers[node].terminate()
        self.speakers[node].wait(15)

    def calls(self) -> list[Json]:
        """All that the server was told, in the order of arrival."""
        lines = self.server.log().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def holder(self) -> str:
        """Who has the address, as the guide says it is to be read; empty: nobody."""
        last: Json | None = None
        for call in self.calls():
            if call["address"] == self.address and (last is None or order(call) >= order(last)):
                last = call
        return last["node"] if last and last["event"] == "won" else ""

    def wait_holder(self, *nodes: str) -> str:
        until(lambda: self.holder() in nodes, f"the server knows one of {nodes}", every=0.05)
        return self.holder()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    require()
    packages = tmp_path_factory.mktemp("packages")
    packages.chmod(0o755)
    info = packages / "bellmetal_webhook-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bellmetal-webhook\nVersion: 0.1.0")
    entry = "[bellmetal.announcers]\nwebhook = bellmetal_webhook:WebhookAnnouncer\n"
    (info / "entry_points.txt").write_text(entry)
    module = "bellmetal_webhook.py"
    (packages / module).write_text((EXAMPLE / module).read_text())
    with Bare(nodes=3, clients=1) as lab:
        yield Scene(lab, packages)


def test_the_node_that_answers_is_told(scene: Scene) -> None:
    holder = scene.wait_holder(*scene.lab.node_names)
    assert holder == scene.programs.owner("web")


def test_the_one_that_takes_over_is_told_with_a_higher_claim(scene: Scene) -> None:
    dead = scene.wait_holder(*scene.lab.node_names)
    before = max(order(call) for call in scene.calls())
    scene.lab.kill_node(dead)
    heir = scene.wait_holder(*(node for node in scene.lab.node_names if node != dead))
    assert not any(c["event"] == "lost" and c["node"] == dead for c in scene.calls())
    assert max(order(c) for c in scene.calls() if c["node"] == heir) > before
    until(lambda: scene.programs.owners("web") == [heir], "ServiceL2Status says so, too")
    scene.lab.boot_node(dead)
    scene.speakers[dead] = scene.speaker(dead)


def test_an_orderly_end_is_told_by_both(scene: Scene) -> None:
    leaver = scene.wait_holder(*scene.lab.node_names)
    scene.end(leaver)
    others = [node for node in scene.lab.node_names if node != leaver]
    scene.wait_holder(*others)
    lost = [c for c in scene.calls() if c["event"] == "lost" and c["node"] == leaver]
    assert [call["address"] for call in lost] == [scene.address]
    scene.speakers[leaver] = scene.speaker(leaver)


def test_a_speaker_that_cannot_start_it_announces_all_the_same(scene: Scene) -> None:
    node = next(n for n in scene.lab.node_names if n != scene.holder())
    scene.end(node)
    scene.speakers[node] = scene.speaker(node, {"WEBHOOK_URL": ""})
    sentence = "announcer webhook: start failed, the others go on: WEBHOOK_URL is not set"
    until(lambda: sentence in scene.speakers[node].log(), "the log says why")
    until(lambda: '"event": "settled"' in scene.speakers[node].log(), f"{node} has settled")
