"""An explanation as plain values, for scripts and for the page.

The shape is kept as long as its ``version`` is 1; keys may be added.
"""

from __future__ import annotations

from typing import Any

from bellmetal.diagnosis.catalogue import CATALOGUE
from bellmetal.diagnosis.chain import Explanation, Link
from bellmetal.explanation import Cause

VERSION = 1


def as_plain(found: Explanation) -> dict[str, Any]:
    """What JSON is made of."""
    return {
        "version": VERSION,
        "kind": found.kind,
        "name": found.name,
        "ok": found.broken is None,
        "links": [_link(item) for item in found.links],
        "cause": _cause(found.cause) if found.cause else None,
        "hints": list(found.hints),
    }


def _link(item: Link) -> dict[str, Any]:
    return {
        "link": item.step.value,
        "state": item.state.value,
        "saw": item.saw,
        "cause": _cause(item.cause) if item.cause else None,
    }


def _cause(item: Cause) -> dict[str, Any]:
    advice = CATALOGUE.get(item.code)
    return {
        "code": item.code,
        "title": advice.title if advice else "",
        "meaning": advice.meaning if advice else "",
        "sentence": item.sentence,
        "evidence": list(item.evidence),
        "edit": item.edit,
        "command": item.command,
        "router": item.router,
    }
