"""Walkthroughs B3, C, D4 and E2: a running Service is changed, pools change, others are left alone.

Also: what people wrote for MetalLB 0.14 and before works as it stands.
"""

from __future__ import annotations

import re

from lab.failover import LOOK, Failover
from lab.steps import SYSTEM
from lab.story import EVENTS, WEB

ADDRESS = "-o jsonpath='{.status.loadBalancer.ingress[*].ip}'"
POOL = """\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: {name}, namespace: metallb-system, annotations: {{{annotations}}}}}
spec: {{addresses: ["{addresses}"], {more}}}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  {{type: LoadBalancer, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}], {more}}}
"""


class Changes(Failover):
    """The acts that follow a node's death and return."""

    def _apply(self, text: str) -> None:
        self.run(f"kubectl apply -f - <<'EOF'\n{text}EOF", look=EVENTS)

    def _pool(self, name: str, addresses: str, annotations: str = "", more: str = "") -> None:
        self._apply(POOL.format(name=name, addresses=addresses, annotations=annotations, more=more))

    def _service(self, name: str, annotations: str = "", more: str = "") -> None:
        self._apply(SERVICE.format(name=name, annotations=annotations, more=more))

    def _shows(self, service: str, address: str) -> None:
        """Until a Service shows this address alone; empty: none."""
        self.run(
            f"kubectl get svc {service} {ADDRESS}",
            lambda said: said.strip() == address,
            address or "no address",
            f"kubectl describe svc {service}; kubectl get ipaddresspools -n {SYSTEM} -o yaml",
            within=15,
        )

    def _address(self, service: str) -> str:
        return self.quietly(f"kubectl get svc {service} {ADDRESS}")

    def _answers(self, address: str) -> None:
        """Until a client reaches a pod there."""
        self.run(f"curl -s -m 5 http://{address}", self._served, "a pod", WEB, on="c1", within=10)

    def _tells(self, service: str, reason: str, sentence: str) -> None:
        """Until there is an event of a Service that says this."""
        self.run(
            f"kubectl get events --field-selector involvedObject.name={service},reason={reason}",
            lambda said: sentence in said,
            f"the event {reason}: {sentence}",
            EVENTS,
            within=15,
        )

    # --- B3 ---------------------------------------------------------------------------------------

    def local(self) -> None:
        """`externalTrafficPolicy: Local` on a running Service."""
        self.step("B3", "svc1 is told to keep to the node that it arrives at.")
        self.run("""kubectl patch svc svc1 -p '{"spec":{"externalTrafficPolicy":"Local"}}'""")
        self._owned_where_it_is_served()
        client = self.lab.client().address
        self.step("B3", f"The pod sees the client's own address, {client}.")
        self.run(
            f"curl -s -m 5 http://{self.address}", self._served, "a pod", WEB, on="c1", within=5
        )
        self.run(
            "kubectl logs -l app=web --tail=20",
            lambda said: f"{client} - - " in said,
            f"a request from {client}",
            WEB,
            within=5,
        )
        before = self.owner()
        self.step("B3", f"The pod on {before} goes, and may not come back there.")
        self.run(f"kubectl drain {before} --pod-selector=app=web", look=WEB)
        self.wait(
            lambda: self.owner() not in ("", before), f"another owner than {before}", LOOK, 30
        )
        self._owned_where_it_is_served()
        self.run(
            f"curl -s -m 5 http://{self.address}", self._served, "a pod", WEB, on="c1", within=5
        )
        self.run(f"kubectl uncordon {before}")
        self.run("""kubectl patch svc svc1 -p '{"spec":{"externalTrafficPolicy":"Cluster"}}'""")

    def _owned_where_it_is_served(self) -> None:
        """Until the owner is a node with a web pod."""

        def right() -> bool:
            pods = "kubectl get pods -l app=web -o jsonpath='{.items[*].spec.nodeName}'"
            return self.owner() in self.quietly(pods).split()

        self.wait(right, "an owner with a pod of svc1", LOOK, 30)
        self.run(
            f"kubectl get servicel2status -n {SYSTEM} -l metallb.io/service-name=svc1",
            lambda said: re.findall(r"(n\d) +svc1 ", said) == [self.owner()],
            "one row",
            LOOK,
            within=15,
        )

    # --- C1 to C3 ---------------------------------------------------------------------------------

    def range(self) -> None:
        """The pool's range becomes another one."""
        other = f"{self.lab.address(254, 10)}-{self.lab.address(254, 40)}"
        new = self.lab.address(254, 0)[:-1]
        changed = POOL.format(name="my-ippool", addresses=other, annotations="", more="")
        self.step("C1", "What would become of the Services if the pool had another range?")
        self.run(
            f".venv/bin/bellmetal plan --on-orphan=renumber -f - <<'EOF'\n{changed}EOF",
            lambda said: f"{self.address} → {new}" in said and "4 change" in said,
            f"svc1 would change from {self.address} to one in {other}, as the others",
            "",
        )
        self.step("C1", "It is given the other range: nobody loses an address for that.")
        self._pool("my-ippool", other)
        self._tells("svc1", "AddressOrphaned", self.address)
        self._shows("svc1", self.address)
        self.step("C1", "Unless it is asked for: then each gets one of the new range.")
        self._pool("my-ippool", other, "bellmetal.io/on-orphan: renumber")
        self.wait(lambda: self._address("svc1").startswith(new), f"svc1 in {other}", EVENTS, 15)
        self._answers(self._address("svc1"))

    def back(self) -> None:
        """A Service that wants no address any more."""
        address = self._address("svc1")
        self.step("C2", "svc1 becomes ClusterIP again: its address is free, and nobody answers.")
        self.run("""kubectl patch svc svc1 -p '{"spec":{"type":"ClusterIP"}}'""")
        self._shows("svc1", "")
        self._tells("svc1", "IPFreed", f'Freed IP ["{address}"]')
        self.run(
            f"kubectl get servicel2status -n {SYSTEM} -l metallb.io/service-name=svc1",
            lambda said: "No resources found" in said,
            "no row",
            LOOK,
            within=15,
        )
        self.run(
            f"arping -I eth0 -c 2 -W 1 {address}",
            lambda said: "Received 0 " in said or "100% unanswered" in said,
            "no answer",
            LOOK,
            on="c1",
            within=10,
        )

    def choices(self) -> None:
        """A second pool, requests, a pool that goes while it is used."""
        second = f"{self.lab.address(253, 0)}/24"
        self.step("C3", "A second pool, for those that ask; D4: without .0 and .255.")
        self._pool("second", second, more="autoAssign: false, avoidBuggyIPs: true")
        self._service("asks-pool", "metallb.io/address-pool: second")
        self._shows("asks-pool", self.lab.address(253, 1))
        self._service("asks-zero", f'metallb.io/loadBalancerIPs: "{self.lab.address(253, 0)}"')
        self._tells("asks-zero", "AllocationFailed", self.lab.address(253, 0))
        self._service("asks-nothing")
        self._served_by_the_first_pool("asks-nothing")
        self.step("C3", "As written for MetalLB 0.13 and before: the old prefix, the old field.")
        self._service(
            "old-prefix", f'metallb.universe.tf/loadBalancerIPs: "{self.lab.address(253, 77)}"'
        )
        self._shows("old-prefix", self.lab.address(253, 77))
        self._service("old-field", more=f'loadBalancerIP: "{self.lab.address(253, 78)}"')
        self._shows("old-field", self.lab.address(253, 78))
        self.step("C3", "The second pool is deleted while it is used: its Services keep theirs.")
        self.run(f"kubectl delete ipaddresspool second -n {SYSTEM}")
        self._tells("asks-pool", "AddressOrphaned", self.lab.address(253, 1))
        self._shows("asks-pool", self.lab.address(253, 1))

    def _served_by_the_first_pool(self, service: str) -> None:
        self.run(
            f"kubectl get svc {service} {ADDRESS}",
            lambda said: said.startswith(self.lab.address(254, 0)[:-1]),
            "an address of the first pool",
            EVENTS,
            within=15,
        )

    # --- E2 ---------------------------------------------------------------------------------------

    def others(self) -> None:
        """What is not ours."""
        outside = self.lab.address(252, 1)
        self.step("E2", "A Service with externalIPs, and one of another load balancer's class.")
        self._service("outside", more=f'externalIPs: ["{outside}"]')
        self._service("theirs", more="loadBalancerClass: example.com/other")
        self._served_by_the_first_pool("outside")
        self.run(
            "kubectl get svc outside -o jsonpath='{.spec.externalIPs[*]}'",
            lambda said: said == outside,
            outside,
        )
        self.run(
            f"kubectl get announcementslices -n {SYSTEM} -o yaml",
            lambda said: outside not in said and self.lab.address(254, 0)[:-1] in said,
            f"nobody announces {outside}",
            limit=1,
        )
        self.run(
            "kubectl get svc theirs -o jsonpath='{.status}{.metadata.annotations}'",
            lambda said: "metallb.io/" not in said and "ingress" not in said,
            "nothing of ours",
        )
