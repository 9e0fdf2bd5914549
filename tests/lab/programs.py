"""Bellmetal on the bare floor: controller and speakers as plain processes, with the chart's rights.

Every program gets a token of the chart's ServiceAccount, a speaker's bound to its node, so that
nothing here may do more than an installed chart allows.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lab.bare import Bare
from lab.endpoints import WEB_PORT, endpoint_slice
from lab.processes import Process
from lab.waiting import until

NAMESPACE = "metallb-system"
BELLMETAL = [sys.executable, "-m", "bellmetal"]
SECRET = "the key of a test, not of anybody's cluster"

WEB = """
import asyncio, sys
async def answer(reader, writer):
    peer = writer.get_extra_info("peername")[0]
    await reader.readline()
    body = f"{sys.argv[2]} saw {peer}\\n"
    writer.write(f"HTTP/1.0 200 OK\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
    await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(answer, sys.argv[1], int(sys.argv[3]), backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""


class Programs:
    """Starts our programs in a bare lab, and asks the API server what they did."""

    def __init__(self, lab: Bare, values: Mapping[str, Any] | None = None) -> None:
        self.lab = lab
        self._accounts: dict[str, Path] = {}
        self.objects = lab.install_chart_objects(values)
        for node in lab.node_names:
            self.secret(node, SECRET)

    def secret(self, node: str, newest: str, previous: str = "") -> None:
        """Puts the shared secret onto a node, as its kubelet does: a link is swapped."""
        mount = self._secret_of(node)
        mount.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="..", dir=mount))
        (folder / "secretkey").write_text(newest)
        if previous:
            (folder / "secretkey-previous").write_text(previous)
        swap = mount / "..data_tmp"
        swap.symlink_to(folder.name)
        swap.replace(mount / "..data")
        for name in ("secretkey", "secretkey-previous"):
            (mount / name).unlink(missing_ok=True)
            if (folder / name).exists():
                (mount / name).symlink_to(Path("..data") / name)

    def _secret_of(self, node: str) -> Path:
        return self.lab.node(node).dir / "memberlist"

    # --- our programs -----------------------------------------------------------------------------

    def controller(
        self, name: str = "controller-1", *flags: str, env: Mapping[str, str] | None = None
    ) -> Process:
        """Starts a controller under a name that it also leads by."""
        environment = {
            "KUBECONFIG": str(self._account("bellmetal-controller")),
            "METALLB_POD_NAME": name,
            **(env or {}),
        }
        ports = ["--port=0", "--health-probe-port=0"]
        argv = [*BELLMETAL, "controller", f"--namespace={NAMESPACE}", *ports, *flags]
        return self.lab.control_plane_host.spawn(argv, env=environment, log=name)

    def speaker(
        self,
        node: str,
        *flags: str,
        env: Mapping[str, str] | None = None,
        under: Sequence[str] = (),
    ) -> Process:
        """Starts the speaker of a node; its state is on the node's disk.

        ``under``: a program that starts it, with its arguments.
        """
        host = self.lab.node(node)
        environment = {
            "KUBECONFIG": str(self._account("bellmetal-speaker", node)),
            "METALLB_NODE_NAME": node,
            "METALLB_NAMESPACE": NAMESPACE,
            "METALLB_ML_BIND_ADDR": host.address,
            "METALLB_ML_SECRET_KEY_PATH": str(self._secret_of(node)),
            **(env or {}),
        }
        state = f"--state-dir={host.dir / 'state'}"
        argv = [*under, *BELLMETAL, "speaker", state, *flags]
        return host.spawn(argv, env=environment, log="speaker")

    def _account(self, name: str, node: str | None = None) -> Path:
        """Kept, so that a program can be started without the API."""
        key = node or name
        if key not in self._accounts:
            found = self.lab.service_account_kubeconfig(NAMESPACE, name, node=node)
            self._accounts[key] = found
        return self._accounts[key]

    def start(self) -> dict[str, Process]:
        """A controller and a speaker on every node, at work."""
        running = {"controller-1": self.controller()}
        running |= {node: self.speaker(node) for node in self.lab.node_names}
        self.wait_leading("controller-1")
        for node in self.lab.node_names:
            until(partial(_settled, running[node]), f"{node} has settled")
        return running

    def wait_leading(self, name: str) -> None:
        """Until that controller leads."""
        until(lambda: self.leader() == name, f"{name} leads")

    def leader(self) -> str:
        """Who holds the Lease."""
        return self._jsonpath("lease/bellmetal-controller", "{.spec.holderIdentity}")

    # --- what users apply -------------------------------------------------------------------------

    def pool(self, name: str, *addresses: str, **spec: Any) -> None:
        """Applies an IPAddressPool."""
        self.configure("IPAddressPool", name, {"addresses": list(addresses), **spec})

    def advertise(self, name: str = "everywhere", **spec: Any) -> None:
        """Applies an L2Advertisement."""
        self.configure("L2Advertisement", name, spec)

    def configure(
        self, kind: str, name: str, spec: Mapping[str, Any], version: str = "v1beta1"
    ) -> None:
        """Applies one of metallb.io's objects."""
        metadata = {"name": name, "namespace": NAMESPACE}
        body = {"apiVersion": f"metallb.io/{version}", "kind": kind, "metadata": metadata}
        self.lab.apply(body | {"spec": spec})

    def service(
        self,
        name: str,
        nodes: Iterable[str] = (),
        annotations: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> None:
        """Applies a Service of type LoadBalancer whose endpoints are on the given nodes."""
        port = {"port": 80, "targetPort": WEB_PORT}
        metadata = {"name": name, "namespace": "default", "annotations": dict(annotations or {})}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
        self.lab.apply(body | {"spec": {"type": "LoadBalancer", "ports": [port], **spec}})
        if nodes:
            self.endpoints(name, nodes)

    def endpoints(self, service: str, nodes: Iterable[str]) -> None:
        """Says that these nodes serve a Service (`web` starts what serves there)."""
        pods = {node: self.lab.pod_address(node, 5) for node in nodes}
        self.lab.apply(endpoint_slice(service, pods))

    def leave_out(self, service: str, node: str) -> None:
        """Takes a node's endpoint away, and waits until kube-proxy has followed on all others.

        What is measured after that is the address, not kube-proxy's knowledge of dead pods.
        """
        others = [name for name in self.lab.node_names if name != node]
        self.endpoints(service, others)
        gone = self.lab.pod_address(node, 5)

        def followed(name: str) -> bool:
            rules = self.lab.node(name).run(["nft", "list", "table", "ip", "kube-proxy"]).stdout
            return gone not in rules and all(self.lab.pod_address(o, 5) in rules for o in others)

        for name in others:
            until(partial(followed, name), f"kube-proxy of {name} has followed", every=0.1)

    def web(self, node: str) -> Process:
        """A web server in the place of a pod; it says its node and whom it saw."""
        script = [sys.executable, "-c", WEB, self.lab.pod_address(node, 5), node, str(WEB_PORT)]
        return self.lab.node(node).spawn(script, log="web")

    # --- what users see ---------------------------------------------------------------------------

    def shown(self, service: str) -> list[str]:
        """The addresses in a Service's status."""
        path = "{.status.loadBalancer.ingress[*].ip}"
        return self._jsonpath(f"service/{service}", path, namespace="default").split()

    def address(self, service: str) -> str:
        """The address of a Service, once it has one."""
        until(lambda: self.shown(service), f"{service} has an address")
        return self.shown(service)[0]

    def owner(self, service: str) -> str:
        """The node that ServiceL2Status names, once there is exactly one."""
        until(lambda: len(self.owners(service)) == 1, f"{service} has one owner")
        return self.owners(service)[0]

    def named_owner(self) -> str:
        """The owner of the first announcement, as the controller has named it."""
        return self._jsonpath("announcementslice/layer2-0", "{.spec.announcements[0].owner}")

    def owners(self, service: str) -> list[str]:
        """The nodes that ServiceL2Status names now."""
        body = json.loads(
            self.lab.kubectl("get", "servicel2statuses", "-n", NAMESPACE, "-o", "json").stdout
        )
        statuses = [item.get("status", {}) for item in body["items"]]
        return [item["node"] for item in statuses if item.get("serviceName") == service]

    def events(self, kind: str, name: str, namespace: str = "default") -> list[tuple[str, str]]:
        """Reason and message of every event about an object, oldest first."""
        selector = f"involvedObject.kind={kind},involvedObject.name={name}"
        flags = ["-n", namespace, f"--field-selector={selector}", "-o", "json"]
        items = json.loads(self.lab.kubectl("get", "events", *flags).stdout)["items"]
        items.sort(key=lambda item: (item["lastTimestamp"], item["metadata"]["resourceVersion"]))
        return [(item["reason"], item["message"]) for item in items]

    def wait_event(
        self, kind: str, name: str, reason: str, namespace: str = "default", count: int = 1
    ) -> str:
        """The message of the latest event of that reason, once there are so many."""

        def messages() -> list[str]:
            return [m for r, m in self.events(kind, name, namespace) if r == reason]

        until(lambda: len(messages()) >= count, f"{kind}/{name} has an event {reason}")
        return messages()[-1]

    def condition(self, service: str) -> str:
        """The message of our condition on a Service; empty if there is none."""
        path = '{.status.conditions[?(@.type=="bellmetal.io/AddressAllocated")].message}'
        return self._jsonpath(f"service/{service}", path, namespace="default")

    def _jsonpath(self, what: str, path: str, namespace: str = NAMESPACE) -> str:
        flags = ["-n", namespace, "--ignore-not-found", "-o", f"jsonpath={path}"]
        return self.lab.kubectl("get", what, *flags).stdout.strip()


def _settled(speaker: Process) -> bool:
    return '"event": "settled"' in speaker.log()
