"""The shared secret's files, as the kubelet keeps them: read at the start, watched afterwards.

The last secret that could be read stays: a file that is gone, empty or unreadable ends nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from bellmetal.facts import Finding
from bellmetal.keyring import Ring, Secrets
from bellmetal.settings import SettingsError

log = logging.getLogger(__name__)

FILE, PREVIOUS = "secretkey", "secretkey-previous"
EVERY = 2.0  # seconds between two looks


class SecretError(SettingsError):
    """The shared secret cannot be used; the message says why and never what it is."""


def read_secrets(directory: Path | None) -> Secrets:
    """The shared secret out of its directory; empty if there is no directory. Raises SecretError.

    ``secretkey`` has to be there; ``secretkey-previous`` may be.
    """
    if directory is None:
        return Secrets()
    path = directory / FILE
    try:
        newest = path.read_bytes().strip()
    except OSError as error:
        raise SecretError(f"the shared secret {path}: {error.strerror}") from error
    if not newest:
        raise SecretError(f"the shared secret {path} is empty")
    try:
        previous = (directory / PREVIOUS).read_bytes().strip()
    except FileNotFoundError:
        previous = b""
    except OSError as error:
        raise SecretError(f"the shared secret {directory / PREVIOUS}: {error.strerror}") from error
    return Secrets(newest, previous)


class SecretWatch:
    """Tells the ring of changes; ``told`` says which key each living member has, by name."""

    def __init__(
        self,
        directory: Path,
        ring: Ring,
        clock: Callable[[], float],
        told: Callable[[], Mapping[str, str]],
    ) -> None:
        self._directory, self._ring, self._clock, self._told = directory, ring, clock, told
        self._seen: Secrets | None = None  # read once: believed if it is read twice
        self._known: Secrets | None = None
        self._finding: Finding | None = None
        self._late: list[str] = []

    def findings(self) -> tuple[Finding, ...]:
        """What a person should know now."""
        found = [self._finding] if self._finding else []
        for name in self._late:
            message = f"{name} does not have the members' new key {self._ring.newest_id}"
            found.append(Finding("keyLate", f"{message}: soon it will not be understood"))
        return tuple(found)

    async def run(self, changed: Callable[[], Awaitable[None]], news: Callable[[], None]) -> None:
        """Looks again and again; ``changed`` after each look, ``news`` if findings changed."""
        while True:
            before = self.findings()
            self.look()
            await changed()
            if self.findings() != before:
                news()
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """One look at the files and at the clock."""
        now = self._clock()
        self._read(now)
        rotating, before = self._ring.rotating, self._ring.newest_id
        if self._ring.tick(now) and rotating and not self._ring.rotating:
            log.info("the members' key is %s alone", before, extra={"event": "keyAlone"})
        late = self._ring.late(self._told(), now) if self._ring.rotating else []
        for name in sorted(set(late) - set(self._late)):
            log.warning("%s does not have the members' new key", name, extra={"event": "keyLate"})
        self._late = late

    def _read(self, now: float) -> None:
        try:
            secrets = read_secrets(self._directory)
        except SecretError as error:
            message = f"{error}: the last one stays"
            if self._finding is None or self._finding.message != message:
                log.error(message, extra={"event": "secretUnusable"})
            self._finding = Finding("secretUnusable", message)
            return
        self._finding = None
        # Whoever writes the file in place may be half through: it counts if it stays as it is.
        steady, self._seen = secrets == self._seen, secrets
        if steady and secrets != self._known:
            before, self._known = self._ring.newest_id, secrets
            if self._ring.learn(secrets, now):
                log.info(
                    "the members' key changes from %s to %s: both hold for a while",
                    before,
                    self._ring.newest_id,
                    extra={"event": "keyChanged"},
                )
