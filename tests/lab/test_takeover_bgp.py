"""Node by node, for routers: no node speaks BGP for Bellmetal before MetalLB has left it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.fixtures import require
from lab.routers.frr import FRR
from lab.routers.router import Family, Neighbor, Plan
from lab.steps import SYSTEM
from lab.takeover_stage import Stage, stage
from lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

BOTH = ("n1", "n2")
OBJECTS = """\
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {{name: r1, namespace: metallb-system}}
spec: {{myASN: 64512, peerASN: 64513, peerAddress: {router}}}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {{name: r1, namespace: metallb-system}}
spec: {{}}
"""


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, FRR]]:
    require()
    with stage(tmp_path_factory.mktemp("takeover"), nodes=2, routers=1) as found:
        host = found.lab.host("r1")
        families = (Family.IPV4,)
        neighbors = tuple(
            Neighbor(64512, found.lab.node(n).address, families=families) for n in BOTH
        )
        with FRR(host, Plan(64513, host.address, neighbors, kernel=True)) as router:
            found.run(f"kubectl apply -f - <<'EOF'\n{OBJECTS.format(router=host.address)}EOF")
            found.migrate("protect", status=3)
            place = f"metallb {found.chart} -n {SYSTEM}"
            found.run(f"helm upgrade {place} --reuse-values --set crds.enabled=false")
            found.install()
            yield found, router


def hops(at_work: tuple[Stage, FRR]) -> set[str]:
    """The nodes that the router's kernel sends svc1's address to."""
    found, router = at_work
    route = router.kernel_routes(Family.IPV4).get(f"{found.addresses['svc1']}/32", frozenset())
    return {node for node in BOTH if found.lab.node(node).address in route}


def metallb_on(found: Stage) -> set[str]:
    line = f"kubectl get pods -n {SYSTEM} -l app.kubernetes.io/name=metallb -o wide"
    said = found.quietly(line)
    return {node for node in BOTH if any(node in row.split() for row in said.splitlines())}


def test_node_by_node_and_back(at_work: tuple[Stage, FRR]) -> None:
    found, router = at_work
    before, objects = found.metallb(), found.users_objects()
    found.migrate("takeover start")
    assert hops(at_work) == set()
    found.migrate("takeover node n1")
    router.wait_established(found.lab.node("n1").address)
    until(lambda: hops(at_work) == {"n1"}, "routes of n1", 30)
    assert metallb_on(found) == {"n2"}
    assert "node --all" in found.migrate("takeover status")
    found.migrate("takeover node n2")  # the last one: layer 2 goes with it
    until(lambda: hops(at_work) == set(BOTH), "routes of both", 30)
    assert metallb_on(found) == set()
    assert all(found.macs().values())
    found.migrate("takeover rollback --timeout=120")
    until(lambda: hops(at_work) == set(), "no routes of ours", 30)
    assert metallb_on(found) == set(BOTH)
    assert found.users_objects() == objects
    assert found.metallb() == before
