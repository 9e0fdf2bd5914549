"""A real cluster on which the pages are played, from top to bottom, as a reader would.

Manifests are applied, files are written, commands are run by a shell with the real kubectl, helm
and bellmetal. What a page takes for granted is made before it (`BACKDROP`, `Page.before`).
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from documents import Block, blocks, cannot_run
from lab import processes
from lab.cluster import Cluster
from lab.paths import CHART, REPOSITORY
from lab.steps import SYSTEM
from lab.waiting import until

IMAGE = "registry.example/bellmetal:0.1.0"
INSTALL = f"helm install bellmetal helm/bellmetal --namespace {SYSTEM} --create-namespace"
KINDS = "ipaddresspools,l2advertisements,bgpadvertisements,bgppeers,bfdprofiles,communities"
ENDLESS = ("bellmetal speaker ",)  # what a reader ends with Ctrl-C, and all with --watch
ON_THE_LAN = ("arping ", "ip neigh ", "bellmetal speaker ")
PATIENCE = 120  # seconds for one command
TASTE = 8  # seconds of a command that does not end

BACKDROP = """\
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{tier: production}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: {namespace}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: lab.local/py:1
        command: [python3, -m, http.server, "80", --directory, /usr/share]
        readinessProbe: {{httpGet: {{path: /, port: 80}}, periodSeconds: 1}}
"""


@dataclass(frozen=True)
class Done:
    """A command, its exit status, and what it said."""

    command: str
    status: int
    said: str


@dataclass(frozen=True)
class Page:
    """A page, what is there before it, and the exit statuses of commands that begin so."""

    path: str
    before: str = ""
    statuses: tuple[tuple[str, tuple[int, ...]], ...] = ()
    installs: bool = False  # it installs Bellmetal itself

    def allowed(self, command: str) -> tuple[int, ...]:
        """How a command may end: with 0, unless the page says that it may do otherwise."""
        return next((found for begin, found in self.statuses if command.startswith(begin)), (0,))


class Reader:
    """Somebody who does what the pages say, in a directory of their own that looks like ours."""

    def __init__(self, lab: Cluster, desk: Path) -> None:
        self.lab, self.desk = lab, desk
        for entry in REPOSITORY.iterdir():
            (desk / entry.name).symlink_to(entry)
        for node in lab.node_names:
            ctr = [lab.binaries / "ctr", "-n", "k8s.io", "images", "tag"]
            lab.node(node).run([*ctr, "docker.io/library/bellmetal:0.1.0", IMAGE])
        for namespace in ("default", "shop"):
            lab.apply(BACKDROP.format(namespace=namespace))

    def play(self, page: Page) -> list[Done]:
        """Does all that a page says; what was run."""
        self._prepare(page)
        done = []
        for block in blocks(page.path, "yaml", "sh"):
            if block.language == "sh":
                done += self.shell(block, page)
            elif block.file:
                self._write(block)
            elif block.is_values:
                self.lab.helm("template", "bellmetal", CHART, "-f", "-", input=block.text)
            else:
                self.lab.kubectl("apply", "-f", "-", input=block.text)
                self._wait_addresses(block.text)
        return done

    def _wait_addresses(self, manifest: str) -> None:
        """A reader looks after a moment: until every Service of a manifest shows an address."""
        for body in yaml.safe_load_all(manifest):
            if body["kind"] == "Service" and body["spec"].get("type") == "LoadBalancer":
                metadata = body["metadata"]
                name, namespace = metadata["name"], metadata.get("namespace", "default")
                until(partial(self._shown, name, namespace), f"{name} has an address", 20)

    def _shown(self, name: str, namespace: str) -> str:
        path = "jsonpath={.status.loadBalancer.ingress[*].ip}"
        return self.lab.kubectl("get", "service", name, "-n", namespace, "-o", path).stdout

    # --- before and after -------------------------------------------------------------------------

    def _prepare(self, page: Page) -> None:
        if not page.installs and "bellmetal" not in self.lab.helm("list", "-n", SYSTEM).stdout:
            installed = self.say(INSTALL)
            assert installed.returncode == 0, installed.stdout
            for what in ("deployment/bellmetal-controller", "daemonset/bellmetal-speaker"):
                self.lab.kubectl("rollout", "status", "-n", SYSTEM, what, "--timeout=90s")
        if page.before:
            self.lab.kubectl("apply", "-f", "-", input=page.before)
            self._wait_addresses(page.before)
            services = page.before.count("kind: Service")
            until(lambda: self._announced() >= services, f"owners before {page.path}", 30)

    def _announced(self) -> int:
        """How many Services a node answers for."""
        rows = self.lab.kubectl("get", "servicel2statuses", "-n", SYSTEM, "-o", "name").stdout
        return len(rows.split())

    def clear(self, page: Page) -> None:
        """Takes away what a page and its reader have made, but for Bellmetal."""
        names = self.lab.kubectl("get", "services", "-o", "name").stdout.split()
        for name in {*names} - {"service/kubernetes"}:
            self.lab.kubectl("delete", name)
        self.lab.kubectl("delete", "services", "--all", "-n", "shop")
        if "bellmetal" in self.lab.helm("list", "-n", SYSTEM).stdout and page.installs:
            self.say(f"helm uninstall bellmetal -n {SYSTEM}")
        self.lab.kubectl("delete", KINDS, "--all", "-n", SYSTEM)
        if page.installs:
            self.lab.kubectl("delete", "namespace", SYSTEM)
        for node in self.lab.node_names:
            self.lab.kubectl("annotate", "node", node, "bellmetal.io/drain-")

    def _write(self, block: Block) -> None:
        path = self.desk / Path(block.file).name
        path.write_text(block.text)

    # --- commands ---------------------------------------------------------------------------------

    def shell(self, block: Block, page: Page) -> list[Done]:
        """A block's commands, in one shell: what one has set, the next one has."""
        runnable = [command for command in block.commands() if not cannot_run(command)]
        settings: list[str] = []
        done = []
        for command in runnable:
            if re.match(r"\w+=", command):
                settings.append(command)
                continue
            found = self.say("\n".join([*settings, command]))
            done.append(Done(command, found.returncode, found.stdout))
            assert _endless(command) or found.returncode in page.allowed(command), (
                f"{page.path}:{block.line}: {command}\nended with {found.returncode}:\n"
                f"{found.stdout}"
            )
        return done

    def say(self, script: str) -> subprocess.CompletedProcess[str]:
        """What a shell makes of it."""
        last = script.splitlines()[-1]
        endless = _endless(last)
        if endless:
            script = f"timeout --signal=INT {TASTE} {script}"
        command = ["bash", "-euo", "pipefail", "-c", script]
        if last.startswith(ON_THE_LAN):
            command = self.lab.client().command(command)
        path = f"{self.lab.binaries}:{REPOSITORY / '.venv' / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.desk,
            env=processes.environment({**self.lab.environment(), "PATH": path}),
            timeout=PATIENCE,
            check=False,
        )
        assert not endless or done.returncode == 124, f"it has ended by itself: {done.stdout}"
        return done


def _endless(command: str) -> bool:
    return command.startswith(ENDLESS) or "--watch" in command
