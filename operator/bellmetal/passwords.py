"""Passwords of BGP peers, in files as the kubelet keeps them: one for each BGPPeer, by its name.

The last one that could be read stays: a file that is gone, empty or unreadable ends no session.
What they are is never told, only whose.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bellmetal.announcer import Password
from bellmetal.facts import Finding

log = logging.getLogger(__name__)

EVERY = 2.0  # seconds between two looks
GONE = " is gone"  # as it should be where the peer is gone too
MOST_BYTES = 4096  # of a file; what is longer is no password


class Passwords:
    """The passwords of a directory, or none at all. ``known`` has those in force, by peer."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self.known: dict[str, Password] = {}
        self._faults: dict[str, str] = {}  # peer → why its file cannot be used; "": the directory
        self._seen: Mapping[str, bytes] | None = None
        if directory is not None:
            self.look()

    async def run(self, changed: Callable[[], None]) -> None:
        """Looks again and again; ``changed`` is called when a password or a fault is new."""
        while self._directory is not None:
            await asyncio.sleep(EVERY)
            if self.look():
                changed()

    def look(self) -> bool:
        """One look at the files; whether anything is new."""
        before, faults = dict(self.known), self._faults
        self._faults = {}
        found = self._read()
        for peer, why in self._faults.items():
            if faults.get(peer) != why:
                level = logging.INFO if why.endswith(GONE) else logging.ERROR
                log.log(level, "%s: the last one stays", why, extra={"op": "passwords"})
        # Whoever writes a file in place may be half through: it counts if it stays as it is.
        for peer, value in found.items():
            if self._seen is None or self._seen.get(peer) == value:
                self.known[peer] = Password(value)
        self._tell(before)
        self._seen = found
        return before != self.known or faults != self._faults

    def _tell(self, before: Mapping[str, Password]) -> None:
        """A line for each that is new, but at the start."""
        for peer, value in self.known.items():
            if self._seen is not None and before.get(peer) != value:
                anew = " anew" if peer in before else ""
                said = "the password of peer %s: %s was read" + anew
                log.info(said, peer, (self._directory or Path()) / peer, extra={"op": "passwords"})

    def _read(self) -> dict[str, bytes]:
        assert self._directory is not None
        try:
            names = sorted(path.name for path in self._directory.iterdir())
        except OSError as error:
            self._faults[""] = f"the directory of passwords {self._directory}: {error.strerror}"
            return {}
        found = {}
        for name in names:
            if name.startswith("."):  # the kubelet's own
                continue
            try:
                found[name] = self._value(name)
            except ValueError as error:
                self._faults[name] = f"the password of peer {name}: {error}"
        for name in self.known.keys() - found.keys() - self._faults.keys():
            self._faults[name] = f"the password of peer {name}: {self._directory / name}{GONE}"
        return found

    def _value(self, name: str) -> bytes:
        path = (self._directory or Path()) / name
        try:
            with path.open("rb") as file:
                value = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error
        if len(value) > MOST_BYTES:
            raise ValueError(f"{path} is longer than {MOST_BYTES} bytes")
        value = value.rstrip(b"\r\n")  # of an editor, or of echo
        if not value:
            raise ValueError(f"{path} is empty")
        return value

    def findings(self, peers: Iterable[str]) -> tuple[Finding, ...]:
        """What a person should know, of the directory and of these peers."""
        return tuple(
            Finding("passwordUnusable", f"{self._faults[peer]}: the last one stays")
            for peer in ("", *sorted(peers))
            if peer in self._faults
        )
