"""The chart as one file for `kubectl apply`: for people who have no helm.

python -m lab.manifests build [registry.example/bellmetal]   (makes build/bellmetal-VERSION.yaml)
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from lab import build, chart
from lab.make_image import version
from lab.paths import CHART

NAMESPACE = "metallb-system"
HEAD = """\
# Bellmetal {version}: apply with  kubectl apply --server-side -f bellmetal-{version}.yaml
# It is the chart with its defaults; the image is {image}:{version}.
# The CRDs are in it: `kubectl delete -f` of the whole file takes every pool and peer along.
"""
OWN = """\
---
# The speakers use the nodes' network, which Pod Security allows to privileged namespaces alone.
apiVersion: v1
kind: Namespace
metadata:
  name: metallb-system
  labels:
    pod-security.kubernetes.io/enforce: privileged
    pod-security.kubernetes.io/audit: privileged
    pod-security.kubernetes.io/warn: privileged
"""
# what only helm reads, or what would say that helm was here
HELMS = re.compile(
    r"^ *(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm|# Source: .*)\n", re.MULTILINE
)


def text(helm: Path, image: str = "bellmetal") -> str:
    """The whole file."""
    command = [
        helm, "template", "bellmetal", CHART, "--no-hooks", "--namespace", NAMESPACE,
        "--set", f"image.repository={image}",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rendered = re.sub(r"\n{2,}", "\n", HELMS.sub("", done.stdout))
    return HEAD.format(version=version(), image=image) + OWN + rendered


def write(folder: Path, image: str = "bellmetal") -> Path:
    """Writes it as ``bellmetal-VERSION.yaml`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"bellmetal-{version()}.yaml"
    path.write_text(text(build.binaries() / "helm", image))
    return path


if __name__ == "__main__":
    chart.take_crds()
    print(write(Path(sys.argv[1]), *sys.argv[2:3]))
