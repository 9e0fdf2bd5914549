"""The targets on their corpus, and on so many changes of it: always the same ones."""

from __future__ import annotations

import random

import pytest

from fuzz.targets import TARGETS, read_corpus

FEWER = {
    "responder": 1500,
    "ownership": 400,
    "watch": 600,
    "bgp_session": 700,
    "configuration": 1000,
}  # those take longer


def changed(item: bytes, dice: random.Random) -> bytes:
    """One to four small changes."""
    data = bytearray(item)
    for _ in range(dice.randint(1, 4)):
        at = dice.randint(0, len(data))
        match dice.randrange(5):
            case 0:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                data[at : at + dice.randint(1, 8)] = b""
            case 2:
                data[at:at] = dice.randbytes(dice.randint(1, 8))
            case 3:
                data[at : at + 4] = dice.choice([b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"])
            case 4:
                data[at:at] = data[: dice.randint(0, 64)]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_changes_of_it(name: str) -> None:
    target, corpus, dice = TARGETS[name], [b"", *read_corpus(name)], random.Random(name)
    for item in corpus:
        target(item)
    for number in range(FEWER.get(name, 3000)):
        item = changed(corpus[number % len(corpus)], dice)
        try:
            target(item)
        except BaseException as error:
            error.add_note(f"target {name}, input {item.hex()}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_small(name: str) -> None:
    corpus = read_corpus(name)
    assert 0 < len(corpus) <= 100
    assert sum(map(len, corpus)) < 40_000
