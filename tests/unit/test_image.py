"""The Dockerfile as text: who runs in the image, and that all from outside is pinned."""

from __future__ import annotations

import re

from lab.paths import REPOSITORY


def dockerfile() -> list[str]:
    """The Dockerfile's instructions, one a line."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    return text.replace("\\\n", "").splitlines()


def test_the_image_runs_as_nobody_and_is_the_program() -> None:
    assert dockerfile()[-2:] == ["USER 65534:65534", 'ENTRYPOINT ["bellmetal"]']


def test_the_build_context_has_what_the_dockerfile_copies() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source.replace("[s]", "s")
        for line in dockerfile()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == kept


def test_everything_from_outside_is_pinned_by_hash() -> None:
    text = "\n".join(dockerfile())
    installs = re.findall(r"pip --python \S+ install\s+(\S+)", text)
    assert sorted(installs) == ["--no-deps", "--require-hashes", "--require-hashes"]
