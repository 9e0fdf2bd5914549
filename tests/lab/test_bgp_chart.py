"""BGP as the chart installs it: real pods with the chart's rights, a password by a mounted Secret.

The speakers' DaemonSet is rolled while a client connects: graceful restart as people meet it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from lab import make_image
from lab.cluster import Cluster
from lab.fixtures import require
from lab.paths import REPOSITORY
from lab.prober import PATIENCE, Prober
from lab.routers.frr import FRR
from lab.routers.router import Bfd, Family, Neighbor, Plan, Restart
from lab.screen import Screen
from lab.steps import SYSTEM, Steps
from lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

POOL = "198.51.100.0/24"
PASSWORD = "of-the-lab"
BOTH = ("n1", "n2")
OBJECTS = """\
apiVersion: v1
kind: Secret
metadata: {{name: r1, namespace: metallb-system}}
type: kubernetes.io/basic-auth
stringData: {{password: {password}}}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: main, namespace: metallb-system}}
spec: {{addresses: [{pool}]}}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {{name: main, namespace: metallb-system}}
spec: {{}}
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
  passwordSecret: {{name: r1}}
  bfdProfile: fast
  enableGracefulRestart: true
"""


class Stage(Steps):
    """A cluster of two nodes with the chart, and a router that speaks with both."""

    router: FRR

    def begin(self) -> None:
        """Everything at work, the password mounted."""
        host = self.lab.host("r1")
        common = {"password": PASSWORD, "bfd": Bfd(100, 3), "restart": Restart(helper=True)}
        neighbors = tuple(
            Neighbor(64512, self.lab.node(n).address, families=(Family.IPV4,), **common)
            for n in BOTH
        )
        self.router = FRR(host, Plan(64513, host.address, neighbors, kernel=True))
        self.router.start()
        install = f"helm install bellmetal helm/bellmetal --namespace {SYSTEM} --create-namespace"
        self.run(f"{install} --wait --timeout=120s")  # else kinds may not be served yet
        objects = OBJECTS.format(password=PASSWORD, pool=POOL, router=host.address)
        self.run(f"kubectl apply -f - <<'EOF'\n{objects}EOF")
        self.run("kubectl apply -f tests/lab/walkthrough.yaml")
        secret = f"kubectl get secret -n {SYSTEM} bellmetal-bgp-passwords"
        self.run(secret, lambda said: "bellmetal-bgp-passwords" in said, "the Secret", within=60)
        self.rolled()  # pods that are made now have it at once, others after a minute
        self.router.wait_established(timeout=60)

    def rolled(self) -> None:
        """Every speaker's pod is a new one."""
        name = "daemonset/bellmetal-speaker"
        self.run(f"kubectl rollout restart -n {SYSTEM} {name}")
        self.run(f"kubectl rollout status -n {SYSTEM} {name} --timeout=120s")

    def address(self, service: str) -> str:
        """A Service's address, once the router's kernel sends it to both nodes."""
        path = f"/api/v1/namespaces/default/services/{service}"

        def shown() -> str:
            ingress = self.lab.rest.get(path)["status"]["loadBalancer"].get("ingress")
            return str(ingress[0]["ip"]) if ingress else ""

        until(lambda: shown() != "", f"{service} has an address", 30)
        until(lambda: len(self.hops(shown())) == len(BOTH), "two next hops", 60)
        return shown()

    def hops(self, address: str) -> frozenset[str]:
        """Where the router's kernel sends it."""
        return self.router.kernel_routes(Family.IPV4).get(f"{address}/32", frozenset())


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    require()
    image = REPOSITORY / "build" / f"bellmetal-{make_image.version()}.tar"
    make_image.build_image(image)
    with Cluster(nodes=2, clients=1, routers=1, images=[image]) as lab:
        found = Stage(lab, Screen())
        try:
            found.begin()
            yield found
        finally:
            found.router.kill()


def test_signed_sessions_with_bfd_are_up_and_shown(stage: Stage) -> None:
    until(lambda: all(b.up for b in stage.router.bfd().values()), "BFD is up", 20)

    def shown() -> dict[str, tuple[str, str]]:
        line = f"kubectl get bgpsessionstatuses -n {SYSTEM} -o json"
        rows = [item["status"] for item in json.loads(stage.run(line))["items"]]
        return {row["node"]: (row["state"], row.get("bfd", {}).get("state", "")) for row in rows}

    until(lambda: shown() == dict.fromkeys(BOTH, ("Established", "Up")), "both are shown", 20)


def test_a_rolling_update_takes_no_route_away(stage: Stage) -> None:
    address = stage.address("svc1")
    prober = Prober(stage.lab.host("o1"), address)
    until(lambda: sum(item.ok for item in prober.attempts()) > 50, "the client connects", 20)
    with stage.router.watch_kernel() as watch:
        began = time.monotonic()
        stage.rolled()
        stage.router.wait_established(timeout=30)
        time.sleep(PATIENCE + 1.0)
        gone = [c for c in watch.changes() if c.at >= began and c.what == "gone"]
    tried = prober.attempts(began)
    refused = prober.refused(began)  # test_bgp_cluster.py says why these alone
    prober.stop()
    assert gone == []
    assert tried
    assert refused == []


def test_a_node_whose_power_is_cut_is_left_though_restarts_keep_routes(stage: Stage) -> None:
    address = stage.address("svc1")
    until(lambda: all(b.up for b in stage.router.bfd().values()), "BFD is up", 20)
    stage.lab.kill_node("n2")
    until(lambda: len(stage.hops(address)) == 1, "one next hop", 3, every=0.02)
