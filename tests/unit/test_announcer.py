"""How announcers are found: by entry point, the built-in ones like a stranger's."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellmetal.announcer import UnknownAnnouncerError, find


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Installs a distribution that offers an announcer."""

    def install(name: str, value: str, module: str = "") -> None:
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[bellmetal.announcers]\n{name} = {value}\n")
        if module:
            (tmp_path / f"{module}.py").write_text("class Announcer:\n    name = 'strange'\n")

    monkeypatch.syspath_prepend(tmp_path)
    return install


def test_the_built_in_one_is_found() -> None:
    assert find()["layer2"].__module__ == "bellmetal_layer2.announcer"


def test_a_strangers_is_found_too(install) -> None:  # type: ignore[no-untyped-def]
    install("strange", "strange_announcer:Announcer", "strange_announcer")
    assert set(find()) == {"bgp", "layer2", "strange"}
    assert find(["strange"])["strange"].name == "strange"


def test_only_those_that_are_asked_for_are_loaded(install) -> None:  # type: ignore[no-untyped-def]
    install("strange", "no_such_module:Announcer")
    assert set(find(["layer2"])) == {"layer2"}
    assert find([]) == {}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param(
            "no_such_module:Announcer",
            "announcer strange (no_such_module:Announcer): No module named 'no_such_module'",
            id="a module that is not there",
        ),
        pytest.param(
            "bellmetal.announcer:Nothing",
            "announcer strange (bellmetal.announcer:Nothing):"
            " module 'bellmetal.announcer' has no attribute 'Nothing'",
            id="a class that is not in it",
        ),
    ],
)
def test_one_that_cannot_be_loaded_is_named(install, value: str, sentence: str) -> None:  # type: ignore[no-untyped-def]
    install("strange", value)
    with pytest.raises(UnknownAnnouncerError) as caught:
        find()
    assert str(caught.value) == sentence
