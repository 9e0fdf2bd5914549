"""How a command of `bellmetal` stands on the command line: its help, and its exit statuses below.

May live here: what all commands have in common. May not: their own flags.
"""

from __future__ import annotations

import argparse
from typing import Any


def add_command(
    programs: Any, name: str, summary: str, text: str, status: str
) -> argparse.ArgumentParser:
    """A command among others; ``text`` and ``status`` are printed by --help as they are."""
    found: argparse.ArgumentParser = programs.add_parser(
        name,
        help=summary,
        description=text,
        epilog=status,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return found
