"""Passwords of BGP peers: a file for each; the last one that could be read stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellmetal.announcer import Password
from bellmetal.passwords import MOST_BYTES, Passwords


def values(passwords: Passwords) -> dict[str, bytes]:
    return {name: item.value for name, item in passwords.known.items()}


def messages(passwords: Passwords, *peers: str) -> list[str]:
    return [item.message for item in passwords.findings(peers)]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        pytest.param(b"s3cret", b"s3cret", id="as it is"),
        pytest.param(b"s3cret\r\n", b"s3cret", id="without the newline of an editor"),
        pytest.param(b" a b ", b" a b ", id="blanks are part of it"),
        pytest.param(b"\xff\x00", b"\xff\x00", id="bytes that are no text"),
    ],
)
def test_a_password_is_in_a_file_of_its_peers_name(
    content: bytes, value: bytes, tmp_path: Path
) -> None:
    (tmp_path / "router").write_bytes(content)
    assert values(Passwords(tmp_path)) == {"router": value}


def test_no_directory_is_no_password() -> None:
    passwords = Passwords(None)
    assert (passwords.known, passwords.findings(["router"])) == ({}, ())


def test_the_kubelets_own_files_are_nobodys_password(tmp_path: Path) -> None:
    folder = tmp_path / "..1"
    folder.mkdir()
    (folder / "router").write_text("a")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "router").symlink_to("..data/router")
    assert values(Passwords(tmp_path)) == {"router": b"a"}


def test_what_is_read_later_is_told_and_never_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "router").write_text("old-s3cret")
    passwords = Passwords(tmp_path)
    assert caplog.messages == []
    (tmp_path / "router").write_text("new-s3cret")
    (tmp_path / "spine").write_text("s3cret")
    for _ in range(4):
        passwords.look()
    assert caplog.messages == [
        f"the password of peer router: {tmp_path}/router was read anew",
        f"the password of peer spine: {tmp_path}/spine was read",
    ]
    assert "s3cret" not in caplog.text


def test_a_change_counts_when_it_stays(tmp_path: Path) -> None:
    (tmp_path / "router").write_text("old")
    passwords = Passwords(tmp_path)
    (tmp_path / "router").write_text("ne")
    assert not passwords.look()
    (tmp_path / "router").write_text("new")
    assert not passwords.look()
    assert passwords.look()
    assert values(passwords) == {"router": b"new"}
    assert not passwords.look()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"\n", "{} is empty", id="empty"),
        pytest.param(None, "{} is gone", id="gone"),
        pytest.param(b"a" * (MOST_BYTES + 1), "{} is longer than 4096 bytes", id="too long"),
    ],
)
def test_what_cannot_be_used_is_said_once_and_the_last_one_stays(
    content: bytes | None, sentence: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "router"
    path.write_text("old")
    passwords = Passwords(tmp_path)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert passwords.look()
    assert not passwords.look()
    said = f"the password of peer router: {sentence.format(path)}: the last one stays"
    assert values(passwords) == {"router": b"old"}
    assert caplog.messages == [said]
    assert messages(passwords, "router") == [said]
    assert messages(passwords, "another") == []


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path / "lost")
    assert messages(passwords) == [
        f"the directory of passwords {tmp_path}/lost: No such file or directory: the last one stays"
    ]
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "router").write_text("a")
    passwords.look()
    passwords.look()
    assert (values(passwords), messages(passwords)) == ({"router": b"a"}, [])


def test_nothing_that_is_printed_shows_it() -> None:
    assert "s3cret" not in repr({"router": Password(b"s3cret")})
