"""What crosses the socketpair between speaker and BFD process: values ⇄ lines, never trusted.

One message each way is one line of words: ``want`` and ``forget`` of a session by its number and
``close`` go to the process; what a session is like comes back. Words and not JSON, as its module
would cost the process a twentieth of its memory. Imported by the small process that keeps time,
so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from bellmetal_bgp.bfd.session import Timers

LARGEST = 2**32 - 1
LONGEST = 2000  # bytes of a line
MOST_COUNTERS = 32


class WordError(ValueError):
    """A line that is none of ours; says which field is wrong."""


class Reach(NamedTuple):
    """What tells a session from others on the wire. ``local``, ``interface``, ``vrf`` may be empty.

    Addresses are canonical text. ``interface``: where a single hop's packets come in.
    """

    remote: str
    local: str = ""
    interface: str = ""
    multi_hop: bool = False
    vrf: str = ""


class Want(NamedTuple):
    """There is to be such a session; known already, it changes its timers.

    ``minimum_ttl``: of packets that came over several hops.
    """

    number: int
    reach: Reach
    timers: Timers
    minimum_ttl: int = 254


class Forget(NamedTuple):
    """The session is wanted no more."""

    number: int


class Close(NamedTuple):
    """Say AdminDown for all and end."""


Order: TypeAlias = Want | Forget | Close


class Told(NamedTuple):
    """A session as it is. ``since`` is of CLOCK_MONOTONIC, which all processes share, in seconds.

    States and diagnostics are the packets' numbers; intervals are in microseconds, as agreed.
    """

    number: int
    state: int
    remote_state: int
    since: float
    diagnostic: int
    remote_diagnostic: int
    transmit_us: int
    detect_us: int
    multiplier: int
    message: str
    counters: Mapping[str, int]


def encode(order: Order) -> bytes:
    """An order for the process."""
    match order:
        case Want(number, reach, timers, minimum_ttl):
            return _line("want", number, *reach, *timers, minimum_ttl)
        case Forget(number):
            return _line("forget", number)
        case Close():
            return _line("close")


def decode(data: bytes) -> Order:
    """An order out of its bytes; raises WordError."""
    words = _Words(data)
    match words.text("order"):
        case "want":
            order: Order = _want(words)
        case "forget":
            order = Forget(words.number("number"))
        case "close":
            order = Close()
        case other:
            raise WordError(f"order: {other!r} is neither want nor forget nor close")
    words.end()
    return order


def _want(words: _Words) -> Want:
    return Want(
        words.number("number"),
        Reach(
            words.text("remote"),
            words.text("local"),
            words.text("interface"),
            words.flag("multi_hop"),
            words.text("vrf"),
        ),
        Timers(
            words.number("transmit_us", 1),
            words.number("receive_us", 1),
            words.number("detect_mult", 1, 255),
            words.flag("passive"),
            words.number("echo_us"),
        ),
        words.number("minimum_ttl", 0, 255),
    )


def encode_told(told: Told) -> bytes:
    """What a session is like, for the speaker."""
    counters = [text for item in told.counters.items() for text in item]
    fields = told._asdict()
    del fields["message"], fields["counters"]
    return _line(*fields.values(), len(told.counters), *counters, *told.message.split(" "))


def decode_told(data: bytes) -> Told:
    """What a session is like, out of its bytes; raises WordError."""
    words = _Words(data)
    return Told(
        words.number("number"),
        words.number("state", 0, 3),
        words.number("remote_state", 0, 3),
        words.seconds("since"),
        words.number("diagnostic", 0, 31),
        words.number("remote_diagnostic", 0, 31),
        words.number("transmit_us"),
        words.number("detect_us", 0, 256 * LARGEST),
        words.number("multiplier", 1, 255),
        counters={
            words.text("counter"): words.number("counter", 0, 2**63)
            for _ in range(words.number("counters", 0, MOST_COUNTERS))
        },
        message=words.rest(),
    )


def _line(*words: object) -> bytes:
    """Empty words are written as a dash, flags as numbers."""
    texts = [int(word) if isinstance(word, bool) else word for word in words]
    return " ".join(str(text) or "-" for text in texts).encode("ascii", "replace")


class _Words:
    """Reads a line word by word; raises WordError, which names the field."""

    def __init__(self, data: bytes) -> None:
        text = data[:LONGEST].decode("ascii", "replace")
        if not text.isprintable():
            raise WordError("line: has characters that cannot be printed")
        self._words = text.split(" ")
        self._words.reverse()

    def text(self, field: str) -> str:
        if not self._words:
            raise WordError(f"{field}: is missing")
        word = self._words.pop()
        return "" if word == "-" else word

    def number(self, field: str, least: int = 0, most: int = LARGEST) -> int:
        word = self.text(field)
        if not word.isdecimal() or len(word) > 20 or not least <= int(word) <= most:
            raise WordError(f"{field}: {word!r} is no number between {least} and {most}")
        return int(word)

    def flag(self, field: str) -> bool:
        return self.number(field, 0, 1) == 1

    def seconds(self, field: str) -> float:
        word = self.text(field)
        try:
            value = float(word)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e12:
            raise WordError(f"{field}: {word!r} is no time")
        return value

    def rest(self) -> str:
        return " ".join(self.text("message") for _ in range(len(self._words)))

    def end(self) -> None:
        if self._words:
            raise WordError(f"line: {len(self._words)} words too many")
