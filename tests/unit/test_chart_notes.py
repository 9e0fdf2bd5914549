"""What `helm install` prints, and that helm finds nothing wrong with the chart."""

from __future__ import annotations

import subprocess

import pytest

from lab.paths import CHART, REPOSITORY
from rendering import notes, program

REGISTRY = "To have it pulled: --set image.repository=registry.example/bellmetal"


def test_an_image_without_a_registry_is_told_of() -> None:
    assert REGISTRY in notes()
    assert REGISTRY not in notes('image.repository="registry.example/bellmetal"')


@pytest.mark.parametrize(
    "line",
    [
        "kubectl -n default get pods -l app=metallb -o wide",
        "kubectl label namespace default pod-security.kubernetes.io/enforce=privileged",
        "helm test bellmetal --namespace default --logs",
        "kubectl describe service NAME",
    ],
)
def test_what_to_type_next_is_told(line: str) -> None:
    assert line in notes()


@pytest.mark.parametrize("values", ["everything", "metallb-user"])
def test_helm_finds_nothing_wrong(values: str) -> None:
    file = REPOSITORY / "tests" / "charts" / f"{values}.yaml"
    command = [program(), "lint", "--strict", str(CHART), "--values", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
