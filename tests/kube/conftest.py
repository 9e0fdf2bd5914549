"""One lab with one controller at work, for all tests here that neither stop nor damage it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kube.scene import Scene, stage


@pytest.fixture(scope="session")
def shared_scene() -> Iterator[Scene]:
    with stage("controller-1", audit=True) as scene:
        yield scene


@pytest.fixture
def scene(shared_scene: Scene) -> Iterator[Scene]:
    yield shared_scene
    shared_scene.clear()
