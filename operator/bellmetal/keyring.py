"""The members' keys while the shared secret changes: which are known, signed with, believed. Pure.

A Secret that is changed reaches each node's file at another time, up to two minutes apart (the
kubelet's period and its cache). No member may be refused meanwhile, so for a while there are two
keys, and every beacon carries *a tag by each*: who knows either of them believes it. Nobody has to
know who knows what, nobody has to agree on a moment, a node that was cut off for some minutes is
not shut out. The alternative, one tag by the old key until all have told that they have the new
one, needs just that agreement, and a node that starts with the new key alone would understand
nobody until then. The price is 20 bytes and one HMAC a beacon.

==================  ===========================================================================
since a newer one   a former key
==================  ===========================================================================
0 to 10 minutes     signs, beside the newest; is believed
10 to 20 minutes    is believed: of a node that got the new one very late
after that          is forgotten
==================  ===========================================================================

Gossip can encrypt with one key alone. It reads with all that are believed, and sends with the
newest as soon as all living members have told that they have it, or after those 10 minutes. One
that has just started and reaches nobody tries its keys in turn.

A speaker that starts in the middle knows the new key alone, unless the Secret has the former one
too (`secretkey-previous`). It understands those that have both; those that have only the old one it
hears and cannot understand, so it answers nothing as long as it hears such a one, for 150 s at
most (bellmetal_layer2, provenance.py).

From no secret to a secret, or back, is no rotation: that needs a restart of all speakers.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

SIGN = 600.0  # seconds for which a former key goes on signing
BELIEVE = 1200.0  # seconds for which a former key is believed
MOST = 3  # keys that are known at once; a beacon has room for the tags of so many
LATE = 150.0  # seconds after which a member should have a new key: two minutes and some


@dataclass(frozen=True, slots=True)
class Keys:
    """32-byte keys for one purpose, the newest first. Without a secret: one that is empty.

    ``signing``: each message is signed by all of them. ``believed``: any of them is enough.
    """

    signing: tuple[bytes, ...] = field(default=(b"",), repr=False)
    believed: tuple[bytes, ...] = field(default=(b"",), repr=False)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The contents of the Secret: ``newest`` and, if it has one, the ``previous`` secret."""

    newest: bytes = field(default=b"", repr=False)
    previous: bytes = field(default=b"", repr=False)


def derive(secret: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose; empty for an empty secret."""
    return hmac.new(secret, purpose.encode(), hashlib.sha256).digest() if secret else b""


def key_id(key: bytes) -> bytes:
    """Four bytes that tell keys apart and tell nothing of them; zeros for the empty one."""
    if not key:
        return bytes(4)
    return hashlib.blake2b(key, digest_size=4, person=b"bellmetal key").digest()


@dataclass(frozen=True, slots=True)
class _Former:
    secret: bytes = field(repr=False)
    since: float  # when a newer one came


class Ring:
    """The secrets that this process knows. Times are seconds of one monotonic clock."""

    def __init__(self, secrets: Secrets, now: float) -> None:
        self._newest, self.newest_since = secrets.newest, now
        self._former: list[_Former] = []
        self._signing: tuple[bytes, ...] = ()
        self._believed: tuple[bytes, ...] = ()
        self._keys: dict[str, Keys] = {}
        self.learn(secrets, now)

    def __repr__(self) -> str:
        return f"Ring(newest={self.newest_id!r}, former={len(self._former)})"

    @property
    def newest_id(self) -> str:
        """What the newest key is called in logs and among members."""
        return key_id(derive(self._newest, "gossip")).hex()

    @property
    def rotating(self) -> bool:
        """Whether a former key is believed yet."""
        return bool(self._former)

    def learn(self, secrets: Secrets, now: float) -> bool:
        """The Secret says so now; True if its newest key is another one than before.

        That a previous secret is in the Secret no more does not end its time.
        """
        new, before = secrets.newest, self._newest
        changed = new != before
        if changed:
            self._former.insert(0, _Former(before, now))
            self._newest, self.newest_since = new, now
        known = {self._newest, *(item.secret for item in self._former)}
        if secrets.previous and secrets.previous not in known:
            self._former.append(_Former(secrets.previous, now))
        self._former = [item for item in self._former if item.secret != new]
        self.tick(now)
        return changed

    def tick(self, now: float) -> bool:
        """Forgets what is too old; True if the keys are others than before."""
        young = [item for item in self._former if now - item.since < BELIEVE]
        self._former = young[: MOST - 1]
        signing = [item.secret for item in self._former if now - item.since < SIGN]
        before = self._signing, self._believed
        self._signing = (self._newest, *signing)
        self._believed = (self._newest, *(item.secret for item in self._former))
        changed = before != (self._signing, self._believed)
        if changed:
            self._keys.clear()
        return changed

    def keys(self, purpose: str) -> Keys:
        """The keys for one purpose, as of the last `tick`."""
        if purpose not in self._keys:
            self._keys[purpose] = Keys(
                tuple(derive(secret, purpose) for secret in self._signing),
                tuple(derive(secret, purpose) for secret in self._believed),
            )
        return self._keys[purpose]

    # --- what members have told ------------------------------------------------------------------

    def without(self, told: Mapping[str, str]) -> list[str]:
        """Members that have not told of the newest key; ``told``: name → id, of those alive."""
        return sorted(name for name, told_id in told.items() if told_id != self.newest_id)

    def sending(self, told: Mapping[str, str], in_use: bytes, now: float) -> bytes:
        """The key that gossip is to encrypt with: the newest, if all that live have it.

        Else the oldest that may still sign: all that run can read it. Who knows nobody keeps what
        it has ``in_use``; after ten minutes it is the newest in any case.
        """
        keys = self.keys("gossip")
        if now - self.newest_since >= SIGN or (told and not self.without(told)):
            return keys.signing[0]
        return keys.signing[-1] if told or in_use not in keys.believed else in_use

    def late(self, told: Mapping[str, str], now: float) -> list[str]:
        """Members that should have the newest key by now and do not."""
        return self.without(told) if now - self.newest_since >= LATE else []
