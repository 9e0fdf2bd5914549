"""The one Secret that speakers get the passwords of BGP peers by: kept as it is decided.

Only the leader writes it, and only what changes. Values are in no log, event or text.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Collection, Iterable, Mapping

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.config import Peer, Problem
from bellmetal.follow import Follower, Kind
from bellmetal.signing import TYPE, Secrets, sign

log = logging.getLogger(__name__)

NAME = "bellmetal-bgp-passwords"
SECRETS = Kind("", "v1", "secrets", resources.StoredSecret, True)


class Keychain:
    """``changed`` is called when a Secret that may have a password has changed."""

    def __init__(self, client: Client, namespace: str, changed: Callable[[], None]) -> None:
        self._client, self._namespace = client, namespace
        self._path = SECRETS.path(namespace)
        self._there: bool | None = None  # None: it must be read first
        self._written: Mapping[str, bytes] = {}
        self.secrets = Follower(client, SECRETS, namespace, changed, fields=f"type={TYPE}")

    def forget(self) -> None:
        """It is read anew before the next write: another leader, or a person, may have written."""
        self._there = None

    async def keep(self, peers: Iterable[Peer], names: Collection[str]) -> tuple[Problem, ...]:
        """Writes what differs, and says what is wrong with passwords; raises ApiError.

        ``names``: of all BGPPeers, also of those that are not in force.
        """
        if self._there is None:
            await self._read()
        signing = sign(peers, names, self._stored(), self._written)
        if signing.passwords != self._written:
            await self._write(signing.passwords)
        return signing.problems

    def _stored(self) -> Secrets | None:
        if not self.secrets.listed.is_set():
            return None
        bodies = self.secrets.collection.nouns.values()
        return Secrets(self._namespace, {body.metadata.name: _password(body) for body in bodies})

    async def _read(self) -> None:
        try:
            body = await self._client.get(resources.StoredPasswords, f"{self._path}/{NAME}")
        except ApiError as error:
            if not error.gone:
                raise
            self._there, self._written = False, {}
        else:
            self._there = True
            self._written = {name: _decoded(text) for name, text in (body.data or {}).items()}

    async def _write(self, passwords: Mapping[str, bytes]) -> None:
        new = {name: value for name, value in passwords.items() if self._written.get(name) != value}
        gone = self._written.keys() - passwords.keys()
        data = {name: base64.b64encode(value).decode() for name, value in new.items()}
        try:
            if self._there:
                body = {"data": {**data, **dict.fromkeys(gone)}}
                await self._client.patch(resources.Object, f"{self._path}/{NAME}", body)
            else:
                await self._client.create(
                    resources.Object,
                    self._path,
                    {
                        "apiVersion": "v1",
                        "kind": "Secret",
                        "metadata": {"name": NAME, "labels": {"app": "metallb"}},
                        "data": data,
                    },
                )
        except ApiError:
            self.forget()
            raise
        self._there, self._written = True, dict(passwords)
        for what, names in (("has the password of", new), ("forgets the password of", gone)):
            if names:
                log.info("Secret/%s %s %s", NAME, what, ", ".join(sorted(names)))


def _password(body: resources.StoredSecret) -> bytes | None:
    text = body.data.password if body.data else None
    return None if text is None else _decoded(text)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:  # the API server lets none of these in
        return b""
