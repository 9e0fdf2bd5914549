"""The secret that members share, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellmetal.announcer import Liveness
from bellmetal.members import Alone, MembersError, derive, read_secret


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        pytest.param(b"abc", b"abc", id="as it is"),
        pytest.param(b"  abc\n", b"abc", id="without blanks and the newline of an editor"),
        pytest.param(b"\xff\x00", b"\xff\x00", id="bytes that are no text"),
    ],
)
def test_the_secret_is_in_a_file_of_its_directory(
    content: bytes, secret: bytes, tmp_path: Path
) -> None:
    (tmp_path / "secretkey").write_bytes(content)
    assert read_secret(tmp_path) == secret


def test_no_directory_is_no_secret() -> None:
    assert read_secret(None) == b""


def test_a_secret_that_is_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secretkey").write_text("\n")
    with pytest.raises(MembersError) as caught:
        read_secret(tmp_path)
    assert str(caught.value) == f"the shared secret {tmp_path}/secretkey is empty"


def test_a_secret_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MembersError) as caught:
        read_secret(tmp_path)
    assert str(caught.value) == (
        f"the shared secret {tmp_path}/secretkey: No such file or directory"
    )


def test_keys_are_32_bytes_of_their_own_for_each_purpose_and_secret() -> None:
    keys = [derive(b"a", "gossip"), derive(b"a", "layer2/beacon"), derive(b"b", "gossip")]
    assert [len(key) for key in keys] == [32, 32, 32]
    assert len(set(keys)) == 3
    assert derive(b"a", "gossip") == keys[0]


def test_all_releases_derive_the_same_key() -> None:
    assert derive(b"secret", "gossip").hex() == (
        "eb5369390eb316d3440bcc6933f49f37f0673786ce8ec9422972abaf27c435d0"
    )


def test_no_secret_gives_no_key() -> None:
    assert derive(b"", "gossip") == b""


def test_who_is_alone_knows_nobody() -> None:
    alone = Alone()
    alone.subscribe(lambda *_: None, lambda _: None)
    alone.send("n2", b"hello")
    assert alone.liveness("n2") is Liveness.UNKNOWN
