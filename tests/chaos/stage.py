"""What chaos is played on: nodes, two controllers, a router; Services on the LAN and by BGP.

Our programs reach the API through a door and have clocks of their own. Services keep to the node
that a client arrives at (`Local`), so that what is measured is the address and not kube-proxy's
knowledge of pods that are gone.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from chaos import door
from chaos.door import Mood
from lab import clock
from lab.bare import Bare
from lab.bgp_cluster import OURS, THEIRS
from lab.clock import Clock
from lab.guard import TESTS
from lab.processes import Process
from lab.programs import NAMESPACE, SECRET, Programs
from lab.routers.frr import FRR
from lab.routers.router import Bfd, Family, Neighbor, Plan
from lab.scene import Scene
from lab.waiting import until

CONTROLLERS = ("controller-1", "controller-2")
ROUTED, POOL = "routed", "198.51.100.0/24"
FAST = {"receiveInterval": 100, "transmitInterval": 100, "detectMultiplier": 3}
LOCAL = {"externalTrafficPolicy": "Local"}
OPTIONS = {"nodes": 3, "clients": 2, "routers": 1, "audit": True}


class Behind(Bare):
    """A bare lab whose ServiceAccounts reach the API through the door."""

    def service_account_kubeconfig(
        self, namespace: str, name: str, node: str | None = None, hours: float = 168
    ) -> Path:
        """As always, with the door's port."""
        path = super().service_account_kubeconfig(namespace, name, node, hours)
        content = json.loads(path.read_text())
        server = f"https://{self.control_plane_host.address}:{door.PORT}"
        content["clusters"][0]["cluster"]["server"] = server
        path.write_text(json.dumps(content))
        return path


def open_door(lab: Behind) -> Path:
    """A door that lets all through; the file with its mood."""
    mood, plane = lab.run.path / "mood", lab.control_plane
    Mood().write(mood)
    script = [sys.executable, "-m", "chaos.door", plane.server, plane.pki.folder, mood]
    found = lab.control_plane_host.spawn(script, {"PYTHONPATH": str(TESTS)}, "door")
    until(lambda: "open" in found.log(), "the door before the API server")
    return mood


class Clocked(Programs):
    """Programs that each have a clock of its own, where there is a compiler to make it."""

    def __init__(self, lab: Bare) -> None:
        self.clocks: dict[str, Clock] = {}
        if clock.compiler() is not None:
            library = clock.build(lab.run.path)
            for name in (*lab.node_names, *CONTROLLERS):
                self.clocks[name] = Clock(library, lab.run.path / f"clock-{name}")
        super().__init__(lab)

    def controller(
        self, name: str = CONTROLLERS[0], *flags: str, env: Mapping[str, str] | None = None
    ) -> Process:
        """With its clock."""
        return super().controller(name, *flags, env={**self._clock(name), **(env or {})})

    def speaker(self, node: str, *flags: str, env: Mapping[str, str] | None = None) -> Process:
        """With its clock."""
        return super().speaker(node, *flags, env={**self._clock(node), **(env or {})})

    def _clock(self, name: str) -> Mapping[str, str]:
        return self.clocks[name].environment if name in self.clocks else {}


class Stage(Scene):
    """Everything at work, and the hands that faults need."""

    def __init__(self, lab: Behind, router: FRR) -> None:
        self.mood, self.router = open_door(lab), router
        self.clocked = Clocked(lab)
        super().__init__(lab, self.clocked)
        self.key = SECRET
        self.running[CONTROLLERS[0]] = self.controller
        self.running[CONTROLLERS[1]] = self.programs.controller(CONTROLLERS[1])
        service = f"/api/v1/namespaces/default/services/{self.service}"
        lab.rest.patch(service, {"spec": LOCAL})
        self.routed = self._speak_bgp()

    @staticmethod
    @contextlib.contextmanager
    def up() -> Iterator[Stage]:
        """One, at work; gone at the end, whatever happened."""
        with Behind(**OPTIONS) as lab, _router(lab) as router:
            yield Stage(lab, router)

    def _speak_bgp(self) -> str:
        """A Service whose address is told to the router alone; the address."""
        programs, router = self.programs, self.router.host.address
        programs.pool("routed", POOL, autoAssign=False)
        programs.advertise(ipAddressPools=["lan"])
        programs.configure("BFDProfile", "fast", FAST)
        peer = {"myASN": OURS, "peerASN": THEIRS, "peerAddress": router}
        peer |= {"holdTime": "9s", "bfdProfile": "fast"}
        programs.configure("BGPPeer", "r1", peer, "v1beta2")
        programs.configure("BGPAdvertisement", "bgp", {"ipAddressPools": ["routed"]})
        chosen = {"metallb.io/address-pool": "routed"}
        programs.service(ROUTED, self.lab.node_names, chosen, **LOCAL)
        return programs.address(ROUTED)

    # --- what faults need -------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """SIGKILL to a speaker, by its node's name, or a controller."""
        self.running[name].kill()

    def launch(self, name: str, **more: object) -> None:
        """Starts a speaker or a controller again, and does not wait for it."""
        if name in CONTROLLERS:
            self.running[name] = self.programs.controller(name)
        else:
            super().launch(name, **more)

    def proxied(self, node: str) -> bool:
        """Whether kube-proxy of a node has rules, in both families, for every node's pods."""
        for family, table in (("IPv4", "ip"), ("IPv6", "ip6")):
            command = ["nft", "list", "table", table, "kube-proxy"]
            rules = self.lab.node(node).run(command, check=False).stdout
            if self.pod(family, node) not in rules:
                return False
        return True

    def rotate(self, node: str, new: str) -> None:
        """Another key of the members' on a node, the one so far beside it."""
        self.programs.secret(node, new, previous=self.key)

    def jump(self, name: str, seconds: int) -> None:
        """Sets a program's wall clock."""
        self.clocked.clocks[name].set(seconds)

    def fill_disk(self, node: str, full: bool) -> None:
        """No byte more on a node's disk, where its speaker writes its state; or all well again."""
        new = self.lab.node(node).dir / "state" / "state.new"
        link = new.with_name("full")
        if full:
            link.symlink_to("/dev/full")
            link.replace(new)
        else:
            new.unlink(missing_ok=True)

    def compact(self) -> None:
        """Lets etcd forget all revisions before the present one."""
        script = f"import urllib.request as u, json\n{_COMPACT}"
        self.lab.control_plane_host.run([sys.executable, "-c", script])

    def lease(self) -> str:
        """The path of the controllers' Lease."""
        group = "/apis/coordination.k8s.io/v1"
        return f"{group}/namespaces/{NAMESPACE}/leases/bellmetal-controller"


# etcd's own JSON gateway: there is no etcdctl here
_COMPACT = """
def ask(path, body):
    data = json.dumps(body).encode()
    with u.urlopen("http://127.0.0.1:2379/v3/kv/" + path, data, 10) as answer:
        return json.load(answer)
revision = ask("range", {"key": "AA=="})["header"]["revision"]
ask("compaction", {"revision": revision, "physical": True})
"""


def _router(lab: Behind) -> FRR:
    host = lab.host("r1")
    nodes = [lab.node(name) for name in lab.node_names]
    neighbors = tuple(
        Neighbor(OURS, node.address, families=(Family.IPV4,), bfd=Bfd(100, 3)) for node in nodes
    )
    return FRR(host, Plan(THEIRS, host.address, neighbors, kernel=True))


def later(seconds: float) -> float:
    """The moment in so many seconds."""
    return time.monotonic() + seconds
