"""What most layer-2 tests and benchmarks play on: a dual-stack Service on three bare nodes.

Speakers and web servers on every node, clients that connect, a sniffer that says who answered.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from lab.asker import Asker
from lab.bare import Bare
from lab.capture import TALK, Capture
from lab.endpoints import WEB_PORT, endpoint_slice
from lab.prober import Prober
from lab.processes import Process
from lab.programs import NAMESPACE, WEB, Programs
from lab.waiting import until

DUAL = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
SETTLED = b'"event": "settled"'
WARM, FRESH = "c1", "c2"  # clients: one keeps its neighbours, the other asks for each connection
ASK = 0.0025  # seconds between two questions; with two addresses each is asked for every 5 ms


class Speakers:
    """The speakers on a bare lab's nodes, as they end and are started again."""

    title: ClassVar[str] = "three nodes"
    options: ClassVar[Mapping[str, Any]] = {"nodes": 3, "clients": 2}  # the lab that it plays on

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Speakers]:
        """A lab with one of this kind on it, at work; both are gone at the end."""
        with Bare(**cls.options) as lab:
            yield cls(lab)  # type: ignore[call-arg]  # each kind makes its own programs

    def __init__(self, lab: Bare, programs: Programs) -> None:
        self.lab, self.programs = lab, programs
        self.running: dict[str, Process] = {}
        self._read: dict[str, int] = {}  # how much of its log a speaker's forerunners wrote

    def others(self, node: str) -> list[str]:
        """All nodes but one."""
        return [name for name in self.lab.node_names if name != node]

    def start(self) -> None:
        """Starts them all; waits until they take part."""
        for node in self.lab.node_names:
            self.running[node] = self.programs.speaker(node)
        self.wait_settled(*self.lab.node_names)

    def launch(self, node: str, **more: Any) -> None:
        """Starts a node's speaker again (as `Programs.speaker` does), and does not wait for it."""
        self._read[node] = self.running[node].log_path.stat().st_size
        self.running[node] = self.programs.speaker(node, **more)

    def start_speaker(self, node: str) -> float:
        """Starts a node's speaker again, and waits until it takes part; when it was started."""
        began = time.monotonic()
        self.launch(node)
        self.wait_settled(node)
        return began

    def wait_settled(self, *nodes: str) -> None:
        """Until these speakers have exchanged claims since they were started."""
        for node in nodes:
            until(partial(self.settled, node), f"{node} has settled", every=0.05)

    def settled(self, node: str) -> bool:
        """Whether a speaker has exchanged claims since it was launched."""
        with self.running[node].log_path.open("rb") as log:
            log.seek(self._read.get(node, 0))
            return SETTLED in log.read()

    def findings(self, node: str) -> dict[str, str]:
        """What a node's report says is wrong: code → message."""
        path = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/speakerreports/{node}"
        report: dict[str, Any] = self.lab.rest.get(path)
        return {item["code"]: item["message"] for item in report["status"].get("findings", [])}


class Plain(Speakers):
    """Three nodes with speakers and web servers, one IPv4 Service on all of them."""

    def __init__(self, lab: Bare) -> None:
        super().__init__(lab, Programs(lab))
        self.running = self.programs.start()
        for node in lab.node_names:
            self.programs.web(node)
        self.programs.pool("lan", f"{lab.address(255, 200)}-{lab.address(255, 250)}")
        self.programs.advertise()
        self.programs.service("web", lab.node_names)
        self.address = self.programs.address("web")


class Scene(Speakers):
    """Three nodes with speakers and web servers, one dual-stack Service on all of them."""

    service = "web"

    def __init__(self, lab: Bare, programs: Programs | None = None) -> None:
        super().__init__(lab, programs or Programs(lab))
        self.controller = self.programs.controller("controller-1")
        self.start()
        self.programs.wait_leading("controller-1")
        for node in lab.node_names:
            self.web(node)
        v4 = f"{lab.address(255, 200)}-{lab.address(255, 250)}"
        v6 = f"{lab.address6(0xFF00)}-{lab.address6(0xFFFF)}"
        self.programs.pool("lan", v4, v6)
        self.programs.advertise()
        self.programs.service(self.service, **DUAL)
        self.endpoints(lab.node_names)
        until(lambda: len(self.programs.shown(self.service)) == 2, "two addresses")
        self.addresses: list[str] = self.programs.shown(self.service)
        for address in self.addresses:
            until(partial(self._answers, address), f"an answer at {address}")

    def _answers(self, address: str) -> bool:
        host = f"[{address}]" if ":" in address else address
        command = ["curl", "-s", "-g", "-m", "2", f"http://{host}"]
        return "saw" in self.lab.client().run(command, check=False).stdout

    # --- nodes ------------------------------------------------------------------------------------

    def owner(self) -> str:
        """The node that owns the addresses, once speakers and controller agree on it."""
        until(self._agreed, "one owner, which the controller has named", 20, every=0.05)
        return self.programs.named_owner()

    def _agreed(self) -> bool:
        return self.programs.owners(self.service) == [self.programs.named_owner()]

    def web(self, node: str) -> None:
        """Servers in the place of a pod, of both families (``::``: the pod's is not bindable)."""
        self.programs.web(node)
        command = [sys.executable, "-c", WEB, "::", node, str(WEB_PORT)]
        self.lab.node(node).spawn(command, log="web6")

    def boot(self, node: str) -> None:
        """Switches a node on again; its speaker is the caller's to start."""
        self.lab.boot_node(node)
        self.web(node)

    def repair(self) -> None:
        """Everything as it was: no fault, every program at work, every node serving."""
        self.lab.heal()
        for node in self.lab.node_names:
            self.lab.join(node)
            if not self.running[node].alive:
                self.start_speaker(node)
            self.running[node].resume()
        self.endpoints(self.lab.node_names)

    # --- what is served where ---------------------------------------------------------------------

    def endpoints(self, nodes: Iterable[str], ending: str = "") -> None:
        """Says which nodes serve, in both families; the endpoint of ``ending`` is about to go."""
        chosen = list(nodes)
        self.lab.apply([self._slice(family, chosen, ending) for family in ("IPv4", "IPv6")])

    def _slice(self, family: str, nodes: list[str], ending: str) -> dict[str, Any]:
        name = f"{self.service}-{family.lower()}"
        pods = {node: self.pod(family, node) for node in nodes}
        return endpoint_slice(self.service, pods, name, family, ending)

    def pod(self, family: str, node: str) -> str:
        """The address of what serves on a node."""
        of = self.lab.pod_address if family == "IPv4" else self.lab.pod_address6
        return of(node, 5)

    def leave_out(self, node: str) -> None:
        """Takes a node's endpoints away, and waits until kube-proxy has followed elsewhere.

        What is measured after that is the address, not kube-proxy's knowledge of dead pods.
        """
        self.endpoints(self.others(node))
        for other in self.others(node):
            what = f"kube-proxy of {other} has followed"
            until(partial(self._followed, other, without=node), what, every=0.1)

    def _followed(self, node: str, without: str) -> bool:
        for family, table in (("IPv4", "ip"), ("IPv6", "ip6")):
            command = ["nft", "list", "table", table, "kube-proxy"]
            rules = self.lab.node(node).run(command).stdout
            if self.pod(family, without) in rules:
                return False
            if not all(self.pod(family, name) in rules for name in self.others(without)):
                return False
        return True

    # --- looking ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def clients(self, fresh: bool = False) -> Iterator[list[Prober]]:
        """Clients that connect to both addresses every 10 ms; ``fresh``: these alone that ask."""
        host = self.lab.client(FRESH if fresh else WARM)
        found = [Prober(host, address, fresh=fresh) for address in self.addresses]
        try:
            for prober in found:
                until(partial(_connects, prober), f"{prober.name} connects", every=0.1)
            yield found
        finally:
            for prober in found:
                prober.stop()

    @contextlib.contextmanager
    def asking(self) -> Iterator[Capture]:
        """A sniffer, while somebody at the switch asks for each address every 5 ms."""
        with self.lab.capture("lan", TALK) as capture, Asker(self.lab, self.addresses, ASK):
            yield capture


def _connects(prober: Prober) -> bool:
    return sum(item.ok for item in prober.attempts()) >= 20
