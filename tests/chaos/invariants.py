"""What must hold at every moment, judged from a recording. Pure functions, one an invariant."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from chaos.bounds import AFTER, CONVERGED, DIVIDED, TOGETHER, allowed
from chaos.recording import Client, Recording, Verdict, Violation, texts
from lab.capture import Word
from lab.prober import Attempt

STEP = 0.1  # seconds: two answer "at once" if both do within a step
SAME = 0.3  # seconds between two failed attempts of one outage, at most


def judge(recording: Recording) -> list[Verdict]:
    """All invariants."""
    return [
        given_once(recording),
        none_moved(recording),
        one_owner(recording),
        outages_bounded(recording),
        all_converges(recording),
        rests(recording),
    ]


def given_once(recording: Recording) -> Verdict:
    """No address is given to a Service while another one has it."""
    holders: dict[str, str] = {}  # address → Service
    found, checks = [], 0
    for item in recording.given:
        for address in item.addresses:
            checks += 1
            other = holders.get(address, item.service)
            if other != item.service:
                seen = f"{address} was given to {item.service} while {other} had it"
                found.append(_violation(recording, item.at, seen))
        for address in [a for a, s in holders.items() if s == item.service]:
            del holders[address]
        holders |= dict.fromkeys(item.addresses, item.service)
    return Verdict("no address given twice", checks, tuple(found))


def none_moved(recording: Recording) -> Verdict:
    """A Service that has addresses keeps them until it is deleted."""
    has: dict[str, tuple[str, ...]] = {}
    found, checks = [], 0
    for item in recording.given:
        before = has.pop(item.service, ())
        if item.gone:
            continue
        has[item.service] = item.addresses
        checks += 1
        if lost := sorted({*before} - {*item.addresses}):
            now = ", ".join(item.addresses) or "nothing"
            seen = f"{item.service} lost {', '.join(lost)} and has {now}"
            found.append(_violation(recording, item.at, seen))
    return Verdict("no address moved", checks, tuple(found))


# --- one owner ------------------------------------------------------------------------------------


def one_owner(recording: Recording) -> Verdict:
    """Two answer for an address for a second in sum at most, between two edges of faults.

    Not judged while a fault divides the LAN: then one may answer on each side.
    """
    found, checks = [], 0
    for since, until in _undivided(recording):
        for address, words in recording.words.items():
            checks += 1
            at = contested([word for word in words if since <= word.at < until])
            total = len(at) * STEP
            if total > TOGETHER + recording.stood_still(since, until):
                seen = f"two answered for {address} for {total:.1f} s in sum, last at {at[-1]:.1f}"
                found.append(_violation(recording, at[0], seen))
    return Verdict("one owner", checks, tuple(found))


def contested(words: Sequence[Word]) -> list[float]:
    """The steps of time, by their beginnings, in which more than one answered."""
    steps: dict[int, set[str]] = defaultdict(set)
    for word in words:
        steps[int(word.at / STEP)].add(word.mac)
    return [number * STEP for number, macs in sorted(steps.items()) if len(macs) > 1]


def _undivided(recording: Recording) -> Iterator[tuple[float, float]]:
    """The times between edges of faults in which nothing divides the LAN."""
    edges = {recording.began, recording.ended}
    edges |= {edge for f in recording.faults for edge in (f.began, f.ended)}
    inside = sorted(edge for edge in edges if recording.began <= edge <= recording.ended)
    for since, until in itertools.pairwise(inside):
        lasting = recording.in_force((since + until) / 2, (since + until) / 2)
        if not any(fault.fault in DIVIDED for fault in lasting):
            yield since, until


# --- clients --------------------------------------------------------------------------------------


def outages_bounded(recording: Recording) -> Verdict:
    """No client goes without an answer for longer than the faults in force explain."""
    found, checks = [], 0
    for client in recording.clients:
        checks += len(client.attempts)
        for since, until in outages(client.attempts):
            if seen := _too_long(recording, client, since, until):
                found.append(_violation(recording, since, seen))
    return Verdict("outages within bounds", checks, tuple(found))


def _too_long(recording: Recording, client: Client, since: float, until: float) -> str:
    faults = recording.in_force(since, until, AFTER)
    bound = allowed(client, faults, since, until)
    still = recording.stood_still(since - AFTER, until + AFTER)
    if until - since <= bound + still:
        return ""
    failed = [a for a in client.attempts if since <= a.at <= until and not a.ok]
    why = ", ".join(f"{n} {name}" for name, n in Counter(a.why for a in failed).items())
    return (
        f"{client.name} ({why}) was not served for {until - since:.2f} s, allowed {bound:.2f} s"
        f" and {still:.2f} s for which the machine stood still"
    )


def outages(attempts: Sequence[Attempt]) -> Iterator[tuple[float, float]]:
    """From the first attempt of a series that failed to the first after it that succeeded.

    Failures belong to one series if they began less than `SAME` seconds apart.
    """
    began = last = None
    for item in attempts:
        if not item.ok:
            if began is None or last is None:
                began = item.at
            last = item.at
        elif began is not None and last is not None and item.at - last >= SAME:
            yield began, _served(attempts, last)
            began = last = None
    if began is not None and last is not None:
        yield began, _served(attempts, last)


def _served(attempts: Sequence[Attempt], after: float) -> float:
    """When an attempt that succeeded began, after a moment; else the last one's time."""
    good = (item.at for item in attempts if item.at > after and item.ok)
    return next(good, attempts[-1].at)


# --- quiet times ----------------------------------------------------------------------------------


def all_converges(recording: Recording) -> Verdict:
    """In each quiet time everything is as it should be, soon."""
    found = []
    for calm in recording.calms:
        still = recording.stood_still(calm.began, calm.ended)
        if calm.converged is None:
            found.append(_violation(recording, calm.began, "; ".join(calm.lacking)))
        elif calm.converged - calm.began > CONVERGED + still:
            seen = f"only after {calm.converged - calm.began:.1f} s all was as it should be"
            found.append(_violation(recording, calm.began, seen))
    return Verdict("all converges", len(recording.calms), tuple(found))


def rests(recording: Recording) -> Verdict:
    """Once all is as it should be and told, nothing but the Lease is written."""
    found = [
        _violation(recording, write.at, f"{write.by}: {write.verb} {write.what}")
        for calm in recording.calms
        for write in recording.writes
        if calm.rest <= write.at < calm.ended and not write.what.startswith("leases/")
    ]
    judged = [calm for calm in recording.calms if calm.rest < calm.ended]
    return Verdict("at rest nothing is written", len(judged), tuple(found))


def _violation(recording: Recording, at: float, seen: str) -> Violation:
    return Violation(at - recording.began, seen, texts(recording.in_force(at, at, AFTER)))
