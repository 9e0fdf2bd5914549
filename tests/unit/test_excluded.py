"""The speaker's list of interfaces to leave alone (MetalLB's excludel2.yaml)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellmetal.excluded import read_exclude_file
from bellmetal.settings import SettingsError

METALLB_DEFAULT = """
announcedInterfacesToExclude: ["^docker.*", "^cbr.*", "^dummy.*", "^virbr.*", "^lxcbr.*",
  "^veth.*", "^lo$", "^cali.*", "^tunl.*", "^flannel.*", "^kube-ipvs.*", "^cni.*",
  "^nodelocaldns.*"]
"""


def excluded(directory: Path, text: str, *names: str) -> list[str]:
    path = directory / "excludel2.yaml"
    path.write_text(text)
    pattern = read_exclude_file(path)
    return [name for name in names if pattern is not None and pattern.match(name)]


def test_the_default_of_metallb(tmp_path: Path) -> None:
    names = ["eth0", "docker0", "lo", "lo1", "veth12", "bond0", "cni0", "kube-ipvs0"]
    assert excluded(tmp_path, METALLB_DEFAULT, *names) == [
        "docker0",
        "lo",
        "veth12",
        "cni0",
        "kube-ipvs0",
    ]


@pytest.mark.parametrize(
    "text", ["announcedInterfacesToExclude: []", "announcedInterfacesToExclude:"]
)
def test_an_empty_list_excludes_nothing(text: str, tmp_path: Path) -> None:
    assert excluded(tmp_path, text, "lo", "eth0", "") == []


def test_no_file_excludes_nothing(tmp_path: Path) -> None:
    assert read_exclude_file(tmp_path / "lost.yaml") is None


def test_a_pattern_may_have_flags_of_its_own(tmp_path: Path) -> None:
    text = 'announcedInterfacesToExclude: ["^lo$", "(?i:^ETH)"]'
    assert excluded(tmp_path, text, "eth0", "LO", "lo") == ["eth0", "lo"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("- lo", "wants a list", id="a list at the top"),
        pytest.param("lo", "wants a list", id="a word"),
        pytest.param("", "wants a list", id="nothing"),
        pytest.param("interfaces: [lo]", "wants a list", id="another key"),
        pytest.param("announcedInterfacesToExclude: [7]", "wants a list", id="a number in it"),
        pytest.param("announcedInterfacesToExclude: docker0", "wants a list", id="no list"),
        pytest.param("announcedInterfacesToExclude: [", "wants a list", id="no YAML"),
        pytest.param(
            'announcedInterfacesToExclude: ["^lo$", "(eth"]',
            '"(eth": missing ), unterminated subpattern',
            id="no regular expression",
        ),
        pytest.param(
            'announcedInterfacesToExclude: ["^lo$", "(?i)^ETH"]',
            '"(^lo$)|((?i)^ETH)": global flags not at the start of the expression',
            id="flags for all patterns in one of them",
        ),
    ],
)
def test_a_list_that_cannot_be_used(text: str, sentence: str, tmp_path: Path) -> None:
    expected = sentence.replace(
        "wants a list",
        "wants a list announcedInterfacesToExclude of regular expressions",
    )
    with pytest.raises(SettingsError) as caught:
        excluded(tmp_path, text)
    assert str(caught.value) == f"{tmp_path}/excludel2.yaml: {expected}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read_exclude_file(tmp_path)
    assert str(caught.value) == f"{tmp_path}: Is a directory"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "excludel2.yaml"
    path.write_bytes(b"\xff\xff")
    with pytest.raises(SettingsError) as caught:
        read_exclude_file(path)
    assert str(caught.value) == (
        f"{path}: wants a list announcedInterfacesToExclude of regular expressions"
    )
