"""What a speaker keeps over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellmetal.resources import ReportedClaim
from bellmetal.slices import PackedSlice
from bellmetal.statefile import State, StateFile
from builders import slice_item, slice_object

SLICES = [slice_object("layer2-0", slice_item())]
CLAIMS = [ReportedClaim("192.0.2.10", 3, 1, True)]


def state_file(directory: Path, node: str = "n1", cluster: str = "c1") -> StateFile:
    return StateFile(directory, node, cluster)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    state_file(tmp_path / "made").write(SLICES, CLAIMS)
    assert state_file(tmp_path / "made").read() == State(1, "n1", "c1", SLICES, CLAIMS)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["state.json"]


def test_slices_are_written_as_they_are_kept_packed_or_open(tmp_path: Path) -> None:
    two = [*SLICES, slice_object("layer2-1", slice_item())]
    state_file(tmp_path).write([PackedSlice.of(two[0]), two[1]], CLAIMS)
    assert state_file(tmp_path).read() == State(1, "n1", "c1", two, CLAIMS)


def test_no_file_is_nothing_to_talk_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert state_file(tmp_path).read() is None
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "Input data was truncated", id="empty"),
        pytest.param(b'{"version":1,', "Input data was truncated", id="half of one"),
        pytest.param(
            b"what?", "JSON is malformed: invalid character (byte 0)", id="no JSON at all"
        ),
        pytest.param(b"[]", "Expected `object`, got `array`", id="another shape"),
        pytest.param(
            b'{"claims":[{"term":"x"}]}',
            "Expected `int`, got `str` - at `$.claims[0].term`",
            id="another type",
        ),
        pytest.param(
            b'{"node":"\xff"}',
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
            id="bytes that are no text",
        ),
    ],
)
def test_a_file_that_is_rubbish_is_said_and_ignored(
    content: bytes, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert state_file(tmp_path).read() is None
    assert caplog.messages == [f"{path} is ignored: {why}"]


def test_a_file_that_cannot_be_read_is_said_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.json"
    path.mkdir()
    assert state_file(tmp_path).read() is None
    assert caplog.messages == [f"{path} is ignored: [Errno 21] Is a directory: '{path}'"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(
            b'{"node":"n2","cluster":"c1"}',
            "it is of version 1, node n2 and another cluster or node",
            id="of another node",
        ),
        pytest.param(
            b'{"node":"n1","cluster":"c2"}',
            "it is of version 1, node n1 and another cluster or node",
            id="of another cluster",
        ),
        pytest.param(
            b'{"node":"n1","cluster":"c1","version":2}',
            "it is of version 2, node n1 and another cluster or node",
            id="of another version",
        ),
    ],
)
def test_a_file_of_others_is_said_and_ignored(
    content: bytes, sentence: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert state_file(tmp_path).read() is None
    assert caplog.messages == [f"{path} is ignored: {sentence}"]


def test_a_file_is_written_only_if_something_changed(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    file.write(SLICES, CLAIMS)
    (tmp_path / "state.json").unlink()
    file.write(SLICES, CLAIMS)
    assert not (tmp_path / "state.json").exists()
    file.write(SLICES, [])
    assert state_file(tmp_path).read() == State(1, "n1", "c1", SLICES, [])


def test_a_disk_that_fails_is_said_once_and_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "state"
    directory.write_text("a file where the directory should be")
    file = state_file(directory)
    file.write(SLICES, CLAIMS)
    file.write(SLICES, CLAIMS)
    assert caplog.messages == [f"{directory}/state.json cannot be written: File exists"]
    directory.unlink()
    file.write(SLICES, CLAIMS)
    assert state_file(directory).read() == State(1, "n1", "c1", SLICES, CLAIMS)


def test_a_write_that_fails_leaves_the_old_file_as_it_is(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    file.write(SLICES, CLAIMS)
    (tmp_path / "state.new").mkdir()
    file.write(SLICES, [])
    assert state_file(tmp_path).read() == State(1, "n1", "c1", SLICES, CLAIMS)


# --- the boot id ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "wall_ms", "boot"),
    [
        pytest.param(None, 1000, 1000, id="the first start"),
        pytest.param(1000, 2000, 2000, id="time goes on"),
        pytest.param(1000, 1000, 1001, id="two starts in a millisecond"),
        pytest.param(1000, 400, 1001, id="the clock was set back"),
        pytest.param(2**62, 400, 400, id="no clock ever said so"),
        pytest.param(-5, 400, 400, id="nor that"),
    ],
)
def test_a_boot_id_is_above_all_before(
    before: int | None, wall_ms: int, boot: int, tmp_path: Path
) -> None:
    if before is not None:
        (tmp_path / "state.json").write_text(f'{{"node":"n1","cluster":"c1","boot":{before}}}')
    assert state_file(tmp_path).next_boot(wall_ms) == boot


def test_it_is_on_the_disk_before_it_is_used_and_nothing_else_is_lost(tmp_path: Path) -> None:
    file = state_file(tmp_path)
    file.write(SLICES, CLAIMS)
    again = state_file(tmp_path)
    assert again.next_boot(1000) == 1000
    assert state_file(tmp_path).read() == State(1, "n1", "c1", SLICES, CLAIMS, 1000)
    again.write(SLICES, [])
    assert state_file(tmp_path).next_boot(7) == 1001


def test_a_disk_that_fails_leaves_the_clock(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.write_text("a file where the directory should be")
    assert state_file(directory).next_boot(1000) == 1000
