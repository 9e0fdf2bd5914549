"""The lab's fixtures for the tests in this folder."""

from __future__ import annotations

from lab.fixtures import bare, cluster

__all__ = ["bare", "cluster"]
