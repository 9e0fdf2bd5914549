"""What the suite makes of what it measured: exponents, counts, pictures, history."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import drawing, history, many_nodes, soak, suite
from bench.curves import Curves, Sized, exponent, fitted, spread_pools, table
from bench.load import endpoint_slice, event, service
from bench.thousands import counted

LINEAR: Curves = {"all": [(100, 0.9), (1_000, 0.5), (10_000, 5.0)]}


@pytest.mark.parametrize(
    ("points", "wished"),
    [
        ([(10, 1.0), (100, 10.0)], 1.0),
        ([(10, 1.0), (100, 100.0), (1000, 10_000.0)], 2.0),
        ([(10, 3.0), (100, 3.0)], 0.0),
    ],
)
def test_the_exponent_is_the_slope_of_the_logarithms(
    points: list[tuple[int, float]], wished: float
) -> None:
    assert exponent(points) == pytest.approx(wished)


def test_small_sizes_tell_nothing_of_the_exponent() -> None:
    assert fitted(LINEAR["all"]) == pytest.approx(1.0)
    assert table(LINEAR, "Services").splitlines()[2] == (
        "| all | 900.0 ms | 500.0 ms | 5000.0 ms | 1.00 |"
    )


@pytest.mark.parametrize("number", [1, 3, 16, 100])
def test_pools_that_are_made_do_not_meet(number: int) -> None:
    pools = spread_pools(number)
    assert len(pools) == number
    ranges = sorted((piece.first, piece.last) for pool in pools for piece in pool.ranges[:1])
    assert all(last < first for (_, last), (first, _) in itertools.pairwise(ranges))


def test_a_cluster_is_made_with_everything_in_force() -> None:
    it = Sized(30, nodes=4)
    assert len(it.given.granted) == len(it.intents.announcements) == 30
    assert it.replan(it.full).announcements == it.intents.announcements


def test_a_change_of_one_service_is_one_slice_also_among_many_nodes() -> None:
    found = {item.what: item for item in many_nodes.costs(40, 60)}
    assert found["nothing changes"].slices == 0
    assert found["a Service goes"].slices == 1
    assert found["a node leaves"].moved == found["a node leaves"].owned > 0
    assert found["a node joins"].slices == found["a node joins"].sets == 1


def test_requests_are_counted_by_verb_and_resource() -> None:
    text = """\
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",group="",resource="services",subresource="status",verb="PATCH"} 3
apiserver_request_total{code="409",group="",resource="services",subresource="status",verb="PATCH"} 1
apiserver_request_total{code="201",group="",resource="services",subresource="",verb="POST"} 1e+03
other{verb="PATCH"} 9
"""
    assert counted(text) == {("PATCH", "services"): 4, ("POST", "services"): 1000}


def test_what_is_made_belongs_together() -> None:
    assert endpoint_slice("a", {"n1": "10.0.0.1"})["metadata"]["labels"] == {
        "kubernetes.io/service-name": service("a")["metadata"]["name"]
    }
    assert event("a")["involvedObject"]["name"] == "a"


def test_a_picture_has_every_curve_and_is_xml() -> None:
    text = drawing.draw("A & B", "Services", {"one <": LINEAR["all"], "two": [(100, 1e-3)]})
    root = ElementTree.fromstring(text)
    lines = [item for item in root.iter() if item.tag.endswith("polyline")]
    assert [len(item.attrib["points"].split()) for item in lines] == [3, 1]
    assert "one &lt;" in text


def test_history_is_kept_and_compared(tmp_path: Path) -> None:
    file = tmp_path / "more" / "history.jsonl"
    first = history.Run("2026-01-01", {"cores": 2}, {"a": 1.0, "b": 0.0, "gone": 5.0})
    second = history.Run("2026-01-02", {"cores": 2}, {"a": 1.5, "b": 1.0, "new": 2.0})
    for run in (first, second):
        history.append(file, run)
    assert history.read(file) == [first, second]
    assert history.since(first, second) == {"a": 1.5}
    assert history.since(None, second) == {}
    assert history.read(tmp_path / "none") == []


def test_only_runs_of_the_same_program_with_as_many_services_are_compared() -> None:
    machine = {"services": 10_000, "started": "bellmetal", "load": 1.0}
    usual = history.Run("2026-01-01", machine)
    assert usual.like(history.Run("2026-01-02", machine | {"load": 2.0}))
    assert not usual.like(history.Run("2026-01-02", machine | {"services": 60}))
    assert not usual.like(history.Run("2026-01-02", machine | {"started": "other"}))


def test_a_row_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        suite.main(["--only", "scale,what"])
    assert "no what: there are curves, nodes, scale" in capsys.readouterr().err


def test_a_run_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = many_nodes.costs(4, 20)
    monkeypatch.setattr(many_nodes, "costs", lambda nodes, services: few)
    assert suite.main(["--only", "nodes", "--out", str(tmp_path)]) in (0, 1)
    written = sorted(path.suffix for path in tmp_path.iterdir())
    assert written == [".json", ".jsonl", ".md"]
    assert "bench.upgrade" in next(tmp_path.glob("*.md")).read_text()


def test_what_was_higher_at_the_end_has_grown_and_a_few_more_have_not() -> None:
    flat, steep = [60.0] * 9, [60.0 + 4 * n for n in range(9)]
    series = {
        "a MB": flat,
        "b MB": steep,
        "b % of a core": steep,
        "c files": [10.0] * 6 + [12.0] * 3,
    }
    assert soak.grown(series) == {"b MB": (76.0, 88.0)}
