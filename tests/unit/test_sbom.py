"""What is in an image of two layers, as a list; and an audit that says what was checked."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest

from lab import audit
from lab.sbom import document, packages, sizes

SITE = "opt/bellmetal/lib/python3.11/site-packages"
LIBC = "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nDescription: C\n more\n"
HTTP = "Name: Aio_HTTP\nVersion: 3.1\nLicense-Expression: Apache-2.0\n\nVersion: of its text\n"
LAYERS = [
    {"var/lib/dpkg/status": f"{LIBC}\n{LIBC.replace('libc6', 'zlib1g')}", "usr/lib/a.so": "x" * 50},
    {
        f"./{SITE}/aiohttp-3.1.dist-info/METADATA": HTTP,
        f"{SITE}/aiohttp/web.py": "y" * 30,
        "var/lib/dpkg/status.d/libssl3": LIBC.replace("libc6", "libssl3"),
    },
]


def tar(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode("latin-1")))
    return out.getvalue()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    parts = {f"{n}.tar": tar(layer).decode("latin-1") for n, layer in enumerate(LAYERS)}
    path = tmp_path / "image.tar"
    path.write_bytes(tar({**parts, "manifest.json": json.dumps([{"Layers": [*parts]}])}))
    return path


def test_packages_of_both_kinds_are_found_in_all_layers(image: Path) -> None:
    assert [package.purl for package in packages(image)] == [
        "pkg:deb/debian/libc6@2.36-9",
        "pkg:deb/debian/libssl3@2.36-9",
        "pkg:deb/debian/zlib1g@2.36-9",
        "pkg:pypi/aio-http@3.1",
    ]


def test_the_same_image_gives_the_same_list(image: Path) -> None:
    body = document(image)
    assert document(image) == body
    assert (body["bomFormat"], body["specVersion"]) == ("CycloneDX", "1.5")
    assert body["components"][-1]["licenses"] == [{"license": {"name": "Apache-2.0"}}]


def test_what_takes_room_is_told_by_part(image: Path) -> None:
    assert sizes(image)["aiohttp"] == 30
    assert sizes(image)["usr/lib/a.so"] == 50


WELL = [{"name": "a", "version": "1", "vulns": []}]
KNOWN = [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}]
UNKNOWN = [{"name": "b", "skip_reason": "not found"}]


@pytest.mark.parametrize(
    ("said", "status", "sentence"),
    [
        (json.dumps({"dependencies": WELL}), 0, "1 of 1 packages checked: 0 with"),
        (json.dumps({"dependencies": KNOWN}), 1, "CVE-1"),
        (json.dumps({"dependencies": WELL + UNKNOWN}), 1, "b was not checked: not found"),
        (json.dumps({"dependencies": UNKNOWN}), 2, "pypi did not answer: not found"),
        (json.dumps({"dependencies": []}), 2, "nothing was audited"),
        ("no route to it", 2, "nothing was audited"),
    ],
)
def test_an_audit_says_well_only_of_what_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: str, status: int, sentence: str
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert audit.main(str(program)) == status
    told = capsys.readouterr()
    assert sentence in told.out + told.err
