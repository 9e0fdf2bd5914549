"""What can go wrong in the lab, as exceptions whose text says what to do."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot do what was asked; the message says why."""


class Timeout(LabError):
    """Something that was waited for did not come in time."""
