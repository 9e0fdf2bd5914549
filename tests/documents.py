"""The project's pages as tests read them: their blocks of code, commands, links and anchors.

`ELSEWHERE` and `CANNOT_RUN` are the whole list of what tests/lab/test_docs.py does not run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import yaml

from lab.paths import REPOSITORY

# a page whose commands another test runs → that test
ELSEWHERE = {
    "docs/migration.md": "tests/lab/test_takeover.py",
    "docs/page.md": "tests/lab/test_page_chart.py",
}

# how a command begins → why it cannot be run by a test
CANNOT_RUN = {
    "docker ": "there is no container engine; the image is built by Debian's buildah (make image)",
    "kind ": "it needs a container engine",
    "make demo": "it is a test itself: tests/lab/test_walkthroughs.py",
    "make test": "it would run itself",
    "make chaos": "it takes half an hour; tests/lab/test_chaos.py plays three minutes of it",
    "make fuzz": "it searches for as long as it is told; tests/fuzz plays what is kept",
    "make bench": "it takes hours; tests/unit/test_bench_suite.py runs its parts",
    "make image": "the test has built it already: it runs in it",
    "PYTHONPATH=tests .venv/bin/python -m bench.": "it takes minutes, and measures nothing while "
    "others work; tests/unit/test_bench.py runs its parts",
    "uv ": "it asks a package registry",
    'echo "atheris': "it asks a package registry",
    'echo "pip-audit': "it asks a package registry",
    "ctr ": "it is for a machine of a kubeadm cluster; the lab imports its images in the same way",
    "k3s ": "it is for a machine of a k3s cluster",
    "systemctl restart k3s": "it is for a machine of a k3s cluster",
    "cp bellmetal-0.1.0.tar /var/lib/rancher": "it is for a machine of a k3s cluster",
    "talosctl ": "it is for a Talos cluster",
    "microk8s ": "it is for a machine of a MicroK8s cluster",
    'echo "--ipvs-strict-arp=true"': "it is for a machine of a MicroK8s cluster",
    "snap ": "it is for a machine of a MicroK8s cluster",
    "kubectl get configmap kube-proxy": "the lab's kube-proxies are no DaemonSet of the cluster",
    "kubectl edit configmap kube-proxy": "it opens an editor",
    "kubectl rollout restart daemonset kube-proxy": "the lab's kube-proxies are no DaemonSet",
    "kubectl delete node n3": "it would take a node from the pages that follow",
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line it begins on, its language, its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that it shows, named by a comment in its first line; empty: none."""
        found = re.match(r"# (\S+\.yaml)$", self.text.splitlines()[0]) if self.text else None
        return found[1] if found else ""

    @property
    def is_values(self) -> bool:
        """Whether it shows values for the chart."""
        bodies = list(yaml.safe_load_all(self.text)) if self.language == "yaml" else []
        return not self.file and bool(bodies) and all("kind" not in body for body in bodies)

    def commands(self) -> list[str]:
        """The commands of a shell block; one that goes on behind a backslash is one."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        bare = (re.sub(r"(^|\s+)# .*$", "", line).strip() for line in lines)
        return [line for line in bare if line]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page of the project, by its path."""
    files = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")]
    for folder in ("announcers", "examples", "tests", "helm"):
        files += (REPOSITORY / folder).glob("**/*.md")
    return sorted(str(path.relative_to(REPOSITORY)) for path in files)


def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text()


def blocks(page: str, *languages: str) -> list[Block]:
    """The fenced blocks of a page, in these languages or in any."""
    found, lines = [], text_of(page).splitlines()
    begin = -1
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if begin < 0:
            begin = number
            continue
        body = "".join(f"{one}\n" for one in lines[begin + 1 : number])
        found.append(Block(page, begin + 2, lines[begin].removeprefix("```"), body))
        begin = -1
    assert begin < 0, f"{page}:{begin + 1}: a block that does not end"
    return [block for block in found if not languages or block.language in languages]


def manifests(page: str) -> list[Block]:
    """The blocks of a page that are for `kubectl apply`, not for helm or a file of their own."""
    return [block for block in blocks(page, "yaml") if not block.file and not block.is_values]


def cannot_run(command: str) -> str:
    """Why a command cannot be run by a test; empty if it can."""
    return next((why for begin, why in CANNOT_RUN.items() if command.startswith(begin)), "")


def prose(page: str) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S)


def inline(page: str, program: str) -> list[str]:
    """The commands of a program in running text."""
    return sorted(set(re.findall(rf"`({program} [^`]+)`", prose(page))))


def links(page: str) -> Iterator[str]:
    """Where a page points to in the project, as it is written."""
    for target in re.findall(r"\]\(([^()\s]+)\)", prose(page)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.*)$", prose(page), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading).lower()
        anchor = base = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while anchor in found:
            number += 1
            anchor = f"{base}-{number}"
        found.add(anchor)
    return found


def words_of(command: str) -> list[str]:
    """The first program of a command and its arguments, without what a shell does with them."""
    parser = shlex.shlex(command, posix=True, punctuation_chars=True)
    parser.whitespace_split, parser.commenters = True, "#"
    return list(takewhile(lambda word: word != "…" and not set(word) <= set("();<>|&"), parser))


def resolved(page: str, target: str) -> tuple[Path, str]:
    """The file and the anchor that a link of a page leads to."""
    path, _, anchor = target.partition("#")
    here = REPOSITORY / page
    return ((here.parent / path).resolve() if path else here), anchor
