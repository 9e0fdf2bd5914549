"""Connections that are held: a byte every 20 ms each, and what became of them; programs of the lab.

``python -m bench.flows serve PORT`` sends back what comes. ``python -m bench.flows hold ADDRESS
PORT COUNT FIRST`` connects from COUNT ports on, the first of which is FIRST, so that a router
spreads them over the same ways every time; it prints a line of JSON when all are connected, and one
for each that is lost: when (CLOCK_MONOTONIC) and why. A second without an answer is a loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.host import Host
from lab.processes import Process
from lab.waiting import until

EVERY = 0.02  # seconds between two bytes
PATIENCE = 1.0  # seconds without an answer
LISTENING = "listening"
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closed by a reset, so that the port is free again
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Loss:
    """A connection that was lost: its port, when, and why (an error's name, or in words)."""

    port: int
    at: float
    why: str


class Flows:
    """Connections from a host of the lab; made once `connected` returns."""

    def __init__(self, host: Host, address: str, port: int, count: int, first: int) -> None:
        script = [sys.executable, "-m", "bench.flows", "hold", address]
        script += [str(number) for number in (port, count, first)]
        self._count = count
        self._process: Process = host.spawn(script, {"PYTHONPATH": str(TESTS)}, "flows")
        self._read = self._process.log_path.stat().st_size

    def _lines(self) -> list[dict[str, object]]:
        with self._process.log_path.open("rb") as log:
            log.seek(self._read)
            whole, _, _ = log.read().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines() if line[:1] == b"{"]

    def connected(self) -> None:
        """Waits until all are connected."""
        until(lambda: any("connected" in row for row in self._lines()), "all flows connected", 15)

    def lost(self) -> list[Loss]:
        """Those that were lost so far."""
        return [Loss(**row) for row in self._lines() if "port" in row]  # type: ignore[arg-type]

    def stop(self) -> None:
        """Ends them."""
        self._process.kill()


@contextlib.contextmanager
def held(host: Host, address: str, port: int, count: int, first: int) -> Iterator[Flows]:
    """Flows that are all connected."""
    flows = Flows(host, address, port, count, first)
    try:
        flows.connected()
        yield flows
    finally:
        flows.stop()


def serve(host: Host, port: int) -> Process:
    """Starts what they connect to, and waits until it listens."""
    script = [sys.executable, "-m", "bench.flows", "serve", str(port)]
    process = host.spawn(script, {"PYTHONPATH": str(TESTS)}, f"echo-{time.monotonic():.3f}")
    until(lambda: LISTENING in process.log(), f"an echo server on {host.name}", 15)
    return process


# --- the programs ---------------------------------------------------------------------------------


def _close_at_once(writer: asyncio.StreamWriter) -> None:
    """At the end nothing is left of it in the kernel, on whichever side it ends."""
    opened = writer.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _close_at_once(writer)
    with contextlib.suppress(OSError):
        while data := await reader.read(64):
            writer.write(data)
    writer.transport.abort()


async def _hold(address: str, port: int, own: int) -> str:
    """Keeps one connection; why it was lost."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                address, port, local_addr=("0.0.0.0", own)
            )
        _close_at_once(writer)
        return await _talk(reader, writer)
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    while True:
        writer.write(b".")
        async with asyncio.timeout(PATIENCE):
            if not await reader.read(64):
                return "closed"
        _connected.add(writer)
        await asyncio.sleep(EVERY)


_connected: set[asyncio.StreamWriter] = set()


async def _hold_all(address: str, port: int, count: int, first: int) -> None:
    async def one(own: int) -> None:
        why = await _hold(address, port, own)
        print(json.dumps({"port": own, "at": time.monotonic(), "why": why}), flush=True)

    tasks = [asyncio.create_task(one(first + number)) for number in range(count)]
    while len(_connected) < count:
        await asyncio.sleep(0.01)
    print(json.dumps({"connected": count}), flush=True)
    await asyncio.gather(*tasks)
    await asyncio.Event().wait()


async def _serve(port: int) -> None:
    server = await asyncio.start_server(_echo, "0.0.0.0", port, backlog=1024)
    print(LISTENING, flush=True)
    await server.serve_forever()


def main(word: str, *rest: str) -> None:
    """Runs until it is killed."""
    if word == "serve":
        asyncio.run(_serve(int(rest[0])))
    else:
        asyncio.run(_hold_all(rest[0], *map(int, rest[1:])))


if __name__ == "__main__":
    main(*sys.argv[1:])
