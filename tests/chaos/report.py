"""What a run of chaos found: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from chaos.invariants import outages
from chaos.recording import Recording, Verdict


def held(verdicts: Sequence[Verdict]) -> bool:
    """Whether nothing was broken, and everything was looked at."""
    return all(not v.violations and v.checks for v in verdicts)


def as_json(seed: int, recording: Recording, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """For programs; times in seconds from the beginning."""
    return {
        "seed": seed,
        "seconds": round(recording.ended - recording.began, 1),
        "held": held(verdicts),
        "faults": [
            {
                "fault": fault.fault,
                "target": fault.target,
                "began": round(fault.began - recording.began, 2),
                "lasted": _rounded(fault.ended - fault.began),
            }
            for fault in recording.faults
        ],
        "clients": [
            {"name": name, "attempts": attempts, "failed": failed, "longest": round(longest, 3)}
            for name, attempts, failed, longest in _clients(recording)
        ],
        "invariants": [asdict(verdict) for verdict in verdicts],
        "converged": [_rounded((c.converged or float("inf")) - c.began) for c in recording.calms],
        "stood_still": {
            "in all": round(sum(s.seconds for s in recording.stills), 2),
            "longest": round(max((s.seconds for s in recording.stills), default=0.0), 3),
        },
    }


def _rounded(seconds: float) -> float | None:
    return round(seconds, 2) if seconds < float("inf") else None


def _clients(recording: Recording) -> list[tuple[str, int, int, float]]:
    found = []
    for client in recording.clients:
        lengths = [until - since for since, until in outages(client.attempts)]
        failed = sum(not item.ok for item in client.attempts)
        found.append((client.name, len(client.attempts), failed, max(lengths, default=0.0)))
    return found


def as_text(seed: int, recording: Recording, verdicts: Sequence[Verdict]) -> str:
    """For people."""
    parts = [
        f"seed {seed}, {recording.ended - recording.began:.0f} s",
        _faults(recording),
        _table(
            ("client", "connections", "failed", "longest outage"),
            [
                (name, str(attempts), str(failed), f"{longest:.2f} s")
                for name, attempts, failed, longest in _clients(recording)
            ],
        ),
        _table(
            ("invariant", "checks", "broken"),
            [(v.name, str(v.checks), str(len(v.violations))) for v in verdicts],
        ),
        _quiet(recording),
        *_violations(verdicts),
    ]
    return "\n\n".join(parts)


def _faults(recording: Recording) -> str:
    lasted: dict[str, list[float]] = defaultdict(list)
    for fault in recording.faults:
        lasted[fault.fault].append(fault.ended - fault.began)
    rows = [
        (name, str(len(times)), f"{sum(times):.1f} s" if max(times) < float("inf") else "no end")
        for name, times in sorted(lasted.items())
    ]
    return _table(("fault", "played", "in all"), rows)


def _quiet(recording: Recording) -> str:
    times = [c.converged - c.began for c in recording.calms if c.converged is not None]
    still = [item.seconds for item in recording.stills]
    said = ", ".join(f"{seconds:.1f} s" for seconds in times) or "never"
    return (
        f"all was as it should be after: {said}\n"
        f"the machine stood still {len(still)} times, {sum(still):.1f} s in all, "
        f"{max(still, default=0.0):.2f} s at the longest"
    )


def _violations(verdicts: Sequence[Verdict]) -> list[str]:
    return [
        f"BROKEN: {verdict.name}\n  at {item.at:.1f} s: {item.seen}\n"
        f"  in force: {', '.join(item.faults) or 'nothing'}"
        for verdict in verdicts
        for item in verdict.violations
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def summary(found: Sequence[dict[str, Any]]) -> str:
    """Several runs in a table."""
    rows = []
    for one in found:
        broken = Counter({v["name"]: len(v["violations"]) for v in one["invariants"]})
        told = ", ".join(f"{name}: {n}" for name, n in broken.items() if n) or "0"
        longest = max((c["longest"] for c in one["clients"]), default=0.0)
        still = one["stood_still"]["longest"]
        cells = (str(one["seed"]), str(len(one["faults"])), told, f"{longest:.2f} s")
        rows.append((*cells, f"{still:.2f} s"))
    head = ("seed", "faults", "broken", "longest outage", "longest stand-still")
    return _table(head, rows)


def dump(found: Sequence[dict[str, Any]]) -> str:
    """Several runs as JSON."""
    return json.dumps(list(found), indent=1, ensure_ascii=False)
