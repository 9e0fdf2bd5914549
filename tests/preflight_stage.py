"""A small API server in memory with what `preflight` asks besides stored objects."""

from __future__ import annotations

import json
from typing import Any

from bellmetal.api import ApiError
from bellmetal.preflight import objects
from bellmetal.preflight.crds import KINDS
from builders import metadata, node_object
from preflight_scene import (
    OWN,
    controllers,
    crd,
    speakers,
)
from small_api import Json, SmallApi

FORBIDDEN = ApiError(403, "Forbidden", "no")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APPS, MAPS = "/apis/apps/v1/namespaces", "/api/v1/namespaces/kube-system/configmaps"
POOLS = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/ipaddresspools"
LISTS = ("/apis/apps/v1/deployments", "/apis/apps/v1/daemonsets", "/api/v1/nodes")
LISTS += (f"/api/v1/namespaces/{OWN}/pods", "/api/v1/namespaces", POOLS)
KUBEADM = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
networking: {podSubnet: "10.244.0.0/16,fd00::/48", serviceSubnet: 10.96.0.0/12}
"""


class Stage(SmallApi):
    """A cluster in memory, with what is no stored object. ``refuses``: (verb, resource)."""

    def __init__(self) -> None:
        super().__init__()
        self.date = "Mon, 01 Jun 2026 12:00:00 GMT"
        self.refuses: set[tuple[str, str]] = set()
        self.reviews = True
        self.groups: dict[str, list[str]] = {}
        self.absent: set[str] = set()  # beginnings of paths of what the cluster does not have

    def answer(self, method: str, path: str, data: Any, content_type: str) -> bytes:
        fixed: dict[str, Json] = {
            "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
            "/apis": {
                "groups": [
                    {"name": name, "versions": [{"version": version} for version in versions]}
                    for name, versions in self.groups.items()
                ]
            },
        }
        if path.startswith(tuple(self.absent)):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if path in fixed:
            return json.dumps(fixed[path]).encode()
        if path.endswith("reviews"):
            return json.dumps({"status": self._review(path, data)}).encode()
        return super().answer(method, path, data, content_type)

    def _review(self, path: str, data: Json) -> Json:
        if path.endswith("selfsubjectreviews"):
            return {"userInfo": {"username": "alice"}}
        if not self.reviews and path.endswith("/subjectaccessreviews"):
            raise FORBIDDEN
        asked = data["spec"]["resourceAttributes"]
        return {"allowed": (asked["verb"], asked["resource"]) not in self.refuses}

    def install(self) -> None:
        """CRDs and programs of ours."""
        for name in KINDS:
            self.put(f"{CRDS}/{name}", crd(name))
        self.put(f"{APPS}/{OWN}/deployments/c", controllers())
        self.put(f"{APPS}/{OWN}/daemonsets/s", speakers())

    def config_map(self, name: str, **data: str) -> None:
        self.put(f"{MAPS}/{name}", objects.ConfigMap(metadata=metadata(name), data=data))


def fresh() -> Stage:
    """Two nodes, and nothing of ours."""
    found = Stage()
    for name in ("n1", "n2"):
        found.put(f"/api/v1/nodes/{name}", node_object(name))
    return found
