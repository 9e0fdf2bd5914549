"""The control plane: etcd, the API server, the controller-manager and, on request, the scheduler.

All in the namespace `cp`. Flags are chosen for a quick start and quick tests; each says why.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.host import Host
from lab.pki import Pki
from lab.processes import Process
from lab.rest import Rest
from lab.run import Run
from lab.waiting import until

PORT = 6443
SERVICES = "10.96.0.0/16,fd96::/108"
PODS = "10.244.0.0/16,fd00:10:244::/48"
# The controllers that are useful where nodes are only objects. Not the one that judges nodes:
# there is no kubelet to renew their leases, and it would taint them all.
BARE_CONTROLLERS = (
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "endpoints-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "clusterrole-aggregation-controller",
    "validatingadmissionpolicy-status-controller",
)
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "Request", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "Metadata"},
    ],
}


class ControlPlane:
    """The programs of the control plane, their keys, and what they may be asked to suffer."""

    def __init__(self, run: Run, host: Host, binaries: Path) -> None:
        self.run = run
        self.host = host
        self.binaries = binaries
        self.pki = Pki(run.path / "pki")
        self.audit_log = run.path / "logs" / "audit.jsonl"

    # --- keys and kubeconfigs ----------------------------------------------------------------

    @property
    def server(self) -> str:
        """The API server's URL, good in every namespace of the LAN and on the host."""
        return f"https://{self.host.address}:{PORT}"

    @property
    def tokens(self) -> dict[str, str]:
        """The token of each user that the lab itself made."""
        return dict(self.run.state["tokens"])

    def create_keys(self, nodes: Sequence[str]) -> None:
        """Make all keys, certificates, tokens, and the kubeconfigs of the lab's own programs."""
        self.pki.create([self.host.address, "127.0.0.1", "10.96.0.1"])
        users = {"admin": "system:masters", "system:kube-proxy": ""}
        users |= {f"system:node:{name}": "system:nodes" for name in nodes}
        self.run.save(tokens=self.pki.create_tokens(users))
        for user, token in self.tokens.items():
            self.write_kubeconfig(self.kubeconfig(user), token)

    def kubeconfig(self, user: str = "admin") -> Path:
        """The kubeconfig of a user of the lab's own."""
        return self.run.path / "kubeconfigs" / user.replace("system:", "").replace(":", "-")

    def write_kubeconfig(self, path: Path, token: str, namespace: str = "default") -> Path:
        """A kubeconfig that holds a token."""
        context = {"cluster": "lab", "user": "me", "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": self._cluster()}],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": context}],
            "current-context": "lab",
        }
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1))  # JSON is YAML too
        path.chmod(0o600)
        return path

    def _cluster(self) -> dict[str, str]:
        return {"server": self.server, "certificate-authority": str(self.pki.ca)}

    def rest(self) -> Rest:
        """The admin's hand on the API."""
        return Rest(self.host.address, PORT, self.pki.ca, self.tokens["admin"])

    # --- programs ------------------------------------------------------------------------------

    def start(self, flags: Sequence[str] = (), audit: bool = False) -> None:
        """Start etcd and the API server, both at once, and do not wait for them."""
        own = [*flags, *(self._audit_flags() if audit else [])]
        self.run.save(api_flags=own)
        self._spawn(
            "etcd",
            f"--data-dir={self.run.path / 'etcd'}",
            "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--log-level=warn",
        )
        self._start_api_server()

    def _start_api_server(self) -> Process:
        pki = self.pki
        return self._spawn(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=0.0.0.0",
            f"--advertise-address={self.host.address}",
            f"--secure-port={PORT}",
            f"--tls-cert-file={pki.certificate('apiserver')}",
            f"--tls-private-key-file={pki.key('apiserver')}",
            f"--client-ca-file={pki.ca}",
            f"--kubelet-client-certificate={pki.certificate('kubelet-client')}",
            f"--kubelet-client-key={pki.key('kubelet-client')}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-cluster-ip-range={SERVICES}",
            f"--service-account-key-file={pki.account_public_key}",
            f"--service-account-signing-key-file={pki.account_key}",
            "--service-account-issuer=https://lab",
            f"--token-auth-file={pki.tokens}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--enable-admission-plugins=NodeRestriction",
            "--profiling=false",
            *self.run.state["api_flags"],
        )

    def _audit_flags(self) -> list[str]:
        policy = self.run.path / "audit-policy.json"
        policy.write_text(json.dumps(AUDIT_POLICY))
        self.audit_log.parent.mkdir(exist_ok=True)
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]

    def wait_ready(self, timeout: float = 60) -> None:
        """Wait until the API server is ready, or say why it is not going to be."""
        rest = self.rest()
        api = self.host.process("kube-apiserver")

        def ready() -> bool:
            if not api.alive:
                raise LabError(f"the API server has ended:\n{api.log()[-3000:]}")
            return rest.ready()

        until(ready, "the API server", timeout)

    def start_controller_manager(self, controllers: Sequence[str] = ("*",)) -> Process:
        """Start the controller-manager with all controllers or these."""
        return self._spawn(
            "kube-controller-manager",
            *self._kubeconfigs(),
            f"--controllers={','.join(controllers)}",
            f"--service-account-private-key-file={self.pki.account_key}",
            f"--root-ca-file={self.pki.ca}",
            "--use-service-account-credentials=true",
            f"--cert-dir={self.pki.folder}",
            "--leader-elect=false",
            # a dead node is NotReady after 8 to 10 s instead of 50
            "--node-monitor-period=1s",
            "--node-monitor-grace-period=8s",
        )

    def start_scheduler(self) -> Process:
        """Start the scheduler."""
        return self._spawn("kube-scheduler", *self._kubeconfigs(), "--leader-elect=false")

    def kube_proxy(self, node: str) -> list[str]:
        """The command line of a node's kube-proxy."""
        return [
            str(self.binaries / "kube-proxy"),
            f"--kubeconfig={self.kubeconfig('system:kube-proxy')}",
            f"--hostname-override={node}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={PODS}",
            # conntrack's settings are the whole machine's
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        ]

    def _kubeconfigs(self) -> list[str]:
        path = self.kubeconfig()
        kinds = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
        return [f"--{kind}={path}" for kind in kinds]

    def _spawn(self, program: str, *arguments: str) -> Process:
        # less collecting of garbage while it starts: a tenth of a second or two
        return self.host.spawn([self.binaries / program, *arguments], {"GOGC": "200"}, program)

    # --- outages --------------------------------------------------------------------------------

    def api_down(self, hang: bool = False) -> None:
        """Take the API away: connections are refused, or (hang) accepted and never answered."""
        api = self.host.process("kube-apiserver")
        if hang:
            api.pause()
        else:
            api.kill()
        self.run.save(hung=hang)  # another process may bring it back

    def api_up(self) -> None:
        """Bring the API back and wait until it is ready."""
        if self.run.state.get("hung"):
            self.host.process("kube-apiserver").signal(signal.SIGCONT)
        else:
            self._start_api_server()
        self.run.save(hung=False)
        self.wait_ready()

    def audit_events(self) -> list[dict[str, Any]]:
        """What was asked of the API server so far (audit only)."""
        text = self.audit_log.read_text() if self.audit_log.exists() else ""
        whole, _, _ = text.rpartition("\n")  # the last line may be being written
        return [json.loads(line) for line in whole.splitlines()]
