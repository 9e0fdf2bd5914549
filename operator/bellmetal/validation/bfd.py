"""BFDProfiles → the values in effect. An invalid one is left out."""

from __future__ import annotations

from collections.abc import Iterable

from bellmetal.config import BFDProfile
from bellmetal.resources import BFDProfile as BFDProfileObject
from bellmetal.validation.annotations import read_annotations
from bellmetal.validation.report import Reports, oldest_first

KIND = "BFDProfile"
LIMITS = (  # field, its name in JSON, MetalLB's name, least, most, what it is if it is left out
    ("receive_interval", "receiveInterval", "receive interval", 10, 60000, 300),
    ("transmit_interval", "transmitInterval", "transmit interval", 10, 60000, 300),
    ("echo_interval", "echoInterval", "echo interval", 10, 60000, 50),
    ("detect_multiplier", "detectMultiplier", "detect multiplier", 2, 255, 3),
    ("minimum_ttl", "minimumTtl", "minimum ttl", 1, 254, 254),
)


def read_profiles(bodies: Iterable[BFDProfileObject], reports: Reports) -> list[BFDProfile]:
    """The sound ones."""
    found = []
    for body in oldest_first(bodies):
        report = reports.of(KIND, body)
        read_annotations(KIND, body.metadata.annotations, report)
        spec = body.spec
        values: dict[str, int] = {}
        for field, name, words, least, most, default in LIMITS:
            given = getattr(spec, field)
            values[field] = default if given is None else given
            if not least <= values[field] <= most:
                report.add(
                    f"spec.{name}",
                    f"invalid {words} value: invalid value {given}, must be in"
                    f" {least}-{most} range",
                )
        profile = BFDProfile(
            name=body.metadata.name,
            receive_interval_ms=values["receive_interval"],
            transmit_interval_ms=values["transmit_interval"],
            echo_interval_ms=values["echo_interval"],
            detect_multiplier=values["detect_multiplier"],
            minimum_ttl=values["minimum_ttl"],
            echo_mode=bool(spec.echo_mode),
            passive_mode=bool(spec.passive_mode),
        )
        if report.sound:
            found.append(profile)
    return found
