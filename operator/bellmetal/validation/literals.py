"""Texts of literal communities → what they say (RFC 1997, RFC 8092). No names of them here."""

from __future__ import annotations

import re

from bellmetal.config import Community

FORMS = "neither <uint16>:<uint16> nor large:<uint32>:<uint32>:<uint32>"
DIGITS = re.compile(r"[0-9]{1,12}")


class CommunityError(ValueError):
    """Text that is no community; the message is a sentence."""


def parse_community(text: str) -> Community:
    """``65000:100`` or ``large:65000:100:200``; raises CommunityError."""
    sections = text.split(":")
    if len(sections) == 2:
        return Community(tuple(_section(part, 65535, text) for part in sections))
    if len(sections) != 4:
        reason = f"{text}: {FORMS}" if text else "it is empty"
        raise CommunityError(f"invalid community format: {reason}")
    if sections[0] != "large":
        raise CommunityError(
            "invalid community value: invalid marker for large community, expected community to be"
            f' of format large:<uint32>:<uint32>:<uint32> but got "{sections[0]}" instead'
        )
    return Community(tuple(_section(part, 2**32 - 1, text) for part in sections[1:]))


def _section(part: str, most: int, text: str) -> int:
    if not DIGITS.fullmatch(part) or int(part) > most:
        raise CommunityError(
            f'invalid community value: invalid section "{part}" of community "{text}", err:'
            f" not a number from 0 to {most}"
        )
    return int(part)
