"""Who is alone knows nobody."""

from __future__ import annotations

from bellmetal.announcer import Liveness
from bellmetal.members import Alone


def test_who_is_alone_knows_nobody() -> None:
    alone = Alone()
    alone.subscribe(lambda *_: None, lambda _: None)
    alone.send("n2", b"hello")
    assert alone.liveness("n2") is Liveness.UNKNOWN
