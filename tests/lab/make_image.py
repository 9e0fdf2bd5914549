"""Builds the image of both programs out of the Dockerfile: with docker, or without any engine.

Where no docker engine answers, Debian's buildah (installed if it is missing) runs the same
Dockerfile (chroot isolation, no daemon) on a base made of Debian packages, with wheels downloaded
beforehand: no image registry is needed. The result is a `docker save` archive, which `docker load`,
`podman load` and `ctr images import` take. Unchanged inputs are not built again.

    python -m lab.make_image build        (makes build/bellmetal-VERSION.tar)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lab import packages
from lab.errors import LabError
from lab.paths import REPOSITORY, cache

RUNTIME = (
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libcrypt1",
    "libgcc-s1", "zlib1g", "libexpat1", "libssl3", "libffi8", "liblzma5", "libbz2-1.0", "libuuid1",
    "libsqlite3-0",
)  # fmt: skip
BUILD = ("busybox-static", "python3-pip-whl")  # for the build stage alone
APPLETS = ("sh", "find", "rm")
UNUSED = (
    "usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/bug", "usr/lib/*/gconv",
    "usr/lib/python3.11/lib2to3", "usr/lib/python3.11/pydoc_data",
    "usr/lib/python3.11/config-3.11-*", "usr/lib/*/perl-base",
)  # fmt: skip
REQUIREMENTS = ("constraints-build.txt", "constraints-runtime.txt")
INPUTS = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", *REQUIREMENTS)


def version() -> str:
    """The project's version, which is the image's tag."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def build_image(out: Path) -> Path:
    """The archive of ``bellmetal:<version>`` at ``out``, built if its inputs changed."""
    key, noted = _key(), out.with_name(f"{out.name}.inputs")
    if out.exists() and noted.exists() and noted.read_text() == key:
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    noted.unlink(missing_ok=True)
    began = time.monotonic()
    build = _with_docker if _answers("docker", "info") else _with_buildah
    partial = out.with_name(f"{out.name}.partial")
    partial.unlink(missing_ok=True)
    build(f"bellmetal:{version()}", partial)
    partial.replace(out)
    noted.write_text(key)
    size = out.stat().st_size / 1e6
    _say(f"{out.name}: {size:.0f} MB after {time.monotonic() - began:.0f} s")
    return out


# --- inputs ---------------------------------------------------------------------------------------


def _key() -> str:
    digest = hashlib.sha256()
    for path in [*_sources(), Path(__file__)]:
        if not path.exists():
            raise LabError(f"the image needs {path.relative_to(REPOSITORY)}")
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(REPOSITORY)} {content}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    yield from (REPOSITORY / name for name in INPUTS)
    for folder in ("operator", "announcers"):
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


# --- ways to build --------------------------------------------------------------------------------


def _with_docker(name: str, out: Path) -> None:
    _say("docker build")
    _run("docker", "build", "--tag", name, REPOSITORY)
    _run("docker", "save", "--output", out, name)


def _with_buildah(name: str, out: Path) -> None:
    if not shutil.which("buildah"):
        _say("installing Debian's buildah, for want of a docker engine")
        packages.add("buildah")
    wheels = _wheels()
    debs = _debs()
    with tempfile.TemporaryDirectory(prefix="image-", dir=_folder()) as scratch:
        work = Path(scratch)
        context = _context(work / "context", wheels)
        _say("base images of Debian packages")
        bases = [
            _base(work, "base", [debs / package for package in RUNTIME]),
            _base(work, "build-base", [debs / package for package in (*RUNTIME, *BUILD)]),
        ]
        _say("buildah: the Dockerfile")
        image = work / "image-id"
        _buildah(
            work, "bud", "--isolation", "chroot", "--iidfile", image,
            "--build-arg", f"BASE={bases[0]}", "--build-arg", f"BUILD_BASE={bases[1]}",
            "--build-arg", "PIP_NO_INDEX=1", context,
        )  # fmt: skip
        _buildah(work, "push", image.read_text(), f"docker-archive:{out}:{name}")


def _buildah(work: Path, *arguments: str | Path) -> str:
    storage = ("--root", work / "storage", "--runroot", work / "run", "--storage-driver", "vfs")
    return _run("buildah", *storage, *arguments)


def _context(context: Path, wheels: Path) -> Path:
    """What the Dockerfile copies, so that wheels need not lie in the work tree."""
    for path in _sources():
        target = context / path.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copytree(wheels, context / "build" / "wheels")
    return context


# --- what comes from outside ----------------------------------------------------------------------


def _folder() -> Path:
    folder = cache() / "image"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _wheels() -> Path:
    """The wheels that the constraints name; pip checks their hashes."""
    texts = [(REPOSITORY / name).read_bytes() for name in REQUIREMENTS]
    folder = _folder() / ("wheels-" + hashlib.sha256(b"\0".join(texts)).hexdigest()[:16])
    if folder.exists():
        return folder
    _say("wheels")
    partial = folder.with_suffix(".partial")
    for name in REQUIREMENTS:
        _run(
            sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--no-deps",
            "--python-version", "3.11", "--require-hashes", "--dest", partial,
            "--requirement", REPOSITORY / name,
        )  # fmt: skip
    return partial.rename(folder)


def _debs() -> Path:
    """Debian's packages, each unpacked in a folder of its name; apt checks their signatures.

    What dpkg would know of a package lies where scanners of images look for it.
    """
    folder = _folder() / "debian-told"
    for package in (*RUNTIME, *BUILD):
        target = folder / package
        if target.exists():
            continue
        _say(f"Debian package {package}")
        with tempfile.TemporaryDirectory(prefix="deb-", dir=_folder()) as scratch:
            os.chmod(scratch, 0o755)  # apt downloads as a user of its own
            _run("apt-get", "download", "-qq", package, cwd=Path(scratch))
            archive = next(Path(scratch).glob("*.deb"))
            _run("dpkg-deb", "--extract", archive, Path(scratch) / "root")
            told = Path(scratch) / "root/var/lib/dpkg/status.d" / package
            told.parent.mkdir(parents=True)
            told.write_text(_run("dpkg-deb", "--field", archive))
            folder.mkdir(exist_ok=True)
            (Path(scratch) / "root").rename(target)
    return folder


def _base(work: Path, name: str, packages: list[Path]) -> str:
    """A local image of unpacked packages; its name."""
    root = work / name
    for package in packages:
        shutil.copytree(package, root, symlinks=True, dirs_exist_ok=True)
    for pattern in UNUSED:
        for path in root.glob(pattern):
            shutil.rmtree(path)
    for folder in ("etc", "tmp", "proc", "sys", "dev", "bin", "run"):
        (root / folder).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/:\nnobody:x:65534:65534::/:\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "usr/bin/python3").symlink_to("python3.11")
    for wheel in root.glob("usr/share/python-wheels/pip-*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root / "usr/lib/python3/dist-packages")
    if (root / "bin/busybox").exists():
        for applet in APPLETS:
            (root / "bin" / applet).symlink_to("busybox")
    container = _buildah(work, "from", "scratch").strip()
    _buildah(work, "add", "--quiet", container, root, "/")
    _buildah(work, "commit", "--quiet", "--rm", container, f"localhost/{name}")
    return f"localhost/{name}"


# --- running programs -----------------------------------------------------------------------------


def _answers(*command: str) -> bool:
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise LabError(f"{' '.join(map(str, command[:8]))} …: status {done.returncode}\n{said}")
    return done.stdout


def _say(text: str) -> None:
    print(f"image: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m lab.make_image FOLDER")
    print(build_image(Path(sys.argv[1]).resolve() / f"bellmetal-{version()}.tar"))
