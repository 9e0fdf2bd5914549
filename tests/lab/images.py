"""The lab's images, made without a registry: pause, and a Python made of Debian packages.

`lab.local/py:1` serves as web backend in tests, and as the local base of the project's image.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import oci, packages, paths
from lab.errors import LabError
from lab.progress import Lines, Progress

PAUSE, PYTHON = "lab.local/pause:1", "lab.local/py:1"
# {v} is the version of Debian's python3
PACKAGES = (
    "python{v}-minimal libpython{v}-minimal libpython{v}-stdlib libc6 libcrypt1 zlib1g libexpat1"
    " libssl3 libffi8 liblzma5 libbz2-1.0 libuuid1 libgcc-s1 libstdc++6 busybox-static"
)
# not wget: this busybox's ends with SIGSEGV in a pod
APPLETS = "sh ls cat ps ip id sleep nc grep mount touch rm cp mv mkdir env kill"
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/bug")
ENVIRONMENT = ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8"]
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


def folder() -> Path:
    """Where the images of exactly this recipe are kept."""
    recipe = hashlib.sha256()
    for path in (Path(__file__), Path(oci.__file__), paths.HERE / "pause" / "pause.c"):
        recipe.update(path.read_bytes())
    return paths.cache() / "images" / recipe.hexdigest()[:12]


def standard(progress: Progress | None = None) -> list[Path]:
    """The archives of all images that every node has; made first if they are not there."""
    made = folder()
    if not made.is_dir():
        (progress or Lines()).stage("images", 0)
        new = made.with_name(f"{made.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        _pause(new)
        _python(new)
        new.replace(made)
    return [made / "pause.tar", made / "py.tar"]


def python_archive() -> Path:
    """The archive of `lab.local/py:1`: to load as the base for the project's Dockerfile."""
    return standard()[1]


def python_root() -> Path:
    """The file system of `lab.local/py:1`, unpacked; not to be changed."""
    standard()
    return folder() / "py"


def write(
    out: Path, name: str, trees: Sequence[Path], config: Mapping[str, Any] | None = None
) -> Path:
    """An image of our own: one layer for each directory tree, the first usually `python_root()`."""
    base = {"Cmd": ["python3"], "Env": ENVIRONMENT}
    oci.write(out, name, trees, {**base, **(config or {})})
    return out


def _pause(new: Path) -> None:
    (new / "pause").mkdir()
    source = paths.HERE / "pause" / "pause.c"
    command = ["gcc", "-static", "-Os", "-s", "-o", str(new / "pause" / "pause"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"gcc could not make the pause program:\n{done.stderr}")
    config = {"Entrypoint": ["/pause"], "User": "65535:65535"}
    oci.write(new / "pause.tar", PAUSE, [new / "pause"], config)


def _python(new: Path) -> None:
    root = new / "py"
    for name in ("etc", "tmp", "root", "bin", "proc", "sys", "dev", "usr/bin", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    version = _python_version()
    debs = new / "debs"
    debs.mkdir()
    _download([name.format(v=version) for name in PACKAGES.split()], debs)
    for deb in sorted(debs.iterdir()):
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    shutil.rmtree(debs)
    for name in UNUSED:
        shutil.rmtree(root / name, ignore_errors=True)
    for tree in root.glob("usr/lib/*/gconv"):
        shutil.rmtree(tree)
    (root / "tmp").chmod(0o1777)
    (root / "usr/bin/python3").symlink_to(f"python{version}")
    for applet in APPLETS.split():
        (root / "bin" / applet).unlink(missing_ok=True)
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    write(new / "py.tar", PYTHON, [root])


def _python_version() -> str:
    """`3.11`: that of Debian's python3 here."""
    for _ in range(2):
        done = subprocess.run(["apt-cache", "show", "python3"], capture_output=True, text=True)
        if match := re.search(r"^Version: (\d+\.\d+)", done.stdout, re.MULTILINE):
            return match[1]
        packages.apt(["apt-get", "update", "-qq"])
    raise LabError("Debian's package lists know no python3")


def _download(names: Sequence[str], into: Path) -> None:
    for attempt in range(2):
        known = [name if _known(name) else f"{name}t64" for name in names]
        done = packages.apt(["apt-get", "download", "-qq", *known], cwd=into)
        if done.returncode == 0:
            return
        if attempt == 0:  # the lists name versions that are gone by now
            packages.apt(["apt-get", "update", "-qq"])
    raise LabError(f"apt-get could not fetch {' '.join(names)}:\n{done.stdout}")


def _known(name: str) -> bool:
    done = subprocess.run(["apt-cache", "show", name], capture_output=True, text=True)
    return bool(done.stdout.strip())
