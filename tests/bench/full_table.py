"""What a peer costs that sends a full table: ``python -m bench.full_table [PREFIXES] [EACH]``.

With PYTHONPATH=tests. EACH: prefixes of an UPDATE, 4 as in the Internet's own table; 0: as many as
fit. The speaker's announcer runs in this process, the peer in another one, on loopback. Memory is
this process's, before the session and after the last prefix; a stall is how long the event loop was
busy without a break.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from bellmetal.announcer import Desired
from bellmetal.facts import SessionFacts, SessionState
from bellmetal.intents import NodeSet, PeerPlan
from bellmetal_bgp.announcer import BGPAnnouncer
from bgp_bytes import KEEPALIVE, message
from bgp_facts import route
from bgp_router import context
from lab.hostile import HELLO, OURS, THEIRS, full_table, memory

ADDRESS = "127.0.0.2"
PREFIXES, EACH = 1_000_000, 4
PATIENCE = 300.0


def peer(prefixes: int, each: int) -> None:
    """Takes one call, sends everything, and stays."""
    updates = list(full_table(prefixes, each))
    with socket.create_server((ADDRESS, 0)) as listening:
        print(listening.getsockname()[1], flush=True)
        call, _ = listening.accept()
        with call:
            call.sendall(HELLO)
            said = b""
            while message(KEEPALIVE) not in said:
                said += call.recv(65536)
            for at in range(0, len(updates), 100):
                call.sendall(b"".join(updates[at : at + 100]))
            while call.recv(65536):
                call.sendall(message(KEEPALIVE))


class Loop:
    """The longest time between two turns of the loop: by the clock, and by its own CPU."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        wall, cpu = time.monotonic(), time.thread_time()
        while True:
            await asyncio.sleep(0)
            now, used = time.monotonic(), time.thread_time()
            self.wall, self.cpu = max(self.wall, now - wall), max(self.cpu, used - cpu)
            wall, cpu = now, used


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def speaker(prefixes: int, port: int) -> None:
    """Takes it all, and prints the figures."""
    it = BGPAnnouncer(context(time.monotonic))
    plan = PeerPlan("peer", "all", OURS, THEIRS, address=ipaddress.ip_address(ADDRESS), port=port)
    desired = Desired(
        node_sets={"all": NodeSet("all", {"n1": ""})},
        peers=(plan,),
        routes=(route("198.51.100.1/32"),),
    )

    def facts() -> SessionFacts:
        return it.status().sessions[0]

    before = memory()
    await it.start()
    await it.apply(desired)
    await until(lambda: facts().state is SessionState.ESTABLISHED)
    began, cpu, loop = time.monotonic(), time.process_time(), Loop()
    await until(lambda: facts().prefixes_received >= prefixes)
    seconds, busy = time.monotonic() - began, time.process_time() - cpu
    loop.task.cancel()
    mib = (memory() - before) / (1 << 20)
    print(
        f"{prefixes} prefixes in {seconds:.2f} s ({busy:.2f} s of CPU, the watch's own with it);"
        f" memory {mib:+.1f} MiB; longest stall {loop.wall * 1e3:.1f} ms"
        f" ({loop.cpu * 1e3:.1f} ms of CPU)"
    )
    await it.close(gracefully=True)


def main(prefixes: int = PREFIXES, each: int = EACH) -> int:
    """Both."""
    command = [sys.executable, "-m", "bench.full_table", "--peer", str(prefixes), str(each)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        asyncio.run(speaker(prefixes, int(child.stdout.readline())))
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*map(int, sys.argv[2:4]))
    else:
        sys.exit(main(*map(int, sys.argv[1:3])))
