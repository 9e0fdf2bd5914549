"""What a speaker keeps over a restart: slices, claims, boot id; in one file, written atomically.

It is used while the API does not answer, and only if it is of the same node and cluster. A file
that cannot be used is said so and ignored: the API will tell.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bellmetal.resources import AnnouncementSlice, Json, ReportedClaim
from bellmetal.slices import AnySlice, PackedSlice

log = logging.getLogger(__name__)

VERSION = 1
FAR = 2**62  # milliseconds: no clock ever said so, the file did


class State(Json, frozen=True):
    """The file's contents; ``cluster`` tells whose they are."""

    version: int = VERSION
    node: str = ""
    cluster: str = ""
    slices: list[AnnouncementSlice] = msgspec.field(default_factory=list)
    claims: list[ReportedClaim] = msgspec.field(default_factory=list)
    boot: int = 0


class StateFile:
    """``state.json`` in a directory of the node."""

    def __init__(self, directory: Path, node: str, cluster: str) -> None:
        self._path = directory / "state.json"
        self._node, self._cluster = node, cluster
        self._boot = 0
        self._written = b""
        self._failed = False

    def read(self) -> State | None:
        """What the file says, or None if there is none that can be used."""
        try:
            data = self._path.read_bytes()
            state = msgspec.json.decode(data, type=State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s is ignored: %s", self._path, error, extra={"op": "state"})
            return None
        if (state.version, state.node, state.cluster) != (VERSION, self._node, self._cluster):
            log.warning(
                "%s is ignored: it is of version %d, node %s and another cluster or node",
                self._path,
                state.version,
                state.node,
            )
            return None
        return state

    def next_boot(self, wall_ms: int) -> int:
        """A boot id above all before, also if the wall clock (milliseconds) was set back.

        It is on the disk when this returns, as far as the disk can be written.
        """
        before = self.read() or State()
        last = before.boot if before.boot < FAR else 0
        self._boot = max(wall_ms, last + 1)
        self.write(before.slices, before.claims)
        return self._boot

    def write(self, slices: Sequence[AnySlice], claims: list[ReportedClaim]) -> None:
        """Replaces the file, if anything changed; a disk that is full is said once."""
        digest = hashlib.blake2b()
        for piece in self._pieces(slices, claims):
            digest.update(piece)
        if digest.digest() == self._written:
            return
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.writelines(self._pieces(slices, claims))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            if not self._failed:
                log.warning("%s cannot be written: %s", self._path, error.strerror)
            self._failed = True
            return
        self._written, self._failed = digest.digest(), False

    def _pieces(self, slices: Sequence[AnySlice], claims: list[ReportedClaim]) -> Iterator[bytes]:
        """A `State`, slice by slice: the whole of thousands of addresses is megabytes at once."""
        head = {"version": VERSION, "node": self._node, "cluster": self._cluster}
        yield msgspec.json.encode(head | {"boot": self._boot}).removesuffix(b"}") + b',"slices":['
        for number, item in enumerate(slices):
            if number:
                yield b","
            yield item.json() if isinstance(item, PackedSlice) else msgspec.json.encode(item)
        yield b'],"claims":' + msgspec.json.encode(claims) + b"}"
