"""Which records of free addresses need not be kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from bellmetal import pruning
from bellmetal.addresses import parse_address
from bellmetal.holdings import Holding
from builders import NOW, holder, holding, pool

KEPT, AT_ONCE = 4, 2


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "KEPT", KEPT)
    monkeypatch.setattr(pruning, "AT_ONCE", AT_ONCE)


def ago(seconds: float) -> str:
    return (datetime.fromisoformat(NOW) - timedelta(seconds=seconds)).isoformat()


def free(address: str, freed: str, pool: str = "main") -> Holding:
    return Holding(parse_address(address), 1, pool, (), holder("shop/web"), freed)


def six(freed: str = "", pool: str = "main") -> list[Holding]:
    """Of .0 to .5, .5 is free for longest."""
    return [free(f"192.0.2.{n}", freed or ago(1000 + n), pool) for n in range(6)]


def dropped(held: Iterable[Holding], cool_down: float = 0.0) -> list[str]:
    pools = [pool("main", "192.0.2.0/24", cool_down=cool_down)]
    found = pruning.outdated({item.address: item for item in held}, pools, NOW)
    return [str(item.address) for item in found]


def test_of_too_many_those_are_dropped_that_are_free_for_longest() -> None:
    assert dropped(six()) == ["192.0.2.5", "192.0.2.4"]


@pytest.mark.parametrize(
    ("held", "cool_down"),
    [
        pytest.param(six()[:5], 0.0, id="a part is not full yet"),
        pytest.param(
            [holding(f"192.0.2.{n}", "shop/web") for n in range(9)], 0.0, id="they are in use"
        ),
        pytest.param(six(ago(299)), 0.0, id="of a moment ago"),
        pytest.param(six(), 3600.0, id="their pool's cool-down is not over"),
        pytest.param(six()[:3] + six(pool="other")[3:], 0.0, id="of two pools, few of each"),
    ],
)
def test_kept_are(held: list[Holding], cool_down: float) -> None:
    assert dropped(held, cool_down) == []


def test_a_pool_that_is_not_there_any_more_has_no_cool_down() -> None:
    assert dropped(six(pool="gone"), 3600.0) == ["192.0.2.5", "192.0.2.4"]


@pytest.mark.parametrize("freed", ["rubbish", "2026-01-01T00:00:00"])
def test_a_time_that_somebody_has_spoilt_is_long_ago(freed: str) -> None:
    assert dropped(six(freed)) == ["192.0.2.0", "192.0.2.1"]
