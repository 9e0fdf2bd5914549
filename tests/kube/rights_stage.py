"""A cluster in which our programs do everything that they may do, one occasion at a time.

Each method is what somebody does to it; what it makes a program ask of the API is what the tests
look for. All can be repeated: names are counted on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bellmetal import pruning
from kube.installed import place
from kube.records import plant
from kube.rights import Right, asked, granted
from kube.scene import INTERNAL, MERGE, Scene
from lab.bare import Bare
from lab.fixtures import require
from lab.programs import NAMESPACE
from lab.rest import Json
from lab.routers.gobgp import GoBGP
from lab.routers.router import Family, Neighbor, Plan
from lab.waiting import until

OURS, THEIRS = 64512, 64513
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/bellmetal-controller"
STATES = place("ConfigurationState")
ROWS = {
    "servicel2statuses": place("ServiceL2Status"),
    "servicebgpstatuses": place("ServiceBGPStatus"),
}
PAGE_PORT = 8099
HUSH = "hush-7d1e-of-nobody"  # every password begins like that
VALUES = {"controller": {"ui": {"enabled": True}}}


class Cluster(Scene):
    """A controller, two speakers, a router; one Service that is told on the LAN and by BGP."""

    def __init__(self, lab: Bare) -> None:
        super().__init__(lab, VALUES)
        self.rights = granted(self.programs.objects)
        self._numbers = itertools.count()
        self._mark, self.past = 0, ""
        self._old: list[str] = []  # records of addresses that are free for long
        self._planted: set[str] = set()  # rows that no program of ours keeps

    def new(self, stem: str) -> str:
        return f"{stem}-{next(self._numbers)}"

    def begin(self) -> None:
        self.pool("lan", "LAN.200-LAN.230")
        self.advertise()
        self.configure("bgpadvertisements", "BGPAdvertisement", "bgp", {})
        self.signed(HUSH)
        self.peer("r1", self.lab.host("r1").address)
        self.controller()
        self.programs.wait_leading("controller-1")
        for node in self.lab.node_names:
            self.running[node] = self.programs.speaker(node, "--log-level=debug")
        self.web = self.served()
        for plural in ROWS:
            until(lambda plural=plural: self.rows(plural, self.web), f"{plural} are written")

    def controller(self) -> None:
        process = self.programs.controller(
            "controller-1", f"--ui-port={PAGE_PORT}", "--log-level=debug"
        )
        self.running["controller-1"] = process

    def restart(self, name: str) -> None:
        """Ends a program and starts it again."""
        self.running[name].terminate()
        self.running[name].wait()
        self.past += self.running[name].log()
        if name == "controller-1":
            self.controller()
        else:
            self.running[name] = self.programs.speaker(name, "--log-level=debug")

    # --- what is seen -----------------------------------------------------------------------------

    def asked(self) -> dict[Right, set[int]]:
        return asked(self.lab.control_plane.audit_events()[self._mark :], self.rights)

    def from_here(self) -> None:
        """What was asked before does not count any more."""
        self._mark = self.mark()

    def from_the_start(self) -> None:
        """All that was asked counts again."""
        self._mark = 0

    def says(self, name: str = "") -> str:
        """The log of a program that runs; all that was ever said, without a name."""
        if name:
            return self.running[name].log().replace('\\"', '"')
        logs = "".join(process.log() for process in self.running.values())
        return (self.past + logs).replace('\\"', '"')

    def rows(self, plural: str, service: str) -> list[Json]:
        """The whole rows of a Service."""
        items = self.rest.get(ROWS[plural])["items"]
        return [item for item in items if item.get("status", {}).get("serviceName") == service]

    # --- Services, pools --------------------------------------------------------------------------

    def served(self) -> str:
        """A new Service with an address and endpoints."""
        name = self.new("web")
        self.service(name)
        self.endpoints(name, "n1", "n2")
        return name

    def removed(self) -> None:
        """A Service is told, then deleted."""
        name = self.served()
        for plural in ROWS:
            until(lambda plural=plural: self.rows(plural, name), f"{plural} of {name}")
        self.delete(name)

    def other_block(self) -> None:
        """The first address of a block."""
        number = next(self._numbers)
        name = f"block-{number}"
        self.pool(name, f"198.51.{number}.0/24", autoAssign=False)
        self.service(name, {"metallb.io/address-pool": name})

    def forgotten(self) -> None:
        """The ledger remembers more addresses than it need."""
        if not self._old:
            self._old = plant(self.rest, "2001:db8:1::", pruning.KEPT, "2026-02-01T00:00:00Z")
        block = f"2001:db8:2:{next(self._numbers):x}::"
        plant(self.rest, block, pruning.AT_ONCE, "2026-01-01T00:00:00Z")
        self.restart("controller-1")

    def overwritten(self) -> None:
        """Somebody else writes the addresses of a Service, again and again."""
        name = self.served()
        until(lambda: self.shown(name), f"{name} shows an address")
        for number in range(3):
            theirs = f"203.0.113.{number + 1}"
            self.write_status(name, loadBalancer={"ingress": [{"ip": theirs}]})
            if number < 2:
                until(lambda ip=theirs: self.shown(name) != [ip], "it is put right")

    def interfaces(self) -> None:
        """The advertisement names an interface, or none any more."""
        number = next(self._numbers)
        self.advertise(interfaces=["eth0", f"eth{number + 1}"])

    def routes_go(self) -> None:
        self.rest.request("DELETE", f"{place('BGPAdvertisement')}/bgp")

    def routes_come(self) -> None:
        self.configure("bgpadvertisements", "BGPAdvertisement", "bgp", {})

    def wrong(self) -> None:
        """A configuration with a mistake, and without it."""
        self.advertise("lost", ipAddressPools=[self.new("nowhere")])

    # --- peers, passwords -------------------------------------------------------------------------

    def peer(self, name: str, address: str, **spec: Any) -> None:
        spec = {"myASN": OURS, "peerASN": THEIRS, "peerAddress": address, **spec}
        body = {"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": {"name": name}}
        self.rest.post(place("BGPPeer"), body | {"spec": spec})

    def signed(self, password: str) -> None:
        """A peer whose password is in a Secret; nobody is there."""
        secret = {
            "metadata": {"name": "signed"},
            "type": "kubernetes.io/basic-auth",
            "stringData": {"password": password, "username": ""},
        }
        self.rest.post(SECRETS, secret)
        self.peer("signed", self.text("LAN.250"), passwordSecret={"name": "signed"})

    def new_password(self) -> None:
        body = {"stringData": {"password": self.new(HUSH)}}
        self.rest.patch(f"{SECRETS}/signed", body)

    def passwords_lost(self) -> None:
        self.rest.request("DELETE", f"{SECRETS}/bellmetal-bgp-passwords")
        self.restart("controller-1")

    def peer_goes(self) -> None:
        name = self.new("spare")
        self.peer(name, self.text("LAN.251"))
        sessions = place("BGPSessionStatus")
        until(lambda: any(name in str(i) for i in self.rest.get(sessions)["items"]), name)
        self.rest.request("DELETE", f"{place('BGPPeer')}/{name}")

    # --- objects that people write into -----------------------------------------------------------

    def taken_away(self, path: str, name: str = "") -> None:
        """Deletes an object that a program keeps (the first one)."""
        self.rest.request("DELETE", f"{path}/{name or self._first(path)}")

    def label_taken(self, path: str, label: str, name: str = "") -> None:
        body = {"metadata": {"labels": {label: None}}}
        self.rest.request("PATCH", f"{path}/{name or self._first(path)}", body, MERGE)

    def edited(self, path: str, status: Json, name: str = "", sub: str = "/status") -> None:
        body = {"status": status}
        self.rest.request("PATCH", f"{path}/{name or self._first(path)}{sub}", body, MERGE)

    def _first(self, path: str) -> str:
        names = [item["metadata"]["name"] for item in self.rest.get(path)["items"]]
        return str(next(name for name in names if name not in self._planted))

    def second_row(self) -> None:
        """A row says that another node has the address too."""
        name = self.new("l2")
        self._planted.add(name)
        labels = {
            "metallb.io/node": "n9",
            "metallb.io/service-name": self.web,
            "metallb.io/service-namespace": "shop",
        }
        body = {
            "apiVersion": "metallb.io/v1beta1",
            "kind": "ServiceL2Status",
            "metadata": {"name": name, "labels": labels},
        }
        self.rest.post(ROWS["servicel2statuses"], body)
        status = {"node": "n9", "serviceName": self.web, "serviceNamespace": "shop"}
        self.edited(ROWS["servicel2statuses"], status, name)

    def outdated_row(self) -> None:
        """A ServiceBGPStatus of a Service that is not there; all are looked at after a start."""
        name, service = self.new("bgp"), self.new("never")
        self._planted.add(name)
        labels = {"metallb.io/node": "n9"}
        body = {
            "apiVersion": "metallb.io/v1beta1",
            "kind": "ServiceBGPStatus",
            "metadata": {"name": name, "labels": labels},
        }
        self.rest.post(ROWS["servicebgpstatuses"], body)
        status = {"node": "n9", "serviceName": service, "serviceNamespace": "shop", "peers": ["x"]}
        self.edited(ROWS["servicebgpstatuses"], status, name)
        self.restart("controller-1")

    def looked(self) -> None:
        """A node is asked to look."""
        look = {"id": self.new("look"), "kind": "route", "address": self.text("LAN.200")}
        path = f"{INTERNAL}/speakerreports/n1"
        self.rest.request("PATCH", path, {"spec": {"looks": [look]}}, MERGE)

    def report_lost(self) -> None:
        self.rest.request("DELETE", f"{INTERNAL}/speakerreports/n1")
        self.restart("n1")

    def opened(self) -> None:
        """Somebody reads the page, which says itself what it could not read."""
        command = ["curl", "-s", "-m", "5", f"http://127.0.0.1:{PAGE_PORT}/api/state.json"]
        self.past += str(self.lab.control_plane_host.run(command, check=False).stdout)

    def lease_lost(self) -> None:
        self.rest.request("DELETE", LEASE)


@contextmanager
def cluster() -> Iterator[Cluster]:
    require()
    options: dict[str, Any] = {"kube_proxy": False, "controller_manager": False, "audit": True}
    with Bare(nodes=2, clients=0, routers=1, outsiders=0, **options) as lab:
        host = lab.host("r1")
        neighbors = tuple(
            Neighbor(OURS, lab.node(name).address, families=(Family.IPV4,))
            for name in lab.node_names
        )
        with GoBGP(host, Plan(THEIRS, host.address, neighbors)):
            scene = Cluster(lab)
            scene.begin()
            yield scene
