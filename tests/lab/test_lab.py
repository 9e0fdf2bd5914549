"""Coming and going of a lab: side by side, interrupted, killed, left running; nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import fixtures, netns, paths, run
from lab.bare import Bare
from lab.capture import Arp, Frame
from lab.errors import LabError, Timeout
from lab.guard import TESTS
from lab.processes import Record, start_time
from lab.waiting import until

pytestmark = pytest.mark.lab

SMALL: dict[str, Any] = {"nodes": 1, "clients": 0, "kube_proxy": False, "controller_manager": False}
HOLD = """
import signal, sys, time
from lab.bare import Bare
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
with Bare(1, 0, name=sys.argv[1], prefix=sys.argv[2], controller_manager=False) as lab:
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _root() -> None:
    fixtures.require()


class Traces:
    """Whatever there is of one lab on this machine, told from others' that come after it."""

    def __init__(self, found: run.Run) -> None:
        self._name, self._prefix = found.name, found.prefix
        self._link = Path("/sys/class/net", found.host_link, "ifindex")
        self._index = _text(self._link)  # another lab may take the name, not the number

    def left(self) -> list[str]:
        """What is still there."""
        left = netns.existing(self._prefix)
        if (paths.runs() / self._name).exists():
            left.append(self._name)
        if _text(self._link) == self._index:
            left.append(str(self._link))
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return left + [line for line in mounts if f"/run/{self._name}/" in line]

    def wait_gone(self) -> None:
        """Wait until nothing is there."""
        until(lambda: not self.left(), f"{self._name} to be removed", 30)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it is not there, or is going just now
        return "none"


def small(**options: Any) -> Bare:
    """The smallest lab, with a prefix of its own."""
    return Bare(**{**SMALL, "prefix": unique(), **options})


def unique() -> str:
    """A prefix that no other lab has."""
    return f"t{os.getpid() % 10000}{time.monotonic_ns() % 1000000}-"


class Held:
    """A lab in a process of its own, which will meet its end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.child = subprocess.Popen(
            [sys.executable, "-c", HOLD, name, unique()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            start_new_session=True,
        )

    def wait_up(self) -> run.Run:
        """Wait until it is up; its run directory."""
        assert self.child.stdout is not None
        assert self.child.stdout.readline() == "up\n"
        return run.attach(self.name)

    def close(self) -> None:
        """End it."""
        self.child.kill()
        self.child.communicate()


@pytest.fixture
def held() -> Iterator[Held]:
    """A lab that another process holds."""
    lab = Held(f"held-{os.getpid()}-{time.monotonic_ns()}")
    yield lab
    lab.close()


def test_nothing_is_left_of_a_lab() -> None:
    with small() as lab:
        traces = Traces(lab.run)
        pids = [process.pid for process in lab.host("cp").started]
        assert len(traces.left()) >= 4
    assert traces.left() == []
    assert [pid for pid in pids if start_time(pid)] == []


def test_nothing_is_left_after_a_failure_but_its_logs() -> None:
    with pytest.raises(RuntimeError, match="as tests do"), small() as lab:  # noqa: PT012
        traces = Traces(lab.run)
        raise RuntimeError("as tests do")
    assert traces.left() == []
    assert (paths.cache() / "last-failure" / "cp-kube-apiserver.log").exists()


def test_nothing_is_left_when_it_cannot_come_up() -> None:
    lab = small(api_flags=["--no-such-flag"])
    with pytest.raises(LabError, match="unknown flag: --no-such-flag"):
        lab.up()
    assert netns.existing(lab.run.prefix) == []
    assert not lab.run.path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_its_process_is_ended(held: Held, number: int) -> None:
    found = held.wait_up()
    traces = Traces(found)
    held.child.send_signal(number)
    held.child.wait(10)
    traces.wait_gone()


@pytest.mark.parametrize("after", [0.05, 0.3, 1.0])
def test_nothing_is_left_when_it_is_interrupted_while_coming_up(held: Held, after: float) -> None:
    until(lambda: (paths.runs() / held.name / "state.json").exists(), "a beginning", 10)
    found = run.attach(held.name)
    traces = Traces(found)
    time.sleep(after)
    held.child.send_signal(signal.SIGINT)
    held.child.wait(10)
    traces.wait_gone()


def test_leftovers_of_a_crash_are_removed_by_the_next_lab(held: Held) -> None:
    found = held.wait_up()
    traces = Traces(found)
    wardens = [p for p in _children(held.child.pid) if "lab.guard" in _command(p)]
    for warden in wardens:  # as a crash of everything, so that only the next start can help
        os.kill(warden, signal.SIGKILL)
    held.child.kill()
    held.child.wait(10)
    assert traces.left()
    run.sweep()
    assert traces.left() == []


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_labs_stand_side_by_side_and_know_nothing_of_each_other(held: Held) -> None:
    with small() as one:
        other = held.wait_up()
        assert one.run.slot != other.slot
        one.kubectl("create", "namespace", "only-here")
        theirs = Bare.attach(other.name)
        names = theirs.kubectl("get", "namespaces", "-o", "name").stdout
        assert "only-here" not in names
        theirs._close()


def test_a_name_is_taken_once() -> None:
    with small(name=f"twice-{os.getpid()}") as lab:
        again = small(name=lab.run.name)
        with pytest.raises(LabError, match="there is a lab called"):
            again.up()
        assert lab.rest.ready()


def lab_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the lab's command line."""
    return subprocess.run(
        [sys.executable, "-m", "lab.cli", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        timeout=120,
    )


def test_the_command_line_from_up_to_down() -> None:
    name = f"by-hand-{os.getpid()}"
    up = lab_cli("up", "--floor", "bare", "--nodes", "2", "--name", name)
    try:
        assert "is up after" in up.stdout, up.stderr
        run.sweep()  # it is detached: nobody's leftover
        assert "n2" in lab_cli("kubectl", "--name", name, "get", "nodes").stdout
        assert (
            "kubernetes" in lab_cli("--name", name, "kubectl", "-n", "default", "get", "svc").stdout
        )
        assert "kube-proxy" in lab_cli("status", "--name", name).stdout
        assert "172." in lab_cli("shell", "--name", name, "n1", "ip", "addr").stdout
        path = lab_cli("kubeconfig", "--name", name).stdout.strip()
        assert Path(path).exists()
        assert lab_cli("kill-node", "--name", name, "n1").returncode == 0
        killed = lab_cli("status", "--name", name).stdout.split("n1 ")[1].splitlines()[0]
        assert "kube-proxy" not in killed
        assert lab_cli("boot-node", "--name", name, "n1").returncode == 0
        booted = lab_cli("status", "--name", name).stdout.split("n1 ")[1].splitlines()[0]
        assert "kube-proxy" in booted
        traces = Traces(run.attach(name))
    finally:
        down = lab_cli("down", "--name", name)
    assert down.stdout == f"{name} is gone\n", down.stderr
    assert traces.left() == []
    assert (
        lab_cli("kubectl", "--name", name, "get", "nodes").stderr == f"lab: no lab '{name}' is up\n"
    )


def test_behind_a_router() -> None:
    with Bare(nodes=1, clients=1, routers=1, kube_proxy=False, controller_manager=False) as lab:
        node, outside = lab.node(), lab.outsider()
        node.spawn(["sh", "-c", "while :; do sleep 1; done"])
        with node.socket(2, 1) as listening, outside.socket(2, 1) as asking:
            listening.bind((node.address, 8080))
            listening.listen()
            asking.settimeout(3)
            asking.connect((node.address, 8080))
            accepted, (address, _) = listening.accept()
            accepted.close()
        assert address == outside.address  # routed, not translated


def test_the_audit_log_counts_what_was_asked() -> None:
    with small(audit=True) as lab:
        lab.kubectl("create", "namespace", "noted")
        asked = lab.control_plane.audit_events()
    writes = [
        event
        for event in asked
        if event["verb"] == "create" and event["objectRef"].get("name") == "noted"
    ]
    assert len(writes) == 1


CHART = {
    "Chart.yaml": "apiVersion: v2\nname: tried\nversion: 0.1.0\nkubeVersion: '>=1.30.0'\n",
    "values.yaml": "word: none\n",
    "crds/thing.yaml": """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.lab.local}
spec:
  group: lab.local
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
""",
    "templates/all.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {word: "{{ .Values.word }}"}
---
apiVersion: lab.local/v1
kind: Thing
metadata: {name: first}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader-of-things}
rules: [{apiGroups: [lab.local], resources: [things], verbs: [get]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: program}
spec:
  selector: {matchLabels: {app: program}}
  template: {metadata: {labels: {app: program}}, spec: {containers: [{name: c, image: x}]}}
""",
}


def test_a_charts_objects_without_its_workloads(tmp_path: Path) -> None:
    for name, text in CHART.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with small() as lab:
        lab.install_chart_objects({"word": "yes"}, path=tmp_path)
        where = ("-n", "metallb-system")
        assert "yes" in lab.kubectl("get", "configmap", "words", "-o", "yaml", *where).stdout
        assert "first" in lab.kubectl("get", "things", *where).stdout
        assert lab.kubectl("get", "clusterrole", "reader-of-things").returncode == 0
        assert lab.kubectl("get", "deployments", "-A", "-o", "name").stdout == ""


def test_a_record_is_not_taken_for_another_process_with_its_pid() -> None:
    child = subprocess.Popen(["sleep", "60"])
    real = Record.of(child.pid, "real")
    stale = Record(child.pid, real.start - 1, "stale")
    stale.signal(signal.SIGKILL)
    assert real.alive()
    child.kill()
    child.wait()
    assert not real.alive()


def test_what_does_not_come_is_named() -> None:
    with pytest.raises(Timeout, match=r"waited 0.05 s for rain"):
        until(lambda: False, "rain", 0.05)


def test_an_arp_reply_is_read_byte_for_byte() -> None:
    data = bytes.fromhex(
        "ffffffffffff 020000000001 0806 0001 0800 06 04 0002"
        "020000000001 ac140005 ffffffffffff ac140005"
    )
    arp = Arp.parse(Frame(1.5, data))
    assert arp is not None
    assert (arp.reply, arp.sender, arp.sender_mac) == (True, "172.20.0.5", "02:00:00:00:00:01")
    assert arp.gratuitous
    assert Arp.parse(Frame(1.5, data[:41])) is None
