"""`bellmetal plan` on a real API server: what it says is what then happens, and it writes nothing.

Each plan is asked of files, then kubectl applies them, and the statuses must become what it said.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.scene import CONFIGURATION, INTERNAL, NAMESPACE, SHOP, Scene
from lab.programs import BELLMETAL
from lab.rest import Json
from lab.waiting import until

pytestmark = pytest.mark.kube

WISH = "bellmetal.io/"
IPS, POOL = "metallb.io/loadBalancerIPs", "metallb.io/address-pool"
WATCHED = (
    f"/api/v1/namespaces/{SHOP}/services",
    f"/api/v1/namespaces/{SHOP}/events",
    f"/api/v1/namespaces/{NAMESPACE}/events",
    f"{CONFIGURATION}/ipaddresspools",
    f"{CONFIGURATION}/l2advertisements",
    f"{INTERNAL}/addressledgers",
    f"{INTERNAL}/announcementslices",
)


def pool(name: str, *addresses: str, wishes: Json | None = None, **spec: Any) -> Json:
    annotations = {f"{WISH}{key}": value for key, value in (wishes or {}).items()}
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {"addresses": list(addresses), **spec},
    }


def service(name: str, annotations: Json | None = None, **spec: Any) -> Json:
    body = {"type": "LoadBalancer", "ports": [{"port": 80}], "allocateLoadBalancerNodePorts": False}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": SHOP, "annotations": annotations or {}},
        "spec": body | spec,
    }


class Proposal:
    """Files that are planned, then applied."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene, self.file = scene, folder / "new.yaml"

    def write(self, *bodies: Json) -> None:
        self.file.write_text(yaml.safe_dump_all([self.scene.texts(body) for body in bodies]))

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        environment = {"KUBECONFIG": str(self.scene.lab.kubeconfig())}
        argv = [*BELLMETAL, "plan", f"--namespace={NAMESPACE}", *flags]
        return self.scene.lab.control_plane_host.run(argv, check=False, env=environment)

    def plan(self, *flags: str, status: int = 0) -> dict[str, tuple[str, list[str]]]:
        """What happens to every Service, and the addresses that it then has."""
        if self.file.exists():
            flags = (f"-f={self.file}", *flags)
        done = self.run("--output=json", "--all", *flags)
        assert done.returncode == status, done.stdout + done.stderr
        assert done.stderr == ""
        rows = json.loads(done.stdout)["services"]
        return {
            row["service"].removeprefix(f"{SHOP}/"): (
                row["outcome"],
                [item["address"] for item in row["then"]],
            )
            for row in rows
        }

    def apply(self) -> None:
        self.scene.lab.kubectl("apply", "-f", self.file)

    def happens(self, planned: dict[str, tuple[str, list[str]]]) -> None:
        """The statuses are what was planned, and stay so."""
        wanted = {name: addresses for name, (_, addresses) in planned.items()}
        until(lambda: self.scene.all_shown() == wanted, f"the Services show {wanted}", 15)


@pytest.fixture
def proposal(scene: Scene, tmp_path: Path) -> Proposal:
    return Proposal(scene, tmp_path)


def test_a_range_is_changed_and_what_no_pool_allows_stays_orphaned(
    scene: Scene, proposal: Proposal
) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    scene.service("db")
    scene.wait_shown("db", "LAN.201")
    proposal.write(pool("lan", "LAN.201-LAN.205"))
    planned = proposal.plan()
    assert {name: outcome for name, (outcome, _) in planned.items()} == {
        "db": "keeps",
        "web": "orphaned",
    }
    proposal.apply()
    proposal.happens(planned)
    assert proposal.plan() == planned


def test_renumbering_moves_them_to_the_very_addresses_that_were_planned(
    scene: Scene, proposal: Proposal
) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.services(("a", "b", "c"))
    scene.wait_all_shown(3)
    proposal.write(pool("lan", "LAN.202-LAN.204", wishes={"on-orphan": "renumber"}))
    planned = proposal.plan(status=3)
    assert sorted(outcome for outcome, _ in planned.values()) == ["changes", "changes", "keeps"]
    proposal.apply()
    proposal.happens(planned)


def test_too_few_addresses_after_a_renumbering(scene: Scene, proposal: Proposal) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.services(("a", "b", "c"))
    scene.wait_all_shown(3)
    proposal.write(pool("lan", "LAN.220-LAN.221", wishes={"on-orphan": "renumber"}))
    planned = proposal.plan(status=3)
    assert sorted(outcome for outcome, _ in planned.values()) == ["changes", "changes", "loses"]
    proposal.apply()
    proposal.happens(planned)


def test_a_pool_is_deleted_under_either_setting_of_the_controller(
    scene: Scene, proposal: Proposal
) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.pool("other", "LAN.220-LAN.229", autoAssign=False)
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    delete = "--delete=ipaddresspools.metallb.io/lan"
    assert proposal.plan(delete, "--on-orphan=renumber", status=3) == {"web": ("loses", [])}
    planned = proposal.plan(delete)
    assert planned == {"web": ("orphaned", [scene.text("LAN.200")])}
    scene.drop_pool("lan")
    proposal.happens(planned)


def test_a_pool_is_split(scene: Scene, proposal: Proposal) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("low")
    scene.wait_shown("low", "LAN.200")
    scene.service("high", {IPS: "LAN.207"})
    scene.wait_shown("high", "LAN.207")
    proposal.write(pool("lan", "LAN.200-LAN.204"), pool("upper", "LAN.205-LAN.209"))
    report = json.loads(proposal.run("-f", str(proposal.file), "--output=json").stdout)
    assert report["cautions"] == report["problems"] == []
    assert [(row["service"], row["then"]) for row in report["services"]] == [
        ("shop/high", [{"address": scene.text("LAN.207"), "pool": "upper"}])
    ]
    planned = proposal.plan()
    assert [outcome for outcome, _ in planned.values()] == ["keeps", "keeps"]
    proposal.apply()
    proposal.happens(planned)
    until(lambda: scene.annotation("high") == "upper", "high is in the other pool")


def test_a_split_that_is_applied_one_by_one_while_orphans_are_renumbered(
    scene: Scene, proposal: Proposal
) -> None:
    wish = {"on-orphan": "renumber"}
    scene.pool("lan", "LAN.200-LAN.209", annotations={f"{WISH}on-orphan": "renumber"})
    scene.service("web", {IPS: "LAN.207"})
    scene.wait_shown("web", "LAN.207")
    scene.change("web", {IPS: None})
    proposal.write(
        pool("lan", "LAN.200-LAN.204", wishes=wish), pool("upper", "LAN.205-LAN.209", wishes=wish)
    )
    assert proposal.plan(status=3) == {"web": ("keeps", [scene.text("LAN.207")])}
    report = json.loads(proposal.run("-f", str(proposal.file), "--output=json").stdout)
    assert report["cautions"] == [
        {
            "service": "shop/web",
            "then": [{"address": scene.text("LAN.200"), "pool": "lan"}],
            "message": scene.text(
                "shop/web keeps LAN.207 only if all is applied at once: one by one, in this order,"
                " it may have LAN.200 in the end"
            ),
        }
    ]


def test_a_reservation_takes_nothing_and_decides_what_comes(
    scene: Scene, proposal: Proposal
) -> None:
    scene.pool("lan", "LAN.200-LAN.202")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    reserved = {"reserve": "LAN.200=shop/db, LAN.202=shop/db"}
    proposal.write(pool("lan", "LAN.200-LAN.202", wishes=reserved), service("db"), service("new"))
    planned = proposal.plan()
    assert planned == {
        "db": ("gets", [scene.text("LAN.202")]),
        "new": ("gets", [scene.text("LAN.201")]),
        "web": ("keeps", [scene.text("LAN.200")]),
    }
    proposal.apply()
    proposal.happens(planned)


def test_services_of_the_file(scene: Scene, proposal: Proposal) -> None:
    scene.pool("lan", "LAN.200-LAN.209", "fd00:bad::1-fd00:bad::9")
    for name in ("asks", "gone", "stays", "dual"):
        scene.service(name)
    scene.wait_all_shown(4)
    proposal.write(
        service("asks", {IPS: "LAN.209"}),
        service("gone", type="ClusterIP", allocateLoadBalancerNodePorts=None),
        service("six", ipFamilies=["IPv6"]),
        service("dual", ipFamilyPolicy="RequireDualStack"),
        service("asks-too", {IPS: "LAN.250"}),
    )
    planned = proposal.plan(status=3)
    assert {name: outcome for name, (outcome, _) in planned.items()} == {
        "asks": "changes",
        "asks-too": "refused",
        "dual": "gets",
        "gone": "loses",
        "six": "gets",
        "stays": "keeps",
    }
    proposal.apply()
    proposal.happens(planned)


def test_a_quota_and_a_namespace_that_is_new(scene: Scene, proposal: Proposal) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("one")
    scene.wait_shown("one", "LAN.200")
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": SHOP, "annotations": {f"{WISH}address-quota": "1"}},
    }
    proposal.write(namespace, service("two"))
    planned = proposal.plan(status=3)
    assert planned == {"one": ("keeps", [scene.text("LAN.200")]), "two": ("refused", [])}
    try:
        proposal.apply()
        proposal.happens(planned)
    finally:
        wish = {f"{WISH}address-quota": None}
        path = f"/api/v1/namespaces/{SHOP}"
        scene.rest.patch(path, {"metadata": {"annotations": wish}})
    scene.wait_shown("two", "LAN.201")


def test_what_others_added_stays_and_what_the_file_had_before_goes(
    scene: Scene, proposal: Proposal
) -> None:
    proposal.write(pool("lan", "LAN.200-LAN.209", wishes={"exclude": "LAN.200"}))
    proposal.apply()
    path = f"{CONFIGURATION}/ipaddresspools/lan"
    scene.rest.request(
        "PATCH",
        path,
        {"metadata": {"annotations": {f"{WISH}reserve": scene.text("LAN.201")}}},
        "application/merge-patch+json",
    )
    scene.service("web")
    scene.wait_shown("web", "LAN.202")
    proposal.write(pool("lan", "LAN.200-LAN.209"), service("new"), service("other"))
    planned = proposal.plan()
    assert planned == {
        "new": ("gets", [scene.text("LAN.200")]),
        "other": ("gets", [scene.text("LAN.203")]),
        "web": ("keeps", [scene.text("LAN.202")]),
    }
    proposal.apply()
    proposal.happens(planned)


def test_the_files_as_the_whole_configuration(scene: Scene, proposal: Proposal) -> None:
    scene.pool("old", "LAN.200-LAN.204")
    scene.advertise("everywhere")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    proposal.write(pool("new", "LAN.205-LAN.209"))
    assert proposal.plan() == {"web": ("keeps", [scene.text("LAN.200")])}
    renumber = "--on-orphan=renumber"
    assert proposal.plan(renumber) == {"web": ("keeps", [scene.text("LAN.200")])}
    planned = proposal.plan("--replace", renumber, status=3)
    assert planned == {"web": ("changes", [scene.text("LAN.205")])}
    assert proposal.plan("--replace") == {"web": ("orphaned", [scene.text("LAN.200")])}


def test_a_configuration_with_problems(scene: Scene, proposal: Proposal) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    wrong = pool("second", "LAN.205-LAN.215")
    proposal.write(wrong | {"spec": wrong["spec"] | {"autoAsign": False}})
    done = proposal.run("-f", str(proposal.file))
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout == scene.text(
        "Problems of the new configuration:\n"
        '  IPAddressPool/second spec.autoAsign: unknown field; did you mean "autoAssign"?\n'
        '  IPAddressPool/second spec.addresses[0]: "LAN.205-LAN.215" overlaps with'
        " IPAddressPool/lan, which is older\n"
        "\n"
        "1 Service: 1 keeps; 2 problems\n"
    )
    done = proposal.run("--delete=pool/lan")
    assert (done.returncode, done.stderr) == (
        2,
        'bellmetal plan: --delete "pool/lan": KIND/NAME of metallb.io, or service/NAMESPACE/NAME,'
        " is asked for\n",
    )
    done = proposal.run("--delete=ipaddresspool/nan")
    assert (done.returncode, done.stderr) == (
        2,
        "bellmetal plan: --delete: there is no IPAddressPool nan in the cluster\n",
    )
    done = proposal.run("--delete=ipaddresspool/lan", "--namespace=elsewhere")
    assert (done.returncode, done.stderr) == (
        1,
        "bellmetal plan: the cluster has no namespace elsewhere: --namespace\n",
    )


def test_it_writes_nothing(scene: Scene, proposal: Proposal) -> None:
    scene.pool("lan", "LAN.200-LAN.209")
    scene.advertise()
    scene.service("web")
    scene.wait_shown("web", "LAN.200")
    scene.wait_event("Service", "web", "IPAllocated", 'Assigned IP ["LAN.200"]')

    def versions() -> dict[str, str]:
        items = [(path, item) for path in WATCHED for item in scene.rest.get(path)["items"]]
        return {
            f"{path}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for path, item in items
        }

    def quiet() -> bool:
        counted = scene.rest.get(f"{CONFIGURATION}/ipaddresspools/lan").get("status", {})
        return counted.get("assignedIPv4") == 1

    until(quiet, "the pool is counted")
    before, mark = versions(), scene.mark()
    proposal.write(pool("lan", "LAN.220-LAN.229", wishes={"on-orphan": "renumber"}), service("new"))
    assert proposal.plan(status=3) == {
        "new": ("gets", [scene.text("LAN.221")]),
        "web": ("changes", [scene.text("LAN.220")]),
    }
    assert versions() == before
    asked = [
        item
        for item in scene.lab.control_plane.audit_events()[mark:]
        if item.get("userAgent", "").startswith("bellmetal/")
        and not item["user"]["username"].startswith("system:serviceaccount:")
    ]
    assert {item["verb"] for item in asked} == {"get", "list"}
    assert not [item for item in asked if item["objectRef"]["resource"] == "secrets"]
