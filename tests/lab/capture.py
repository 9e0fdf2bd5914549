"""What passes on a link: tcpdump into a file, read back as frames with their times.

Times are `time.monotonic()`'s, so that they compare with what a test notes itself.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from lab import processes
from lab.errors import LabError
from lab.processes import Process
from lab.waiting import until

# filters in tcpdump's language
ARP = "arp"
ANSWERS = "arp or (icmp6 and ip6[40] = 136)"  # and neighbour advertisements
TALK = "arp or (icmp6 and (ip6[40] = 135 or ip6[40] = 136))"  # and solicitations


# Room for bursts of thousands of frames: tcpdump's slots are all as long as the longest frame.
_ROOM = ("-s", "2048", "-B", "32768")
# For whole TCP segments, which are as long on a virtual link as the sender has something to say.
WHOLE = ("-s", "65600", "-B", "65536")


@dataclass(frozen=True)
class Frame:
    """One frame: when it passed (monotonic seconds), and its bytes."""

    at: float
    data: bytes

    @property
    def source(self) -> str:
        """The hardware address it came from."""
        return self.data[6:12].hex(":")

    @property
    def target(self) -> str:
        """The hardware address it went to."""
        return self.data[:6].hex(":")


@dataclass(frozen=True)
class Arp:
    """An ARP packet, with the names RFC 826 gives its parts."""

    at: float
    reply: bool
    sender_mac: str
    sender: str
    target_mac: str
    target: str
    frame: Frame

    @property
    def gratuitous(self) -> bool:
        """Whether it tells everybody of its own address (RFC 5227 §3)."""
        return self.sender == self.target

    @classmethod
    def parse(cls, frame: Frame) -> Arp | None:
        """The ARP packet in a frame, if it is one for IPv4 over Ethernet."""
        data = frame.data
        if len(data) < 42 or data[12:20] != b"\x08\x06\x00\x01\x08\x00\x06\x04":
            return None
        return cls(
            frame.at,
            data[20:22] == b"\x00\x02",
            data[22:28].hex(":"),
            str(ipaddress.IPv4Address(data[28:32])),
            data[32:38].hex(":"),
            str(ipaddress.IPv4Address(data[38:42])),
            frame,
        )


@dataclass(frozen=True)
class Advertisement:
    """An IPv6 neighbour advertisement, with the names RFC 4861 §4.4 gives its parts."""

    at: float
    source_mac: str
    target: str
    solicited: bool
    override: bool
    frame: Frame

    @classmethod
    def parse(cls, frame: Frame) -> Advertisement | None:
        """The neighbour advertisement in a frame, if it is one."""
        data = frame.data
        if len(data) < 78 or data[12:14] != b"\x86\xdd" or (data[20], data[54]) != (58, 136):
            return None
        target = str(ipaddress.IPv6Address(data[62:78]))
        solicited, override = bool(data[58] & 0x40), bool(data[58] & 0x20)
        return cls(frame.at, frame.source, target, solicited, override, frame)


class Capture:
    """A tcpdump that runs in a namespace on a link, as a context manager."""

    def __init__(
        self,
        command: list[str],
        link: str,
        filter: str,
        path: Path,
        records: Path,
        room: tuple[str, ...] = _ROOM,
    ) -> None:
        self.path = path
        self._link = link
        self._records = records
        self._process: Process | None = None
        self._command = [
            *command, "tcpdump", "-i", link, "-w", str(path), "-U", "--immediate-mode", "-n",
            "--time-stamp-precision=nano", "-Z", "root", *room, *([filter] if filter else []),
        ]  # fmt: skip

    def __enter__(self) -> Capture:
        log = self.path.with_suffix(".log")
        self._process = process = processes.start(
            self._command, f"capture/{self.path.stem}", log, self._records
        )

        def listening() -> bool:
            if not process.alive:
                raise LabError(f"tcpdump on {self._link}: {process.log()}")
            return "listening on" in process.log()

        until(listening, f"tcpdump on {self._link}", 5, every=0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.signal(signal.SIGINT)  # it writes what it still holds
            self._process.wait(5)

    @property
    def dropped(self) -> int:
        """How many frames passed that tcpdump had no room for; known once it has ended."""
        log = self._process.log() if self._process else "it was not started"
        found = re.search(r"(\d+) packets dropped by kernel", log)
        if not found:
            raise LabError(f"tcpdump on {self._link} has not ended: {log}")
        return int(found[1])

    def frames(self) -> list[Frame]:
        """What was seen so far, in order."""
        if not self.path.exists():
            return []
        return list(_read_pcap(self.path.read_bytes()))

    packets = frames

    def arps(self) -> list[Arp]:
        """The ARP packets among them."""
        return [arp for frame in self.frames() if (arp := Arp.parse(frame))]

    def answers(self, address: str) -> list[Arp]:
        """Who said that it has this address: ARP replies, and gratuitous requests."""
        said = [arp for arp in self.arps() if arp.sender == address]
        return [arp for arp in said if arp.reply or arp.gratuitous]

    def advertisements(self, address: str = "") -> list[Advertisement]:
        """The neighbour advertisements among them: all, or those for an address."""
        found = [said for frame in self.frames() if (said := Advertisement.parse(frame))]
        return [said for said in found if address in ("", said.target)]

    def answerers(self, address: str, since: float = 0) -> set[str]:
        """The hardware addresses that claimed this address since a moment (monotonic)."""
        if ":" in address:
            said = self.advertisements(address)
            return {one.source_mac for one in said if one.at >= since}
        return {arp.sender_mac for arp in self.answers(address) if arp.at >= since}

    def said(self, address: str, since: float = 0) -> list[Word]:
        """Every word of anybody that an address of either family is here, in order."""
        if ":" in address:
            words = [Word(one.at, one.source_mac) for one in self.advertisements(address)]
        else:
            words = [Word(one.at, one.sender_mac) for one in self.answers(address)]
        return [word for word in words if word.at >= since]

    def contested(self, address: str, since: float = 0) -> float:
        """`contest` of what was said of an address since a moment."""
        return contest(self.said(address, since))


@dataclass(frozen=True)
class Word:
    """Somebody's word that an address is here: an answer, or told to everybody unasked."""

    at: float
    mac: str


def contest(words: Sequence[Word]) -> float:
    """Seconds for which two answered: from the first word of the one that has it in the end to the
    last word of anybody else."""
    if not words:
        return 0.0
    winner = words[-1].mac
    began = next(word.at for word in words if word.mac == winner)
    return max([0.0, *(word.at - began for word in words if word.mac != winner)])


def lingered(words: Sequence[Word], since: float) -> float:
    """Seconds from a moment to the last word of anybody but the one that has it in the end."""
    if not words:
        return 0.0
    last = [word.at for word in words if word.mac != words[-1].mac]
    return max(0.0, max(last, default=since) - since)


def _read_pcap(content: bytes) -> Iterator[Frame]:
    """The frames of a pcap file with nanoseconds, in this machine's byte order."""
    offset = time.time() - time.monotonic()
    position = 24
    while position + 16 <= len(content):
        seconds, nanoseconds, length, _ = struct.unpack_from("=IIII", content, position)
        position += 16
        if position + length > len(content):  # it is being written
            return
        yield Frame(seconds + nanoseconds / 1e9 - offset, content[position : position + length])
        position += length


def as_text(path: Path, *arguments: str | os.PathLike[str]) -> str:
    """A capture as tcpdump prints it, for people."""
    command = ["tcpdump", "-n", "-e", "-r", path, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
