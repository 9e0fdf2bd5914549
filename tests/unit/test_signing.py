"""Passwords of BGP peers: what speakers get, what is said when there is none."""

from __future__ import annotations

from typing import Any

import pytest

from bellmetal.config import Peer
from bellmetal.signing import MOST_BYTES, Secrets, Signing, sign
from builders import peer

STORED = {"tor-secret": b"sesame", "empty": None}
LONG = "x" * (MOST_BYTES + 1)


def signed(*peers: Peer, former: dict[str, bytes] | None = None, **fields: Any) -> Signing:
    names = {item.name for item in peers} | fields.get("names", set())
    secrets = fields.get("secrets", Secrets("metallb-system", STORED))
    return sign(peers, names, secrets, former or {})


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        pytest.param({"password": "päss"}, "päss".encode(), id="in the spec"),
        pytest.param({"password_secret": "tor-secret"}, b"sesame", id="in a Secret"),
        pytest.param({"password": LONG[1:]}, LONG[1:].encode(), id="as long as may be"),
    ],
)
def test_a_password(fields: dict[str, str], value: bytes) -> None:
    found = signed(peer(**fields))
    assert (found.passwords, found.problems) == ({"tor": value}, ())


def test_a_peer_without_a_password_has_none_any_more() -> None:
    assert signed(peer(), former={"tor": b"old"}).passwords == {}


def test_a_peer_that_is_gone_has_none_any_more() -> None:
    assert signed(former={"tor": b"old"}).passwords == {}


def test_a_peer_that_is_invalid_keeps_what_it_had() -> None:
    assert signed(names={"tor"}, former={"tor": b"old"}).passwords == {"tor": b"old"}


PLACE = "BGPPeer/tor spec.passwordSecret: "


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"password_secret": "other"},
            f'{PLACE}secret ref not found for peer config "metallb-system/tor": there is no Secret'
            ' "other" of type kubernetes.io/basic-auth in namespace metallb-system',
        ),
        (
            {"password_secret": "empty"},
            f'{PLACE}password not specified in the secret "metallb-system/empty"',
        ),
        (
            {"password_secret": "long"},
            f"{PLACE}the password has 81 bytes, and TCP takes 80",
        ),
        (
            {"password": LONG},
            "BGPPeer/tor spec.password: the password has 81 bytes, and TCP takes 80",
        ),
    ],
)
def test_one_that_cannot_be_had_is_a_problem_and_the_last_one_stays(
    fields: dict[str, str], sentence: str
) -> None:
    secrets = Secrets("metallb-system", STORED | {"long": LONG.encode()})
    new, known = (
        signed(peer(**fields), secrets=secrets, former=former) for former in ({}, {"tor": b"old"})
    )
    assert (new.passwords, list(map(str, new.problems))) == ({}, [sentence])
    assert known.passwords == {"tor": b"old"}
    assert list(map(str, known.problems)) == [f"{sentence}; the last one stays in force"]


def test_one_that_cannot_be_had_stops_no_other() -> None:
    found = signed(peer("a", password_secret="other"), peer("b", password="sesame"))
    assert found.passwords == {"b": b"sesame"}


def test_while_secrets_are_not_known_nothing_is_said_and_what_is_there_stays() -> None:
    peers = peer("a", password_secret="tor-secret"), peer("b", password="new")
    found = signed(*peers, secrets=None, former={"a": b"old", "b": b"old"})
    assert (found.passwords, found.problems) == ({"a": b"old", "b": b"new"}, ())


def test_no_text_has_a_value() -> None:
    found = signed(peer(password="sesame", password_secret=""), former={"tor": b"old"})
    for shown in (found, Secrets("x", STORED), peer(password="sesame")):
        assert "sesame" not in f"{shown} {shown!r}"
