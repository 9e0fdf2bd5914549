"""What the kernel dropped, and what it says of a peer that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellmetal.facts import SessionTrouble
from bellmetal_bgp import kernel
from bellmetal_bgp.kernel import NAMES, Bare, drops, read_drops, silence, silence_to_signed

NETSTAT = """\
TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPMinTTLDrop Last
TcpExt: 1 2 3 4 5 6
IpExt: InNoRoutes TCPMinTTLDrop
IpExt: 7 8
"""


def test_the_counters_are_read_by_name() -> None:
    assert drops(NETSTAT) == {"TCPMD5Unexpected": 3, "TCPMinTTLDrop": 5}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("TcpExt: TCPMinTTLDrop\n", {}),
        ("IpExt: A\nIpExt: 1\n", {}),
        ("TcpExt: A TCPMD5Unexpected\nTcpExt: 1\n", {}),
        ("TcpExt: A\nTcpExt: 1\n", {}),
    ],
)
def test_counters_that_are_not_there(text: str, found: dict[str, int]) -> None:
    assert drops(text) == found


def test_this_kernels_counters() -> None:
    assert set(read_drops()) <= set(NAMES)


def test_what_cannot_be_read_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kernel, "NETSTAT", tmp_path / "nothing")
    assert read_drops() == {}
    (tmp_path / "odd").write_text("TcpExt: TCPMD5Unexpected\nTcpExt: many\n")
    monkeypatch.setattr(kernel, "NETSTAT", tmp_path / "odd")
    assert read_drops() == {}


WRONG_PASSWORD, WRONG_TTL = SessionTrouble.WRONG_PASSWORD, SessionTrouble.WRONG_TTL


@pytest.mark.parametrize(
    ("grown", "hops", "trouble", "words"),
    [
        ("", 0, SessionTrouble.NO_ANSWER, "the peer does not answer: something drops"),
        ("", 1, SessionTrouble.NO_ANSWER, "the peer does not answer: something drops"),
        ("TCPMinTTLDrop", 2, WRONG_TTL, "the peer's packets come from further than 2 hops"),
        ("TCPMinTTLDrop", 0, SessionTrouble.NO_ANSWER, "the peer does not answer"),  # another's
        ("TCPMD5Unexpected", 0, WRONG_PASSWORD, "the peer signs its packets, and this"),
    ],
)
def test_what_silence_means(grown: str, hops: int, trouble: SessionTrouble, words: str) -> None:
    before = dict.fromkeys(NAMES, 5)
    failure = silence(before, {name: 5 + (name == grown) for name in NAMES}, hops)
    assert failure.trouble is trouble
    assert failure.message.startswith(words)


@pytest.mark.parametrize(
    ("bare", "trouble", "words"),
    [
        (Bare.REFUSED, SessionTrouble.REFUSED, "192.0.2.1 port 179: nobody listens there"),
        (Bare.TAKEN, WRONG_PASSWORD, "it has no password for this node"),
        (Bare.SILENT, WRONG_PASSWORD, "most likely it has another password"),
    ],
)
def test_what_silence_to_signed_packets_means(
    bare: Bare, trouble: SessionTrouble, words: str
) -> None:
    failure = silence_to_signed(bare, "192.0.2.1 port 179")
    assert failure.trouble is trouble
    assert words in failure.message


def test_a_counter_that_came_meanwhile_says_nothing() -> None:
    assert silence({}, {"TCPMinTTLDrop": 9}, 1).trouble is SessionTrouble.NO_ANSWER
