"""What label selectors match."""

from __future__ import annotations

import pytest

from bellmetal.selectors import Requirement, Selector, any_matches
from builders import labelled

LABELS = {"zone": "a", "rack": "7"}


@pytest.mark.parametrize(
    ("key", "operator", "values", "matches"),
    [
        pytest.param("zone", "In", "ab", True, id="In wants one of the values"),
        pytest.param("zone", "In", "b", False, id="In refuses other values"),
        pytest.param("room", "In", "a", False, id="In refuses an absent label"),
        pytest.param("zone", "NotIn", "b", True, id="NotIn takes other values"),
        pytest.param("zone", "NotIn", "a", False, id="NotIn refuses its values"),
        pytest.param("room", "NotIn", "a", True, id="NotIn takes an absent label"),
        pytest.param("zone", "Exists", "", True, id="Exists wants the label"),
        pytest.param("room", "Exists", "", False, id="Exists refuses an absent label"),
        pytest.param("room", "DoesNotExist", "", True, id="DoesNotExist wants it absent"),
        pytest.param("zone", "DoesNotExist", "", False, id="DoesNotExist refuses the label"),
    ],
)
def test_operators(key: str, operator: str, values: str, matches: bool) -> None:
    assert Requirement(key, operator, frozenset(values)).matches(LABELS) is matches


def test_every_requirement_must_hold() -> None:
    assert labelled(zone="a", rack="7").matches(LABELS)
    assert not labelled(zone="a", rack="8").matches(LABELS)


def test_an_empty_selector_matches_everything() -> None:
    assert Selector().matches({})


def test_one_selector_of_several_is_enough_and_none_is_not() -> None:
    assert any_matches((labelled(zone="b"), labelled(rack="7")), LABELS)
    assert not any_matches((labelled(zone="b"), labelled(rack="8")), LABELS)
    assert not any_matches((), LABELS)
