"""`helm upgrade` and `helm rollback` under a client's eyes; `helm test` says that all is well.

A hundred connections a second to each of two Services on the LAN, and to one by BGP. What
kube-proxy loses by itself, behind a router (test_bgp_cluster.py says how), is not counted: there it
is the routes that must not go, and no connection may be refused. `bench.upgrade` counts all, beside
the rollout of a pod that has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.fixtures import require
from lab.rollout_stage import AGAIN, Played, Stage, stage
from lab.steps import SYSTEM

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

RELEASE = f"bellmetal --namespace {SYSTEM}"
CHANGES = f"--set image.tag={AGAIN} --set speaker.gratuitousARPInterval=60"


@pytest.fixture(scope="module")
def at_work() -> Iterator[Stage]:
    require()
    with stage() as found:
        yield found


def nothing_lost(at_work: Stage, rollout: Callable[[], object]) -> None:
    """All pods are new after it, and neither a connection on the LAN nor a route went."""
    before = at_work.pods()
    played: Played = at_work.play(rollout)
    assert not before & at_work.pods()
    on_lan = [told for p in at_work.on_lan for told in played.failed[p.name]]
    if played.stood_still and (on_lan or played.gone):  # beacons and BFD allow for 0.3 s
        pytest.skip(f"too busy a machine to tell: it stood still for {played.stood_still:.2f} s")
    assert played.gone == ()
    lost = {p.name: spans(played.failed[p.name]) for p in at_work.on_lan}
    assert lost == {p.name: "" for p in at_work.on_lan}
    assert played.refused[at_work.behind.name] == []


def spans(failed: list[str]) -> str:
    """How many connections failed, and the first and the last of them."""
    return f"{len(failed)} failed, from {failed[0]} to {failed[-1]}" if failed else ""


def rolled(at_work: Stage, line: str) -> Callable[[], None]:
    """A command line, and all that comes of it."""

    def rollout() -> None:
        at_work.run(line)
        at_work.wait_rolled()

    return rollout


def test_the_chart_tests_itself(at_work: Stage) -> None:
    said = at_work.run(f"helm test {RELEASE} --logs")
    assert "controllers: 2 of 2 ready; bellmetal-controller-" in said
    assert "speakers: 2 of 2 ready" in said
    assert "addresses: a Service of namespace default would get " in said
    assert "Phase: Succeeded" in " ".join(said.split())
    left = at_work.run(f"kubectl get serviceaccounts,roles,rolebindings -n {SYSTEM} -o name")
    assert "bellmetal-test" not in left


def test_an_upgrade_loses_nothing(at_work: Stage) -> None:
    nothing_lost(at_work, rolled(at_work, f"helm upgrade {CHANGES} {RELEASE} helm/bellmetal"))
    images = at_work.quietly(f"kubectl get pods -n {SYSTEM} -l app=metallb -o yaml")
    assert f"bellmetal:{AGAIN}" in images


def test_and_neither_does_a_rollback(at_work: Stage) -> None:
    nothing_lost(at_work, rolled(at_work, f"helm rollback {RELEASE} 1"))
    images = at_work.quietly(f"kubectl get pods -n {SYSTEM} -l app=metallb -o yaml")
    assert f"image: bellmetal:{AGAIN}" not in images
