"""Walkthrough A: from a NodePort to one address, with the command lines that people type."""

from __future__ import annotations

import re

from lab.steps import SYSTEM, Steps

SERVICES = ("svc1", "svc2", "svc3")
POOL = """\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {{name: my-ippool, namespace: metallb-system}}
spec: {{addresses: [{addresses}]}}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {{name: my-l2-advertise, namespace: metallb-system}}
spec: {{ipAddressPools: [my-ippool]}}
"""
CURLS, EVEN = 100, 25  # of so many, each of two pods answers at least so many
EVENTS = f"kubectl get events -A; kubectl logs -n {SYSTEM} -l app=metallb --tail=-1"
PODS = f"kubectl describe pods -n {SYSTEM}; kubectl get events -n {SYSTEM}"
WEB = "kubectl describe deployment web; kubectl get pods -o wide; kubectl get endpointslices"


class Story(Steps):
    """The acts of walkthrough A, in order; each shows that its steps happened."""

    @property
    def addresses(self) -> str:
        """The pool's range."""
        return f"{self.lab.address(255, 200)}-{self.lab.address(255, 250)}"

    @property
    def address(self) -> str:
        """That of svc1."""
        return self.lab.address(255, 200)

    # --- A1 to A3 ---------------------------------------------------------------------------------

    def install(self) -> None:
        """A chart, and a pool at once."""
        self.step("A1", "Bellmetal is installed by its chart, where people have MetalLB.")
        self.run(
            f"helm install bellmetal helm/bellmetal --namespace {SYSTEM} --create-namespace"
            " --hide-notes",
            lambda said: "STATUS: deployed" in said,
            "STATUS: deployed",
            PODS,
        )
        self.step("A2", "Right after that, with no wait, a pool and an advertisement are applied.")
        self.run(
            f"kubectl apply -f - <<'EOF'\n{POOL.format(addresses=self.addresses)}EOF",
            lambda said: said.count(" created") == 2,
            "both objects are created although no pod is ready yet",
            "kubectl get validatingadmissionpolicies; kubectl get crds",
        )
        self._ready()
        self._everything()
        self._columns()

    def _ready(self) -> None:
        self.step("A1", "One controller, and a speaker on every node, are ready.")
        for what in ("deployment/bellmetal-controller", "daemonset/bellmetal-speaker"):
            self.run(
                f"kubectl rollout status -n {SYSTEM} {what} --timeout=90s",
                lambda said: "successfully rolled out" in said,
                f"{what} is rolled out",
                PODS,
            )

    def _everything(self) -> None:
        parts = (
            "deployment.apps/bellmetal-controller",
            "daemonset.apps/bellmetal-speaker",
            "configmap/metallb-excludel2",
            "secret/memberlist",
        )
        self.run(
            f"kubectl get all,configmap,secret,ep -n {SYSTEM}",
            lambda said: all(part in said for part in parts),
            ", ".join(parts),
            PODS,
            within=10,
        )
        addresses = [self.lab.node(name).address for name in self.lab.node_names]
        self.run(
            f"kubectl get pods -n {SYSTEM} -l app=metallb,component=speaker -o wide",
            lambda said: all(f" {address} " in said for address in addresses),
            f"a speaker on the network of each node: {' '.join(addresses)}",
            PODS,
        )
        kinds = ("ipaddresspools", "l2advertisements", "servicel2statuses")
        self.run(
            "kubectl api-resources --api-group=metallb.io",
            lambda said: all(kind in said for kind in kinds),
            " ".join(kinds),
            "kubectl get crds",
        )

    def _columns(self) -> None:
        self.step("A3", "The pool and the advertisement, in the columns that people know.")
        row = rf'my-ippool +true +false +\["{re.escape(self.addresses)}"\]'
        self.run(
            f"kubectl get ipaddresspools -n {SYSTEM}",
            lambda said: bool(re.search(row, said)) and "AVOID BUGGY IPS" in said,
            f"my-ippool, true, false, {self.addresses}",
            f"kubectl get ipaddresspools -n {SYSTEM} -o yaml",
        )
        self.run(
            f"kubectl get l2advertisements -n {SYSTEM}",
            lambda said: "IPADDRESSPOOL SELECTORS" in said and '["my-ippool"]' in said,
            "the columns IPADDRESSPOOLS, IPADDRESSPOOL SELECTORS, INTERFACES",
            f"kubectl get l2advertisements -n {SYSTEM} -o yaml",
        )
        self.run(
            "kubectl explain ipaddresspools.metallb.io.spec",
            lambda said: "addresses" in said and "<no description>" not in said,
            "a description of every field",
            "kubectl get crd ipaddresspools.metallb.io -o yaml",
            limit=12,
            within=10,
        )

    # --- A4 to A6 ---------------------------------------------------------------------------------

    def services(self) -> None:
        """Services get addresses."""
        self.step("A4", "Three Services of type LoadBalancer get three addresses, in order.")
        self.run("kubectl apply -f tests/lab/walkthrough.yaml")
        wanted = [(name, self.lab.address(255, 200 + i)) for i, name in enumerate(SERVICES)]
        self.run(
            "kubectl get svc",
            lambda said: all(re.search(rf"{n} +LoadBalancer .* {a} ", said) for n, a in wanted),
            ", ".join(f"{name} has {address}" for name, address in wanted),
            EVENTS,
            within=10,
        )
        self._ingress()
        self.run(
            "kubectl rollout status deployment/web --timeout=90s",
            lambda said: "successfully rolled out" in said,
            "both pods of the web server are ready",
            WEB,
        )
        self._told()

    def _ingress(self) -> None:
        self.step("A4", "A NodePort Service, as an ingress controller has it, is given an address.")
        self.run("kubectl get svc ingress")
        self.run("""kubectl patch svc ingress -p '{"spec":{"type":"LoadBalancer"}}'""")
        address = self.lab.address(255, 203)
        self.run(
            "kubectl get svc ingress",
            lambda said: bool(re.search(rf"LoadBalancer .* {address} .*80:30080/TCP", said)),
            f"{address}, and still the node port 30080",
            "kubectl describe svc ingress",
            within=10,
        )

    def _told(self) -> None:
        self.step("A5", "kubectl describe tells which address, from which pool, on which node.")
        parts = (
            "metallb.io/ip-allocated-from-pool: my-ippool",
            f"{self.address} (VIP)",
            f'Assigned IP ["{self.address}"]',
            'announcing from node "',
        )
        self.run(
            "kubectl describe svc svc1",
            lambda said: all(part in said for part in parts),
            "; ".join(parts),
            EVENTS,
            within=15,
        )
        self.step("A6", "One row a Service: the node that answers for its address.")
        names = sorted([*SERVICES, "ingress"])
        self.run(
            f"kubectl get servicel2status -n {SYSTEM}",
            lambda said: sorted(re.findall(r"n\d +(\S+) +default", said)) == names,
            f"one row each for {' '.join(names)}",
            EVENTS,
            within=15,
        )

    # --- A7 and A8 --------------------------------------------------------------------------------

    def client(self) -> None:
        """A client on the same LAN."""
        self._resolves()
        self._reaches()
        self.step("A7", "Node ports and cluster addresses work as before.")
        node = self.lab.node("n1").address
        port = f"curl -s -m 5 http://{node}:30080"
        self.run(port, self._served, "the name of a pod", WEB, on="c1", within=5)
        cluster = self.quietly("kubectl get svc svc1 -o jsonpath='{.spec.clusterIP}'")
        self.run(f"curl -s -m 5 http://{cluster}", self._served, "the name of a pod", WEB, on="n1")
        self.step("A7", "Nothing answers a ping: an address is its Service's ports, no machine.")
        self.run(
            f"ping -c 1 -W 1 {self.address}",
            lambda said: "1 packets transmitted, 0 received" in said,
            "no answer",
            "the routes and addresses of the owner: ip address; ip route",
            on="c1",
        )
        self.step("A8", "The speakers' logs, by label.")
        self.run(
            f"kubectl logs -n {SYSTEM} -l component=speaker | grep ours",
            lambda said: f"{self.address} is ours" in said,
            f"a speaker says that {self.address} is its own",
        )

    def _resolves(self) -> None:
        self.step("A7", "A client on the LAN asks who has svc1's address: one node answers.")
        owner = self.owner()
        mac = self.lab.node(owner).mac
        look = f"kubectl get announcementslices,speakerreports -n {SYSTEM} -o yaml"
        with self.lab.sniff_arp() as seen:
            self.run(
                f"arping -I eth0 -c 1 {self.address}",
                lambda said: f"from {mac}" in said and "(0 extra)" in said,
                f"one answer, from {mac}, which is {owner}",
                look,
                on="c1",
            )
        self.expect(seen.answerers(self.address) == {mac}, f"{mac} alone", str(seen.arps()), look)
        self.run(f"curl -s -m 5 http://{self.address}", self._served, "a pod", WEB, on="c1")
        self.run(
            f"ip neigh show {self.address}",
            lambda said: mac in said,
            f"{mac}, which is {owner}",
            look,
            on="c1",
        )
        self.screen.say(f"{mac} is {owner}, the node that ServiceL2Status names.")

    def _reaches(self) -> None:
        self.step("A7", "A hundred requests spread over both pods.")
        self.run(
            f"for i in $(seq {CURLS}); do curl -s http://{self.address}; done | sort | uniq -c",
            lambda said: _evenly([int(n) for n in re.findall(r"(\d+) web-", said)]),
            f"two pods, each at least {EVEN} of {CURLS}",
            WEB,
            on="c1",
        )

    def owner(self, service: str = "svc1") -> str:
        """The node that ServiceL2Status names."""
        return self.quietly(
            f"kubectl get servicel2status -n {SYSTEM} -l metallb.io/service-name={service}"
            " -o jsonpath='{.items[0].status.node}'"
        )

    @staticmethod
    def _served(said: str) -> bool:
        return said.startswith("web-")


def _evenly(numbers: list[int]) -> bool:
    return len(numbers) == 2 and sum(numbers) == CURLS and min(numbers) >= EVEN
