"""`bellmetal preflight` on a real API server: nothing where all is well, and each planted fault."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kube.healthy import (
    CORE,
    Place,
    healthy,
)
from kube.installed import NAMESPACE
from kube.planted import FAULTS, WEBHOOKS, Plant, left_webhook
from lab.bare import Bare
from lab.fixtures import require
from lab.programs import BELLMETAL
from lab.rest import Json
from lab.waiting import until

pytestmark = pytest.mark.kube

USUAL = {"PoolInSubnet"}  # the note that a pool is where the nodes are


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with healthy() as found:
        yield found


# --- what is said --------------------------------------------------------------------------------


def test_where_all_is_well_there_is_no_warning(place: Place) -> None:
    answer = place.asked()
    assert codes(answer) == USUAL
    assert answer["status"] == 0
    skipped = {item["check"]: item["why"] for item in answer["skipped"]}
    assert skipped == {"the clocks of nodes agree with the API server's": "no kubelet has a Lease"}
    assert answer["about"]["namespace"] == NAMESPACE
    assert answer["about"]["kubeProxy"] == "nftables"


@pytest.mark.parametrize(
    ("plant", "expected"), FAULTS, ids=["+".join(sorted(names)) for _, names in FAULTS]
)
def test_a_fault_is_found_and_nothing_besides(
    place: Place, plant: Plant, expected: set[str]
) -> None:
    with plant(place):
        done = place.run("--output=json")
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert codes(answer) - USUAL == expected
    worst = {item["level"] for item in answer["findings"]}
    assert done.returncode == (4 if "failure" in worst else 3)
    assert all(item["todo"] for item in answer["findings"] if item["code"] in expected)


def test_what_it_says_to_do_helps(place: Place) -> None:
    """Commands are typed as they stand there."""
    with left_webhook(place):
        (finding,) = (x for x in place.asked()["findings"] if x["code"] == "WebhookLeftBehind")
        words = finding["todo"].split()
        assert words[0] == "kubectl"
        place.lab.kubectl(*words[1:])
        assert codes(place.asked()) == USUAL
        place.create(WEBHOOKS, {"metadata": {"name": words[-1]}})  # for the plant to take away


def test_somebody_without_rights_is_told_so_and_what_grants_them(place: Place) -> None:
    account = {"metadata": {"name": "nobody"}}
    with place.there(f"{CORE}/namespaces/default/serviceaccounts", account):
        config = place.lab.service_account_kubeconfig("default", "nobody")
        done = place.run(kubeconfig=config)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "bellmetal preflight: system:serviceaccount:default:nobody may read nothing of this"
            " cluster that there is to judge: use the KUBECONFIG of an administrator (kubectl auth"
            " can-i --list says what yours may)\n"
        )
        some = ("--verb=get,list", "--resource=deployments,daemonsets,pods,namespaces")
        place.lab.kubectl("create", "clusterrole", "nobody-views", *some)
        view = ("--clusterrole=nobody-views", "--serviceaccount=default:nobody")
        place.lab.kubectl("create", "clusterrolebinding", "nobody-views", *view)
        try:
            until(lambda: place.run(kubeconfig=config).returncode == 3, "what it may read is read")
            answer = place.asked(config)
            refused = [x for x in answer["findings"] if x["code"] == "NotRead"]
            assert "nodes" in {x["object"] for x in refused}
            assert "NotKnown" in codes(answer)  # who may not read Secrets is not to blame
            for item in refused:
                for command in item["todo"].split(" && "):
                    place.lab.kubectl(*command.split()[1:])
            until(lambda: "NotRead" not in codes(place.asked(config)), "the rights are there")
        finally:
            place.lab.kubectl("delete", "clusterrolebinding,clusterrole", "nobody-views")
    assert "UserLacksRight" in codes(answer)


def test_it_writes_nothing(place: Place) -> None:
    mark = len(place.lab.control_plane.audit_events())
    place.asked()
    asked = [
        item
        for item in place.lab.control_plane.audit_events()[mark:]
        if item.get("userAgent", "").startswith("bellmetal/")
    ]
    wrote = {item["objectRef"]["resource"] for item in asked if item["verb"] not in ("get", "list")}
    assert wrote == {"selfsubjectaccessreviews", "selfsubjectreviews", "subjectaccessreviews"}


def test_as_kubectls_plug_in(place: Place) -> None:
    """kubectl finds it in PATH; what it says of itself is what was typed."""
    host, scripts = place.lab.control_plane_host, Path(BELLMETAL[0]).parent
    environment = {
        "KUBECONFIG": str(place.lab.kubeconfig()),
        "PATH": f"{scripts}:{os.environ['PATH']}",
    }
    kubectl = str(place.lab.binaries / "kubectl")
    place.lead()
    argv = [kubectl, "bellmetal", "preflight", f"--namespace={NAMESPACE}"]
    done = host.run(argv, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("API server: v1.")
    helped = host.run([kubectl, "bellmetal", "preflight", "--help"], env=environment).stdout
    assert helped.startswith("usage: kubectl bellmetal preflight [-h]")


# --- other clusters ------------------------------------------------------------------------------


def test_before_an_installation_and_where_nobody_answers(tmp_path: Path) -> None:
    require()
    with Bare(1, clients=0, kube_proxy=False, controller_manager=False) as lab:

        def run(config: Path) -> tuple[int, str]:
            argv = [*BELLMETAL, "preflight"]
            done = lab.control_plane_host.run(argv, check=False, env={"KUBECONFIG": str(config)})
            return done.returncode, done.stdout + done.stderr

        status, said = run(lab.kubeconfig())
        assert status == 0
        assert "NotInstalled" in said
        assert "Bellmetal is not installed yet:" in said
        content = yaml.safe_load(lab.kubeconfig().read_text())
        content["users"][0]["user"]["token"] = "expired"
        wrong = tmp_path / "wrong"
        wrong.write_text(yaml.safe_dump(content))
        status, said = run(wrong)
        assert (status, said.count("\n")) == (1, 1)
        assert "does not accept the token or client certificate of KUBECONFIG" in said
        content["users"][0]["user"] = {"exec": {"command": "aws"}}
        wrong.write_text(yaml.safe_dump(content))
        status, said = run(wrong)
        assert (status, said.count("\n")) == (1, 1)
        assert "KUBECONFIG has no token, tokenFile or client certificate" in said
        nobody = lab.control_plane.server.replace("6443", "6444")
        content["clusters"][0]["cluster"]["server"] = nobody
        wrong.write_text(yaml.safe_dump(content))
        status, said = run(wrong)
        assert (status, said.count("\n")) == (1, 1)
        assert "is the cluster running" in said


def codes(answer: Json) -> set[str]:
    return {item["code"] for item in answer["findings"]}
