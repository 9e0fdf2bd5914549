"""Three minutes of chaos by one seed; `make chaos` plays more of it for longer."""

from __future__ import annotations

import json

import pytest

from chaos import report
from chaos.invariants import judge
from chaos.run import chaos, planned, possible
from lab import packages
from lab.fixtures import require
from lab.progress import Lines

pytestmark = pytest.mark.lab

SEED, MINUTES = 1, 3.0


def test_three_minutes_of_chaos_break_nothing() -> None:
    require()
    packages.install(Lines())
    recording, interrupted = chaos(planned(SEED, MINUTES, possible()), None, print)
    verdicts = judge(recording)
    print(report.as_text(SEED, recording, verdicts))
    assert not interrupted
    assert report.held(verdicts), json.dumps([v.name for v in verdicts if v.violations])
