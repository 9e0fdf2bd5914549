"""pytest fixtures of the lab, for any test folder: import them into its conftest."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator

import pytest

from lab.bare import Bare
from lab.cluster import Cluster


@functools.cache
def missing() -> str:
    """Why no lab can run here; empty if one can."""
    if os.geteuid() != 0:
        return "the lab needs root: network namespaces, mounts, cgroups"
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True)
    return f"the lab needs namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def require() -> None:
    """Skip the test, with the reason, where no lab can run."""
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def bare() -> Iterator[Bare]:
    """A bare lab with three nodes and a client, for all tests of a module."""
    require()
    with Bare() as lab:
        yield lab


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster lab with three nodes and a client, for all tests of a module."""
    require()
    with Cluster() as lab:
        yield lab
