"""The shared secret's files: read at the start, watched afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bellmetal.facts import Finding
from bellmetal.keyring import Ring, Secrets
from bellmetal.secretfile import SecretError, SecretWatch, read_secrets


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
    assert read_secrets(tmp_path) == Secrets(secret)


def test_no_directory_is_no_secret() -> None:
    assert read_secrets(None) == Secrets()


def test_a_secret_that_is_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secretkey").write_text("\n")
    with pytest.raises(SecretError) as caught:
        read_secrets(tmp_path)
    assert str(caught.value) == f"the shared secret {tmp_path}/secretkey is empty"


def test_a_secret_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        read_secrets(tmp_path)
    assert str(caught.value) == (
        f"the shared secret {tmp_path}/secretkey: No such file or directory"
    )


def test_the_previous_secret_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "secretkey").write_bytes(b"new")
    (tmp_path / "secretkey-previous").write_bytes(b"old\n")
    assert read_secrets(tmp_path) == Secrets(b"new", b"old")


def test_a_previous_secret_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secretkey").write_bytes(b"new")
    (tmp_path / "secretkey-previous").mkdir()
    with pytest.raises(SecretError) as caught:
        read_secrets(tmp_path)
    assert str(caught.value) == f"the shared secret {tmp_path}/secretkey-previous: Is a directory"


# --- watching ------------------------------------------------------------------------------------


class Mount:
    """A directory as the kubelet keeps it: the files are links into a folder that is swapped."""

    def __init__(self, directory: Path) -> None:
        self.path, self._number = directory, 0
        for name in ("secretkey", "secretkey-previous"):
            (directory / name).symlink_to(Path("..data") / name)

    def put(self, **files: bytes) -> None:
        self._number += 1
        folder = self.path / f"..{self._number}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name.replace("_", "-")).write_bytes(content)
        new = self.path / "..data_tmp"
        new.symlink_to(folder.name)
        new.replace(self.path / "..data")


class Watched:
    """A ring that follows a mount; `look` is one look, two seconds after the last one."""

    def __init__(self, directory: Path) -> None:
        self.mount = Mount(directory)
        self.mount.put(secretkey=b"a")
        self.now, self.told = 0.0, dict[str, str]()
        self.ring = Ring(read_secrets(directory), self.now)
        self.watch = SecretWatch(directory, self.ring, lambda: self.now, lambda: self.told)
        self.look(2)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 2.0
            self.watch.look()

    @property
    def known(self) -> int:
        return len(self.ring.keys("test").believed)


@pytest.fixture
def it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Watched:
    caplog.set_level("INFO")
    return Watched(tmp_path)


def test_a_changed_secret_becomes_the_newest(it: Watched, caplog: pytest.LogCaptureFixture) -> None:
    before = it.ring.newest_id
    it.mount.put(secretkey=b"b")
    it.look(9)
    assert it.ring.newest_id == Ring(Secrets(b"b"), 0.0).newest_id
    assert it.known == 2
    assert caplog.messages == [
        f"the members' key changes from {before} to {it.ring.newest_id}: both hold for a while"
    ]


def test_a_file_that_is_being_written_does_not_count(it: Watched) -> None:
    before = it.ring.newest_id
    for half in (b"the", b"the new", b"the new one"):
        it.mount.put(secretkey=half)
        it.look()
        assert it.ring.newest_id == before
    it.look()
    assert it.ring.newest_id == Ring(Secrets(b"the new one"), 0.0).newest_id
    assert it.known == 2


def test_at_the_end_the_new_key_is_alone(it: Watched, caplog: pytest.LogCaptureFixture) -> None:
    it.mount.put(secretkey=b"b")
    it.look(2)
    it.now += 1200.0
    it.look()
    assert it.known == 1
    assert caplog.messages[1:] == [f"the members' key is {it.ring.newest_id} alone"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        pytest.param({}, "secretkey: No such file or directory: the last one stays", id="gone"),
        pytest.param({"secretkey": b"\n"}, "secretkey is empty: the last one stays", id="empty"),
    ],
)
def test_a_secret_that_cannot_be_read_changes_nothing_and_is_said_once(
    it: Watched, files: dict[str, bytes], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = it.ring.newest_id
    it.mount.put(**files)
    it.look(5)
    message = f"the shared secret {it.mount.path}/{why}"
    assert it.watch.findings() == (Finding("secretUnusable", message),)
    assert caplog.messages == [message]
    assert it.ring.newest_id == before
    it.mount.put(secretkey=b"a")
    it.look(2)
    assert it.watch.findings() == ()


def test_members_that_never_get_it_are_named(it: Watched, caplog: pytest.LogCaptureFixture) -> None:
    old = it.ring.newest_id
    it.mount.put(secretkey=b"b")
    it.look(2)
    new = it.ring.newest_id
    it.told = {"n2": new, "n3": old}
    it.look()
    assert it.watch.findings() == ()
    it.now += 150.0
    it.look(3)
    message = f"n3 does not have the members' new key {new}"
    assert it.watch.findings() == (
        Finding("keyLate", f"{message}: soon it will not be understood"),
    )
    assert caplog.messages[1:] == ["n3 does not have the members' new key"]
    it.told = {"n2": new, "n3": new}
    it.look()
    assert it.watch.findings() == ()


def test_nothing_that_is_said_tells_the_secret(
    it: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    it.mount.put(secretkey=b"topsecret", secretkey_previous=b"topsecret-before")
    it.look(2)
    it.mount.put(secretkey=b"")
    it.look(2)
    assert len(caplog.messages) == 2
    assert "topsecret" not in caplog.text + str(it.watch.findings())


async def test_it_looks_again_and_again(it: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bellmetal.secretfile.EVERY", 0.0)
    done, news = asyncio.Event(), list[int]()

    async def changed() -> None:
        if it.known == 2:
            done.set()

    running = asyncio.create_task(it.watch.run(changed, lambda: news.append(1)))
    it.mount.put(secretkey=b"b")
    await done.wait()
    assert news == []
    it.mount.put(secretkey=b"")
    while not news:
        await asyncio.sleep(0)
    running.cancel()
