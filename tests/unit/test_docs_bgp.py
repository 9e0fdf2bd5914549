"""docs/bgp.md says what the program says: every reason, every metric."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bellmetal import explanation, session_news
from bellmetal.explanation import explain_session
from bellmetal.facts import SessionTrouble
from bellmetal.session_metrics import BFD_COUNTERS, COUNTERS, GAUGES
from bgp_facts import down

PAGE = (Path(__file__).parents[2] / "docs" / "bgp.md").read_text()
ROWS = {
    match[1]: (match[2].replace("\\|", "|"), match[3].replace("\\|", "|"))
    for match in re.finditer(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", PAGE, re.M)
}


@pytest.mark.parametrize("trouble", SessionTrouble)
def test_every_reason_stands_there_in_the_programs_words(trouble: SessionTrouble) -> None:
    vrf = "VRF" if trouble is SessionTrouble.NO_VRF else ""
    cause = explain_session(down(trouble, peer="PEER", remote="ROUTER", vrf=vrf))
    steps = [cause.edit, cause.command and f"`{cause.command}`"]
    steps.append(cause.router and f"on the router: {cause.router}")
    said = "; ".join(step for step in steps if step) or "nothing"
    assert ROWS[trouble.value] == (cause.sentence, said)


def test_there_is_no_reason_that_does_not_exist() -> None:
    assert {name for name in ROWS if name[0].isupper()} == {item.value for item in SessionTrouble}


def test_the_reasons_that_are_no_trouble_stand_there() -> None:
    for name in ("ESTABLISHED", "DOWN", "RESET", "GONE", "WARNING"):
        assert f"\n| `{getattr(session_news, name)}` (" in PAGE


def test_what_is_said_of_sessions_that_are_up_stands_there() -> None:
    for name in ("NOTHING_SENT", "PENDING", "SENT", "NO_SESSION", "SILENT"):
        assert f"`{getattr(explanation, name)}`" in PAGE


def test_every_metric_stands_there() -> None:
    names = [*GAUGES, *(name for name, _ in COUNTERS.values())]
    names += [f"metallb_bfd_{name}" for name in BFD_COUNTERS]
    names += ["metallb_bfd_session_up", "bellmetal_bgp_session_flaps_total"]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
