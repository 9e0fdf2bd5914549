"""Chart values with which Bellmetal runs beside the MetalLB that is there."""

from __future__ import annotations

from typing import Any

import yaml

from bellmetal.cli.migrate.installation import Installation
from bellmetal.cli.migrate.ports import free

SECRET = "bellmetal-memberlist"
AT_ONCE = 500  # addresses that are announced to the LAN again every second, until MetalLB is gone


def values(found: Installation, addresses: int) -> dict[str, Any]:
    """What differs from the chart's defaults; so many ``addresses`` are in use."""
    ports = free(found)
    health = {"port": ports["health"]}
    speaker: dict[str, Any] = {
        "secretName": SECRET,
        "memberlist": {"mlBindPort": ports["memberlist"]},
        "gratuitousARPInterval": 1 + addresses // AT_ONCE,
        "livenessProbe": health,
        "readinessProbe": health,
    }
    if "metallb-excludel2" not in (found.config_maps or {}):
        speaker["excludeInterfaces"] = {"enabled": False}
    theirs = found.speaker
    if theirs is not None and theirs.flag("ignore-exclude-lb") == "true":
        speaker["ignoreExcludeLB"] = True
    body: dict[str, Any] = {
        "takeover": True,
        "prometheus": {"metricsPort": ports["metrics"]},
        "speaker": speaker,
    }
    if found.controller is not None and (name := found.controller.flag("lb-class")):
        body["loadBalancerClass"] = name
    return body


def as_yaml(found: Installation, addresses: int = 0) -> str:
    """The file."""
    head = (
        f"# Bellmetal beside the MetalLB of {found.namespace}: ports and names that are free.\n"
        "# Keep the file: only `takeover` changes when MetalLB is gone.\n"
    )
    return head + yaml.safe_dump(_unaliased(values(found, addresses)), sort_keys=False)


def _unaliased(body: Any) -> Any:
    """Without the anchors that YAML makes of what stands there twice."""
    if isinstance(body, dict):
        return {key: _unaliased(value) for key, value in body.items()}
    return body
