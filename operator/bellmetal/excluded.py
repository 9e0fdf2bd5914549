"""Interfaces that are to be left alone: the file of MetalLB's chart, excludel2.yaml."""

from __future__ import annotations

import re
from pathlib import Path

from bellmetal.settings import SettingsError


def read_exclude_file(path: Path) -> re.Pattern[str] | None:
    """Interfaces to leave alone (MetalLB's excludel2.yaml); raises SettingsError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    import yaml  # only where there is such a file

    try:
        body = yaml.safe_load(text) or {}
        patterns = body["announcedInterfacesToExclude"] or []
        if not isinstance(patterns, list):
            raise TypeError(patterns)
        for pattern in patterns:
            re.compile(pattern)
        return re.compile("|".join(f"({item})" for item in patterns)) if patterns else None
    except (yaml.YAMLError, KeyError, TypeError) as error:
        message = "wants a list announcedInterfacesToExclude of regular expressions"
        raise SettingsError(f"{path}: {message}") from error
    except re.error as error:
        raise SettingsError(f'{path}: "{error.pattern!s}": {error.msg}') from error
