"""Where the lab keeps things: the cache, what was built, and the state of running labs."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CHART = REPOSITORY / "helm" / "bellmetal"


def cache() -> Path:
    """The one directory on the host that the lab writes to, outside the work tree."""
    return Path(os.environ.get("BELLMETAL_LAB_CACHE") or Path.home() / ".cache" / "bellmetal-lab")


def runs() -> Path:
    """State of running labs, one directory each."""
    return cache() / "run"
