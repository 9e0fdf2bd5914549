"""What holds for all tests: how hard hypothesis tries, and the golden files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev",
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=800)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")

# looptime asks for the event loop of synchronous tests too; asyncio would make one, left unclosed
asyncio.set_event_loop(None)

MOST_AGAIN = 4  # tests that may fail on a machine that stood still; more of them mean something
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write the golden files anew")
    parser.addoption("--again", action="store_true", help="the files that failed last, if few")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--again"):
        assert config.cache is not None
        failed: dict[str, bool] = config.cache.get("cache/lastfailed", {})
        if not 0 < len(failed) <= MOST_AGAIN:
            pytest.exit(f"{len(failed)} tests failed: nothing is played again", 1)
        files = {name.partition("::")[0] for name in failed}
        items[:] = [item for item in items if item.nodeid.partition("::")[0] in files]


class Golden:
    """Compares text with a file of tests/golden, or writes it there."""

    def __init__(self, write: bool) -> None:
        self._write = write

    def check(self, name: str, text: str) -> None:
        path = GOLDEN / name
        if self._write:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path} is missing: make golden writes it"
        assert text == path.read_text(), f"{path} differs: make golden, and look at the diff"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(request.config.getoption("--golden"))
