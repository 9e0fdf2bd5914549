"""Which ports of the nodes a MetalLB uses, and which ones are free beside it.

May live here: numbers. May not: the values file that they go into (`takeover_values.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from bellmetal.cli.migrate.installation import Installation

METRICS, HEALTH, MEMBERS, FRR_METRICS = 9120, 17472, 7946, 9121
FRR_K8S = (7572, 7573, 8081)  # what frr-k8s listens on, on the nodes


def taken(found: Installation) -> dict[str, int]:
    """What MetalLB's speaker listens on, on every node, by what it is for."""
    program = found.speaker
    if program is None:
        return {}
    members = program.variable("METALLB_ML_BIND_PORT") or program.flag("ml-bindport")
    ports = {
        "metrics": _number(program.flag("port"), METRICS),
        "health": _number(program.flag("health-probe-port"), HEALTH),
        "memberlist": _number(members, MEMBERS),
    }
    if found.mode == "frr":
        ports["FRR's metrics"] = FRR_METRICS
    return {what: port for what, port in ports.items() if port}


def free(found: Installation) -> Mapping[str, int]:
    """Ports for Bellmetal beside it: metrics, health, memberlist."""
    used = {*taken(found).values(), *FRR_K8S}
    chosen = {}
    for what, port in (("metrics", METRICS), ("health", HEALTH), ("memberlist", MEMBERS)):
        while port in used:
            port += 1
        used.add(port)
        chosen[what] = port
    return chosen


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() else default
