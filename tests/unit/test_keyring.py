"""The members' keys while their secret changes: who signs with what and believes what, when."""

from __future__ import annotations

import itertools
import random

import pytest

from bellmetal.keyring import BELIEVE, LATE, SIGN, Keys, Ring, Secrets, derive, key_id

A, B, C, D = Secrets(b"a"), Secrets(b"b"), Secrets(b"c"), Secrets(b"d")
B_AFTER_A = Secrets(b"b", b"a")


def letters(keys: tuple[bytes, ...]) -> str:
    """Which secrets those keys are made of."""
    made = {derive(letter.encode(), "test"): letter for letter in "abcd"}
    return "".join(made[key] for key in keys)


def shown(ring: Ring) -> tuple[str, str]:
    """With what it signs and what it believes."""
    keys = ring.keys("test")
    return letters(keys.signing), letters(keys.believed)


Story = list[tuple[float, Secrets | None]]

ROWS = [
    pytest.param([(0, A)], "a", "a", id="one secret"),
    pytest.param([(0, A), (5000, None)], "a", "a", id="one secret for long"),
    pytest.param([(0, A), (100, B)], "ba", "ba", id="a new one: both"),
    pytest.param([(0, A), (100, B), (699, None)], "ba", "ba", id="for ten minutes"),
    pytest.param([(0, A), (100, B), (700, None)], "b", "ba", id="then the old one is believed"),
    pytest.param([(0, A), (100, B), (1299, None)], "b", "ba", id="for ten minutes more"),
    pytest.param([(0, A), (100, B), (1300, None)], "b", "b", id="then it is forgotten"),
    pytest.param([(0, B_AFTER_A)], "ba", "ba", id="started in the middle, with the previous"),
    pytest.param([(0, B_AFTER_A), (1200, None)], "b", "b", id="also that is forgotten"),
    pytest.param([(0, B_AFTER_A), (9, B)], "ba", "ba", id="though it was taken out of the Secret"),
    pytest.param([(0, A), (9, B_AFTER_A)], "ba", "ba", id="what is known already counts once"),
    pytest.param([(0, A), (9, B), (99, A)], "ab", "ab", id="back to the old one"),
    pytest.param([(0, A), (9, B), (99, C)], "cba", "cba", id="twice in a short time"),
    pytest.param([(0, A), (9, B), (99, C), (199, D)], "dcb", "dcb", id="three times: the last"),
    pytest.param([(0, A), (9, B), (609, C)], "cb", "cba", id="each for its own time"),
    pytest.param([(0, Secrets(b"a", b"a"))], "a", "a", id="the previous is the same"),
]


@pytest.mark.parametrize(("story", "signing", "believed"), ROWS)
def test_what_is_signed_with_and_believed(story: Story, signing: str, believed: str) -> None:
    (began, first), *rest = story
    assert first is not None
    ring = Ring(first, began)
    for now, secrets in rest:
        if secrets is not None:
            ring.learn(secrets, now)
        ring.tick(now)
    assert shown(ring) == (signing, believed)


def understood(speaker: Ring, listener: Ring) -> bool:
    said, heard = speaker.keys("test").signing, listener.keys("test").believed
    return bool(set(said) & set(heard))


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_refused_while_nodes_learn_of_it_within_two_minutes(seed: int) -> None:
    dice = random.Random(seed)
    rings = [Ring(A, 0.0) for _ in range(5)]
    learns = [dice.uniform(1000, 1120) for _ in rings]
    known = [False] * 5
    for now in itertools.chain(range(990, 1130), range(1130, 2600, 10)):
        for number, ring in enumerate(rings):
            if now >= learns[number] and not known[number]:
                known[number] = ring.learn(B, now)
            ring.tick(now)
        assert all(understood(a, b) for a in rings for b in rings)
    assert {shown(ring) for ring in rings} == {("b", "b")}


def test_a_node_that_was_cut_off_for_nine_minutes_is_understood_and_understands() -> None:
    first, late = Ring(A, 0.0), Ring(A, 0.0)
    first.learn(B, 100.0)
    first.tick(100.0 + SIGN - 1)
    assert understood(first, late)
    assert understood(late, first)


def test_after_that_it_is_understood_for_ten_minutes_more() -> None:
    first, late = Ring(A, 0.0), Ring(A, 0.0)
    first.learn(B, 100.0)
    first.tick(100.0 + BELIEVE - 1)
    assert not understood(first, late)
    assert understood(late, first)


def test_one_that_starts_with_the_new_secret_alone_and_those_that_run() -> None:
    new, old, both = Ring(B, 500.0), Ring(A, 0.0), Ring(A, 0.0)
    both.learn(B, 490.0)
    assert understood(new, both)
    assert understood(both, new)
    assert not understood(new, old)
    assert not understood(old, new)
    helped = Ring(B_AFTER_A, 500.0)
    others = [old, both, new]
    assert all(understood(helped, one) and understood(one, helped) for one in others)


def test_changes_are_told_once() -> None:
    ring = Ring(A, 0.0)
    assert not ring.learn(A, 1.0)
    assert ring.learn(B, 2.0)
    assert not ring.learn(B, 3.0)
    assert [ring.tick(now) for now in (4.0, 602.0, 603.0, 1202.0, 1203.0)] == [
        False,
        True,
        False,
        True,
        False,
    ]


# --- gossip --------------------------------------------------------------------------------------

OLD_ID, NEW_ID = Ring(A, 0.0).newest_id, Ring(B, 0.0).newest_id  # what members tell


@pytest.mark.parametrize(
    ("told", "after", "sends"),
    [
        pytest.param({"n2": NEW_ID, "n3": NEW_ID}, 1, B, id="all have it"),
        pytest.param({"n2": NEW_ID, "n3": OLD_ID}, 1, A, id="one does not"),
        pytest.param({"n2": NEW_ID, "n3": ""}, 1, A, id="one tells nothing"),
        pytest.param({"n2": NEW_ID, "n3": OLD_ID}, SIGN, B, id="it had time enough"),
        pytest.param({}, 1, A, id="nobody is known"),
        pytest.param({}, SIGN, B, id="nobody is known for long"),
    ],
)
def test_gossip_uses_the_new_key_when_all_have_it(
    told: dict[str, str], after: float, sends: Secrets
) -> None:
    ring = Ring(A, 0.0)
    ring.learn(B, 100.0)
    ring.tick(100.0 + after)
    in_use = derive(b"a", "gossip")
    assert ring.sending(told, in_use, 100.0 + after) == derive(sends.newest, "gossip")


@pytest.mark.parametrize(
    ("told", "in_use", "sends"),
    [
        pytest.param({}, B, B, id="nobody is known: what it tries"),
        pytest.param({}, A, A, id="and the other one"),
        pytest.param({}, C, A, id="what it knows no more is not tried"),
        pytest.param({"n2": OLD_ID}, B, A, id="the others do not have it"),
        pytest.param({"n2": NEW_ID}, A, B, id="the others have it"),
    ],
)
def test_one_that_starts_with_both_follows_the_others(
    told: dict[str, str], in_use: Secrets, sends: Secrets
) -> None:
    key = derive(in_use.newest, "gossip")
    assert Ring(B_AFTER_A, 0.0).sending(told, key, 1.0) == derive(sends.newest, "gossip")


def test_of_three_secrets_the_oldest_is_the_one_that_all_can_read() -> None:
    ring = Ring(A, 0.0)
    ring.learn(B, 100.0)
    ring.learn(C, 200.0)
    told = {"n2": NEW_ID, "n3": OLD_ID}
    assert ring.sending(told, derive(b"a", "gossip"), 201.0) == derive(b"a", "gossip")


def test_who_is_late_is_named_after_two_minutes_and_a_half() -> None:
    ring = Ring(A, 0.0)
    ring.learn(B, 100.0)
    told = {"n4": OLD_ID, "n3": "", "n2": NEW_ID}
    assert ring.late(told, 100.0 + LATE - 1) == []
    assert ring.late(told, 100.0 + LATE) == ["n3", "n4"]


# --- keys ----------------------------------------------------------------------------------------


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


def test_an_id_tells_keys_apart_and_has_four_bytes() -> None:
    ids = {key_id(derive(secret, "x")) for secret in (b"a", b"b", b"c")}
    assert {len(one) for one in ids} == {4}
    assert len(ids) == 3
    assert key_id(b"") == bytes(4)


def test_all_releases_give_the_same_id() -> None:
    assert key_id(b"k" * 32).hex() == "3ec6f8c4"


def test_no_secret_is_an_empty_key() -> None:
    assert Ring(Secrets(), 0.0).keys("test") == Keys((b"",), (b"",)) == Keys()


def test_secrets_and_keys_show_nothing() -> None:
    ring = Ring(Secrets(b"topsecret", b"before"), 0.0)
    ring.learn(Secrets(b"nextsecret"), 1.0)
    shown = repr(ring) + repr(ring.keys("test")) + repr(Secrets(b"topsecret", b"before"))
    shown += repr(ring._former)
    for word in (b"topsecret", b"before", b"nextsecret", *ring.keys("test").believed):
        assert repr(word)[2:-1] not in shown
