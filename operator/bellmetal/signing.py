"""The passwords of BGP peers, out of BGPPeers and Secrets → what speakers get, and every Problem.

A password that cannot be had ends no session: the last one stays in force, and the peer has a
Problem. No value is in any text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from bellmetal.config import Peer, Problem

MOST_BYTES = 80  # of a key of TCP MD5 (RFC 2385), and of TCP-AO: the kernel takes no more
TYPE = "kubernetes.io/basic-auth"


@dataclass(frozen=True, slots=True)
class Signing:
    """Peer → its password, as bytes; and what is wrong."""

    passwords: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Secrets:
    """Name → password of the Secrets of that type in our ``namespace``; None has no password."""

    namespace: str
    passwords: Mapping[str, bytes | None] = field(default_factory=dict, repr=False)


class _MissingError(ValueError):
    """There is no password that can be used; the message is a sentence."""


def sign(
    peers: Iterable[Peer],
    names: Collection[str],
    secrets: Secrets | None,
    former: Mapping[str, bytes],
) -> Signing:
    """``names``: of all BGPPeers; those that are not in force keep what they had.

    ``secrets`` None: they could not be listed yet, so whoever has his password from one keeps it.
    """
    found = {name: value for name, value in former.items() if name in names}
    problems = []
    for peer in peers:
        if not peer.signed:
            found.pop(peer.name, None)
        elif peer.password or secrets is not None:
            path = "spec.password" if peer.password else "spec.passwordSecret"
            try:
                found[peer.name] = _password(peer, secrets)
            except _MissingError as error:
                stays = "; the last one stays in force" if peer.name in former else ""
                message = f"{error}{stays}"
                problems.append(Problem("BGPPeer", peer.name, path, message, peer.uid))
    return Signing(found, tuple(problems))


def _password(peer: Peer, secrets: Secrets | None) -> bytes:
    value = peer.password.encode()
    if not peer.password and secrets is not None:
        value = _stored(peer, secrets)
    if len(value) > MOST_BYTES:
        raise _MissingError(f"the password has {len(value)} bytes, and TCP takes {MOST_BYTES}")
    return value


def _stored(peer: Peer, secrets: Secrets) -> bytes:
    name, namespace = peer.password_secret, secrets.namespace
    if name not in secrets.passwords:
        raise _MissingError(
            f'secret ref not found for peer config "{namespace}/{peer.name}": there is no Secret'
            f' "{name}" of type {TYPE} in namespace {namespace}'
        )
    value = secrets.passwords[name]
    if not value:
        raise _MissingError(f'password not specified in the secret "{namespace}/{name}"')
    return value
