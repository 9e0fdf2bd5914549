"""A cluster with the chart, Services on the LAN and by BGP, and clients that connect all along.

A rollout is played under them; what they lost in it, and which routes went, is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab import make_image
from lab.cluster import Cluster
from lab.paths import REPOSITORY
from lab.prober import PATIENCE, Prober
from lab.routers.frr import FRR
from lab.routers.router import Bfd, Family, Neighbor, Plan, Restart
from lab.screen import Screen
from lab.steps import SYSTEM, Steps
from lab.waiting import until

POOL = "198.51.100.0/24"
IMAGE = "docker.io/library/bellmetal"
AGAIN = "again"  # another tag of the same image
ENOUGH = 300  # attempts of each client, at least
WORKLOADS = ("deployment/bellmetal-controller", "daemonset/bellmetal-speaker")
OBJECTS = """\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: lan, namespace: metallb-system}}
spec: {{addresses: [{lan}]}}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: routed, namespace: metallb-system}}
spec: {{addresses: [{routed}], autoAssign: false}}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {{name: lan, namespace: metallb-system}}
spec: {{ipAddressPools: [lan]}}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {{name: routed, namespace: metallb-system}}
spec: {{ipAddressPools: [routed]}}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {{name: fast, namespace: metallb-system}}
spec: {{receiveInterval: 100, transmitInterval: 100, detectMultiplier: 3}}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {{name: r1, namespace: metallb-system}}
spec:
  myASN: 64512
  peerASN: 64513
  peerAddress: {router}
  holdTime: 9s
  bfdProfile: fast
  enableGracefulRestart: true
---
apiVersion: v1
kind: Service
metadata: {{name: routed, annotations: {{metallb.io/address-pool: routed}}}}
spec: {{type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
# Has nothing to do with any of it: what is lost while it is rolled is the lab's own loss.
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: idle}}
spec:
  selector: {{matchLabels: {{app: idle}}}}
  template:
    metadata: {{labels: {{app: idle}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: idle
        image: lab.local/py:1
        command: [python3, -c, "import time; time.sleep(1e9)"]
---
# As entitled to the processor as a speaker: where it stands still, so may they, without a fault.
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: meter}}
spec:
  selector: {{matchLabels: {{app: meter}}}}
  template:
    metadata: {{labels: {{app: meter}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: meter
        image: lab.local/py:1
        resources: {{requests: {{cpu: 100m}}}}
        command: [python3, -c]
        args:
        - |
          import time
          last = time.monotonic()
          while True:
              time.sleep(0.02)
              now = time.monotonic()
              if now - last > 0.15:
                  print(now, now - last, flush=True)
              last = now
"""


@dataclass(frozen=True)
class Played:
    """One rollout. ``failed``: of each client, by its name; ``gone``: routes of the router.

    ``stood_still``: for how long, at most, a bystander did not run though it wanted to.
    """

    seconds: float
    attempts: int
    failed: dict[str, list[str]]
    refused: dict[str, list[str]]
    gone: tuple[str, ...]
    stood_still: float


class Stage(Steps):
    """Two nodes with the chart, a client on the LAN, and one behind a router."""

    router: FRR

    def begin(self) -> None:
        """Everything at work, both Services reached, the clients connecting."""
        host, lab = self.lab.host("r1"), self.lab
        common = {"bfd": Bfd(100, 3), "restart": Restart(helper=True)}
        neighbors = tuple(
            Neighbor(64512, lab.node(n).address, families=(Family.IPV4,), **common)
            for n in lab.node_names
        )
        self.router = FRR(host, Plan(64513, host.address, neighbors, kernel=True))
        self.router.start()
        install = f"helm install bellmetal helm/bellmetal --namespace {SYSTEM} --create-namespace"
        self.run(f"{install} --wait --timeout=120s")  # else kinds may not be served yet
        lan = f"{lab.address(255, 200)}-{lab.address(255, 250)}"
        objects = OBJECTS.format(lan=lan, routed=POOL, router=host.address)
        self.run(f"kubectl apply -f - <<'EOF'\n{objects}EOF")
        self.run("kubectl apply -f tests/lab/walkthrough.yaml")
        self.wait_rolled()
        self.run("kubectl rollout status deployment/web --timeout=120s")
        for name in ("idle", "meter"):
            self.run(f"kubectl rollout status daemonset/{name} --timeout=120s")
        self.router.wait_established(timeout=60)
        self._connect()

    def _connect(self) -> None:
        near, far = self.address("svc1"), self.address("routed")
        until(lambda: len(self.hops(far)) == len(self.lab.node_names), "a next hop each", 60)
        client = self.lab.client()
        self.on_lan = [Prober(client, near), Prober(client, self.address("svc2"), fresh=True)]
        self.behind = Prober(self.lab.host("o1"), far)
        for prober in self.probers:
            until(lambda p=prober: self._connects(p), f"{prober.name} connects", 60)

    @staticmethod
    def _connects(prober: Prober) -> bool:
        last = prober.attempts()[-50:]
        return len(last) == 50 and all(item.ok for item in last)

    @property
    def probers(self) -> list[Prober]:
        """All clients."""
        return [*self.on_lan, self.behind]

    def address(self, service: str) -> str:
        """A Service's address, once it has one."""
        path = f"/api/v1/namespaces/default/services/{service}"

        def shown() -> str:
            ingress = self.lab.rest.get(path)["status"]["loadBalancer"].get("ingress")
            return str(ingress[0]["ip"]) if ingress else ""

        until(lambda: shown() != "", f"{service} has an address", 30)
        return shown()

    def hops(self, address: str) -> frozenset[str]:
        """Where the router's kernel sends it."""
        return self.router.kernel_routes(Family.IPV4).get(f"{address}/32", frozenset())

    def tag(self) -> None:
        """The image by another name, as a new version would be; a pod with it is a new pod."""
        ctr = self.lab.binaries / "ctr"
        for name in self.lab.node_names:
            tags = [f"{IMAGE}:{make_image.version()}", f"{IMAGE}:{AGAIN}"]
            self.lab.node(name).run([ctr, "-n", "k8s.io", "images", "tag", *tags])

    def wait_rolled(self) -> None:
        """Controllers and speakers are as they should be, all of them."""
        for what in WORKLOADS:
            self.run(f"kubectl rollout status -n {SYSTEM} {what} --timeout=180s")

    def pods(self) -> set[str]:
        """The names of the programs' pods."""
        line = f"kubectl get pods -n {SYSTEM} -l app=metallb -o name"
        return set(self.quietly(line).split())

    def play(self, rollout: Callable[[], object]) -> Played:
        """Plays a rollout under the clients; what it cost."""
        with self.router.watch_kernel() as watch:
            began = time.monotonic()
            rollout()
            seconds = time.monotonic() - began
            self.router.wait_established(timeout=30)
            until(lambda: min(len(p.attempts(began)) for p in self.probers) >= ENOUGH, "enough", 60)
            time.sleep(PATIENCE + 0.5)
            gone = [c.prefix for c in watch.changes() if c.at >= began and c.what == "gone"]
        return Played(
            seconds=seconds,
            attempts=sum(len(p.attempts(began)) for p in self.probers),
            failed={p.name: p.broken(began) for p in self.probers},
            refused={p.name: p.refused(began) for p in self.probers},
            gone=tuple(gone),
            stood_still=self.stood_still(began),
        )

    def stood_still(self, since: float) -> float:
        """How long a bystander had to wait for a processor, at most, since a moment; or 0."""
        rows = self.quietly("kubectl logs -l app=meter --tail=-1").splitlines()
        pairs = [tuple(map(float, row.split())) for row in rows]
        return max((gap for at, gap in pairs if at >= since), default=0.0)


@contextmanager
def stage(screen: Screen | None = None) -> Iterator[Stage]:
    """Brings it up, and takes it down."""
    image = REPOSITORY / "build" / f"bellmetal-{make_image.version()}.tar"
    make_image.build_image(image)
    with Cluster(nodes=2, clients=1, routers=1, images=[image]) as lab:
        found = Stage(lab, screen or Screen())
        try:
            found.begin()
            found.tag()
            yield found
        finally:
            if hasattr(found, "router"):
                found.router.kill()
