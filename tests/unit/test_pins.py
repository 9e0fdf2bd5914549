"""The pinned packages: files that must agree, with hashes and without addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("constraints.txt", "constraints-runtime.txt", "constraints-build.txt")
ALL = (*FILES, "constraints-fuzz.txt")  # `make fuzz` alone uses the last one


def pins(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    found = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / name).read_text()):
        if match := re.match(r"(\S+)==(\S+)", entry):
            found[match[1]] = match[2], frozenset(re.findall(r"--hash=(\S+)", entry))
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_package_has_hashes(name: str) -> None:
    assert pins(name)
    assert [package for package, (_, hashes) in pins(name).items() if not hashes] == []


@pytest.mark.parametrize("name", ALL)
def test_no_address_of_an_index_stands_in_it(name: str) -> None:
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("name", FILES[1:])
def test_what_ships_is_what_is_tested(name: str) -> None:
    tested = pins("constraints.txt")
    assert {package: pin for package, pin in pins(name).items() if tested.get(package) != pin} == {}
