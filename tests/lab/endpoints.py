"""EndpointSlices as the control plane would write them, of pods that the lab has not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WEB_PORT = 8080  # what serves in the place of pods listens on


def endpoint_slice(
    service: str,
    nodes: Mapping[str, str],
    name: str = "",
    family: str = "IPv4",
    ending: str = "",
) -> dict[str, Any]:
    """One slice of a Service, named after it if no other ``name`` is given.

    ``nodes``: node → the address of its pod. The pod of ``ending`` is about to go: it serves, and
    is ready no more.
    """
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name or f"{service}-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": family,
        "ports": [{"port": WEB_PORT, "name": ""}],
        "endpoints": [
            {"addresses": [address], "nodeName": node, "conditions": _conditions(node != ending)}
            for node, address in nodes.items()
        ],
    }


def _conditions(stays: bool) -> dict[str, bool]:
    return {"ready": stays, "serving": True, "terminating": not stays}
