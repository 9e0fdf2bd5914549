"""MetalLB (a stand-in that does what is seen of it) is replaced under clients, given back, and
replaced for good: no address changes, no connection fails, no object of users is written to.

The steps are those of docs/migration.md.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab.fixtures import require
from lab.prober import PATIENCE
from lab.steps import SYSTEM
from lab.takeover_stage import Stage, stage
from lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.cluster]

FOREVER = "--take-ownership --force-conflicts --set crds.takeOwnership=true"


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    require()
    with stage(tmp_path_factory.mktemp("takeover")) as found:
        yield found


def test_before_it_begins_what_would_go_wrong_is_said(at_work: Stage) -> None:
    said = at_work.migrate("takeover start", status=3)
    assert "`helm uninstall metallb` would delete 9 CRDs" in said
    said = at_work.migrate(f"protect --metallb-chart={at_work.chart}", status=3)
    line = next(line for line in said.splitlines() if "helm upgrade" in line)
    at_work.run(line.strip())
    assert "PROTECTED" in at_work.migrate("protect")
    assert "Bellmetal is not installed beside MetalLB" in at_work.migrate(
        "takeover start", status=3
    )
    assert "READY" in at_work.migrate("check")
    at_work.asked = at_work.metallb()


def test_it_is_taken_over_under_clients_and_no_connection_is_lost(at_work: Stage) -> None:
    before, began = at_work.users_objects(), time.monotonic()
    at_work.install()
    said = at_work.migrate("takeover status")
    assert "takeover: has not begun" in said
    with at_work.held("svc3") as connection:
        at_work.migrate("takeover start")
        assert at_work.migrate("takeover start").startswith("Bellmetal decides")  # may be repeated
        assert "next: bellmetal migrate takeover node --all" in at_work.migrate("takeover status")
        owners, steady = at_work.macs(), at_work.ready_since()
        at_work.migrate("takeover node --all")
        time.sleep(PATIENCE + 0.5)
        assert at_work.failures(began) == {prober.name: [] for prober in at_work.probers}
        answer, _ = connection.communicate("\n", timeout=10)
    assert at_work.shown() == at_work.addresses
    begun = at_work.tenures()
    if at_work.ready_since() == steady:  # else a machine that stood still made one not ready
        first = {name: {nodes[0]} for name, nodes in begun.items()}
        assert first == owners, at_work.said_of_owners()  # no client sees another
    if len(begun["svc3"]) == 1:  # a machine that stands still for long makes an address move
        assert answer.startswith("HTTP/1.0 200"), "a connection that stood has outlived it"
    assert at_work.users_objects() == before
    assert "metallb-speaker" not in at_work.quietly(f"kubectl get pods -n {SYSTEM} -o name")


def test_it_is_given_back_and_all_is_as_before(at_work: Stage) -> None:
    before, began = at_work.users_objects(), time.monotonic()
    at_work.migrate("takeover rollback")
    time.sleep(PATIENCE + 0.5)
    assert at_work.failures(began) == {prober.name: [] for prober in at_work.probers}
    assert at_work.shown() == at_work.addresses
    assert at_work.users_objects() == before
    assert at_work.metallb() == at_work.asked
    assert "no takeover is under way" in at_work.migrate("takeover rollback")
    at_work.run("kubectl create service loadbalancer later --tcp=80:8080")
    path = "/api/v1/namespaces/default/services/later"

    def given() -> bool:
        return bool(at_work.lab.rest.get(path)["status"]["loadBalancer"].get("ingress"))

    until(given, "MetalLB gives addresses again", 20)
    writers = {item["manager"] for item in at_work.lab.rest.get(path)["metadata"]["managedFields"]}
    assert "bellmetal" not in writers


def test_and_for_good(at_work: Stage) -> None:
    before, began = at_work.users_objects(), time.monotonic()
    at_work.migrate("takeover start")
    at_work.migrate("takeover node --all")
    said = at_work.migrate("takeover finish", status=3)
    at_work.run(_command(said, "helm uninstall metallb"))
    said = at_work.migrate("takeover finish", status=3)
    assert _command(said, "helm upgrade bellmetal").endswith(FOREVER)
    at_work.run(_command(said, "helm upgrade bellmetal").replace("FILE", str(at_work.values)))
    for what in ("deployment/bellmetal-controller", "daemonset/bellmetal-speaker"):
        at_work.run(f"kubectl rollout status -n {SYSTEM} {what} --timeout=120s")
    assert at_work.migrate("takeover finish").startswith("FINISHED")
    assert at_work.migrate("takeover finish").startswith("FINISHED")
    time.sleep(PATIENCE + 0.5)
    assert at_work.failures(began) == {prober.name: [] for prober in at_work.probers}
    after = at_work.users_objects()
    assert after == before
    assert at_work.shown() == at_work.addresses


def _command(said: str, beginning: str) -> str:
    return next(line.strip() for line in said.splitlines() if line.strip().startswith(beginning))
