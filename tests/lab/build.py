"""The lab's Go programs, built from modules with pinned versions, kept by what they were made of.

`control-plane/` and `runtime/` are tools modules: a go.mod that names programs, and a go.sum.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import golang, packages, paths
from lab.errors import LabError
from lab.progress import Bar, Lines, Progress

KUBERNETES = "k8s.io/kubernetes"


@dataclass(frozen=True)
class Module:
    """A tools module and how its programs are built."""

    folder: str
    programs: tuple[str, ...]  # import paths
    tags: str = ""
    names: tuple[tuple[str, str], ...] = ()  # what `go build` calls it → what we call it

    def flags(self, kubernetes: str) -> list[str]:
        """The flags of `go build`."""
        # Without -X the API server says v0.0.0-master+$Format, and charts' kubeVersion refuse it.
        packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        stamps = [f"-X {package}.gitVersion={kubernetes}" for package in packages]
        own = stamps if self.folder == "control-plane" else []
        return ["-trimpath", f"-ldflags={' '.join(['-s', '-w', *own])}", f"-tags={self.tags}"]

    def outputs(self) -> list[str]:
        """The programs as `go build` calls them: by the last part that is not a version."""
        parts = [path.split("/") for path in self.programs]
        return [p[-2] if p[-1][0] == "v" and p[-1][1:].isdigit() else p[-1] for p in parts]


MODULES = (
    Module(
        "control-plane",
        (
            *(
                f"{KUBERNETES}/cmd/{name}"
                for name in (
                    "kube-apiserver",
                    "kube-controller-manager",
                    "kube-scheduler",
                    "kube-proxy",
                    "kubelet",
                    "kubectl",
                )
            ),
            "go.etcd.io/etcd/server/v3",
            "helm.sh/helm/v4/cmd/helm",
        ),
        names=(("server", "etcd"),),
    ),
    Module(
        "runtime",
        tuple(
            f"github.com/containerd/containerd/v2/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        tags="no_btrfs,no_zfs,no_devmapper,no_aufs,urfave_cli_no_docs",
    ),
)


def key() -> str:
    """A name for exactly these programs: of the module files and the flags they are built with."""
    made_of = hashlib.sha256()
    for module in MODULES:
        for name in ("go.mod", "go.sum"):
            made_of.update((paths.HERE / module.folder / name).read_bytes())
        made_of.update(repr((module, module.flags("pinned"))).encode())
    return made_of.hexdigest()[:12]


def binaries() -> Path:
    """The directory of all programs; they are built first if there is none."""
    folder = paths.cache() / "bin" / key()
    if not folder.is_dir() or packages.missing():
        everything()
    return folder


def everything(progress: Progress | None = None) -> Path:
    """Packages and programs, whatever of them is missing."""
    if progress is None:
        if sys.stderr.isatty():
            with Bar() as bar:
                return everything(bar)
        progress = Lines()
    folder = paths.cache() / "bin" / key()
    with _alone(progress):
        packages.install(progress)
        if not folder.is_dir():
            new = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            go = golang.find(progress)
            _build_all(go, new, progress)
            new.replace(folder)  # all or nothing
    return folder


def _build_all(go: str, out: Path, progress: Progress) -> None:
    """Fetch all modules, then build all programs: so the time left is that of everything."""
    builds = [Build(go, module, out, progress) for module in MODULES]
    for build in builds:
        build.fetch()
    progress.stage("programs", sum(build.work for build in builds))
    before = 0.0
    for build in builds:
        build.compile(before)
        before += build.work


@contextlib.contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """One build at a time; others wait for it and then find it done."""
    paths.cache().mkdir(parents=True, exist_ok=True)
    with (paths.cache() / "build.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.stage("another process builds: waiting for it", 0)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class Build:
    """One module's build, with progress: modules fetched, packages compiled, programs linked."""

    LINK = 120.0  # what linking a program weighs, where a package weighs as many as it has files

    def __init__(self, go: str, module: Module, out: Path, progress: Progress) -> None:
        self._go = go
        self._module = module
        self._out = out
        self._progress = progress
        # a copy, so that nothing that `go` does touches the work tree
        self._source = paths.cache() / "src" / module.folder
        self._flags: list[str] = []
        self._weights: dict[str, float] = {}  # of the packages that are to be compiled

    @property
    def work(self) -> float:
        """How much there is to do."""
        return sum(self._weights.values()) + self.LINK * len(self._module.programs)

    def fetch(self) -> None:
        """Fetch the module's modules, and find out what is to be compiled."""
        self._source.mkdir(parents=True, exist_ok=True)
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(paths.HERE / self._module.folder / name, self._source / name)
        total = (self._source / "go.mod").read_text().count("// indirect")
        self._progress.stage(f"modules of {self._module.folder}", total)
        fetched = 0

        def note(line: str) -> None:
            nonlocal fetched
            fetched += line.startswith("go: downloading")
            self._progress.done(fetched, line)

        version = ""
        if self._module.folder == "control-plane":
            version = self._run(["list", "-m", "-f", "{{.Version}}", KUBERNETES], note).strip()
        self._flags = self._module.flags(version)
        template = '{"path": "{{.ImportPath}}", "stale": {{.Stale}}, "files": {{len .GoFiles}}}'
        arguments = ["list", "-deps", "-f", template, *self._flags, *self._module.programs]
        rows = [json.loads(line) for line in self._run(arguments, note).splitlines()]
        mains = set(self._module.programs)
        self._weights = {
            row["path"]: row["files"] + 2.0
            for row in rows
            if row["stale"] and row["path"] not in mains
        }

    def compile(self, before: float) -> None:
        """Build all programs of the module; `before` is the work that was done already."""
        programs = self._module.outputs()
        compiled = 0.0

        def note(line: str) -> None:
            nonlocal compiled
            compiled += self._weights.get(line, 0)
            linked = sum((self._out / name).exists() for name in programs)
            self._progress.done(before + compiled + self.LINK * linked, line)

        arguments = ["build", "-v", "-o", f"{self._out}/", *self._flags, *self._module.programs]
        self._run(arguments, note)
        for made, wanted in self._module.names:
            (self._out / made).rename(self._out / wanted)

    def _run(self, arguments: Sequence[str], note: Callable[[str], None]) -> str:
        return run_noting([self._go, *arguments], self._source, note)


def run_noting(command: Sequence[str], cwd: Path, note: Callable[[str], None]) -> str:
    """Run `go`; each line of its stderr, and an empty one now and then, goes to `note`."""
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env=golang.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    errors: list[str] = []
    output: list[str] = []
    assert child.stdout is not None
    assert child.stderr is not None
    readers = [
        threading.Thread(target=output.extend, args=(child.stdout,)),
        threading.Thread(target=errors.extend, args=(child.stderr,)),
    ]
    for reader in readers:
        reader.start()
    seen = 0
    try:
        # a child may be gone before its last lines are read
        while child.poll() is None or any(r.is_alive() for r in readers) or seen < len(errors):
            while seen < len(errors):
                note(errors[seen].strip())
                seen += 1
            note("")
            time.sleep(0.2)
    except BaseException:
        child.kill()
        raise
    finally:
        child.wait()
        for reader in readers:
            reader.join()
        child.stdout.close()
        child.stderr.close()
    if child.returncode:
        raise LabError(f"{' '.join(command[:3])} failed:\n{''.join(errors[-30:])}")
    return "".join(output)
