"""Keeps what happens on a stage: clients, answers on the LAN, the audit log, stand-still."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from chaos.looking import LATELY, addresses
from chaos.recording import BGP, V4, V6, Calm, Client, Given, Played, Recording, Still, Write
from chaos.stage import Stage
from lab import processes
from lab.asker import Asker
from lab.capture import ANSWERS, Advertisement, Arp, Capture, Frame, Word
from lab.errors import LabError
from lab.guard import TESTS
from lab.prober import Prober
from lab.programs import NAMESPACE
from lab.scene import FRESH, WARM
from lab.waiting import until

INTERVAL = 0.05  # seconds between two connections of a client
ASK = 0.01  # seconds between two questions to the LAN
OURS = f"system:serviceaccount:{NAMESPACE}:bellmetal-"
_READS = frozenset({"get", "list", "watch"})


class Recorder:
    """Clients, an asker and a bystander at work on a stage, until its context ends."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._captures: list[Capture] = []
        self.began = time.monotonic()
        self._meter = processes.start(
            [sys.executable, "-m", "chaos.meter"],
            "lan/meter",
            stage.lab.run.path / "logs" / "meter.log",
            stage.lab.run.records,
            {"PYTHONPATH": str(TESTS)},
        )
        warm, fresh, far = (stage.lab.host(name) for name in (WARM, FRESH, "o1"))
        self._clients = [
            (V6 if ":" in address else V4, Prober(host, address, interval=INTERVAL, fresh=again))
            for host, again in ((warm, False), (fresh, True))
            for address in stage.addresses
        ]
        self._clients.append((BGP, Prober(far, stage.routed, interval=INTERVAL)))

    @property
    def probers(self) -> list[Prober]:
        """All clients."""
        return [prober for _, prober in self._clients]

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Somebody asks the LAN for each address; the clients end with it."""
        try:
            with Asker(self._stage.lab, self._stage.addresses, ASK):
                for prober in self.probers:
                    until(lambda p=prober: _connects(p), f"{prober.name} connects", every=0.1)
                self.began = time.monotonic()
                yield
        finally:
            for prober in self.probers:
                prober.stop()
            self._meter.kill()

    @contextlib.contextmanager
    def sniffing(self) -> Iterator[None]:
        """A capture of its own for each round: a file that is read while it grows stays small."""
        capture = self._stage.lab.capture("lan", ANSWERS)
        self._captures.append(capture)
        with capture:
            yield

    def answering(self) -> dict[str, set[str]]:
        """Who answered for each address lately."""
        since = time.monotonic() - LATELY
        words = _words(self._captures[-1:], self._stage.addresses)
        return {a: {w.mac for w in said if w.at >= since} for a, said in words.items()}

    def recording(self, played: Sequence[Played], calms: Sequence[Calm]) -> Recording:
        """All that was seen since the beginning. LabError if the bystander has ended."""
        if not self._meter.alive:
            raise LabError(f"nobody has measured stand-still: {self._meter.log()}")
        events = sorted(self._stage.lab.control_plane.audit_events(), key=_at)
        offset = time.time() - time.monotonic()
        return Recording(
            began=self.began,
            ended=time.monotonic(),
            faults=tuple(played),
            clients=[Client(p.name, way, p.attempts(self.began)) for way, p in self._clients],
            words=_words(self._captures, self._stage.addresses),
            given=list(given(events, offset)),
            writes=list(writes(events, offset)),
            calms=tuple(calms),
            stills=list(stills(self._meter.log())),
        )


def _connects(prober: Prober) -> bool:
    last = prober.attempts()[-20:]
    return len(last) == 20 and all(item.ok for item in last)


def stills(log: str) -> Iterator[Still]:
    """What the bystander said."""
    for line in log.splitlines():
        at, seconds = map(float, line.split())
        yield Still(at, seconds)


def _words(captures: Iterable[Capture], wanted: Iterable[str]) -> dict[str, list[Word]]:
    """Each file is read once, for all addresses."""
    found: dict[str, list[Word]] = {address: [] for address in wanted}
    for capture in captures:
        for frame in capture.frames():
            address, mac = _said(frame)
            if address in found:
                found[address].append(Word(frame.at, mac))
    return found


def _said(frame: Frame) -> tuple[str, str]:
    """Which address somebody says is its own in a frame, and who; nothing: empty."""
    if (arp := Arp.parse(frame)) is not None:
        return (arp.sender, arp.sender_mac) if arp.reply or arp.gratuitous else ("", "")
    if (told := Advertisement.parse(frame)) is not None:
        return told.target, told.source_mac
    return "", ""


# --- the audit log --------------------------------------------------------------------------------


def _at(event: dict[str, Any]) -> str:
    return str(event["stageTimestamp"])


def _moment(event: dict[str, Any], offset: float) -> float:
    return datetime.fromisoformat(_at(event)).timestamp() - offset


def _done(event: dict[str, Any]) -> bool:
    return int(event.get("responseStatus", {}).get("code", 0)) // 100 == 2


def given(events: Iterable[dict[str, Any]], offset: float) -> Iterator[Given]:
    """Which Service got which addresses, and which was deleted."""
    for event in events:
        about = event.get("objectRef", {})
        if about.get("resource") != "services" or not _done(event):
            continue
        at, name = _moment(event, offset), about.get("name", "")
        if event["verb"] == "delete":
            yield Given(at, name, gone=True)
        status = (event.get("requestObject") or {}).get("status") or {}
        if event["verb"] in ("patch", "update") and "loadBalancer" in status:
            yield Given(at, name, addresses({"loadBalancer": status["loadBalancer"] or {}}))


def writes(events: Iterable[dict[str, Any]], offset: float) -> Iterator[Write]:
    """What our programs wrote, whether it was taken or not."""
    for event in events:
        user = str(event["user"].get("username", ""))
        if user.startswith(OURS) and event["verb"] not in _READS:
            about = event.get("objectRef", {})
            what = "/".join(about.get(k, "") for k in ("resource", "name", "subresource"))
            yield Write(_moment(event, offset), user.rpartition(":")[2], event["verb"], what)
