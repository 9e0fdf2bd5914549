"""One connection kept open to an FRR daemon's vty socket: a question takes less than a millisecond.

A command ends with a zero byte; its answer with three, and one that says how it went.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from lab.waiting import until

OKAY = {0, 13}  # CMD_SUCCESS; a node that is left already
_END = b"\0\0\0"


def connect(path: Path) -> socket.socket | None:
    """A connection to a UNIX socket; None while nobody listens there."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.settimeout(20)
    try:
        opened.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):  # it is bound a moment before it listens
        opened.close()
        return None
    return opened


class Vty:
    """The enabled terminal of one daemon."""

    def __init__(self, path: Path) -> None:
        self._socket = until(partial(connect, path), f"the terminal {path}", 5, every=0.005)
        self.ask("enable")

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _command(self, line: str) -> tuple[str, int]:
        self._socket.sendall(line.encode() + b"\0")
        answer = b""
        while answer[-4:-1] != _END:
            piece = self._socket.recv(1 << 18)
            if not piece:
                raise ConnectionError(f"the daemon has closed its terminal at {line!r}")
            answer += piece
        return answer[:-4].decode(errors="replace").strip(), answer[-1]

    def ask(self, line: str) -> str:
        """The answer to one command."""
        return self._command(line)[0]

    def json(self, line: str) -> Any:
        """The answer to a command that is told as JSON."""
        return json.loads(self.ask(f"{line} json") or "{}")

    def configure(self, lines: Iterable[str]) -> list[str]:
        """Runs lines of configuration; what was said against any of them, with the line."""
        against = []
        self.ask("configure terminal")
        for line in lines:
            answer, status = self._command(line)
            if status not in OKAY:
                against.append(f"{line.strip()}: {answer or f'status {status}'}")
        self.ask("end")
        return against
