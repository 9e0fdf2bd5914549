"""A layer-2 announcer in a process of its own, without a cluster: what it is told stands in flags.

``python -m lab.answerer --addresses 10.77.0.1+5000 [--addresses …]``, in a namespace, as root. It
is the announcer as a speaker runs it, with its log and its counters, alone in its cluster. It says
``ready`` once it answers for everything, and after SIGTERM what its loop has been through.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import random
import re
import signal
import time
from collections.abc import Iterator

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Context, Desired
from bellmetal.intents import Announcement, NodeSet
from bellmetal.keyring import Keys
from bellmetal.logs import set_up
from bellmetal.members import Alone
from bellmetal.speaker_metrics import Counts
from bellmetal_layer2.announcer import Layer2Announcer

NODE, SET = "n1", "all"
BEAT = 0.001  # seconds between two looks at the loop


class Pulse:
    """How long the loop stood, at the worst, and how much CPU it used then; milliseconds."""

    def __init__(self) -> None:
        self._stood = self._worked = 0.0

    def look(self) -> dict[str, float]:
        """Since the last look."""
        found = {"stood": round(self._stood * 1e3, 1), "worked": round(self._worked * 1e3, 1)}
        self._stood = self._worked = 0.0
        return found

    async def run(self) -> None:
        """For ever."""
        last, used = time.monotonic(), time.thread_time()
        while True:
            await asyncio.sleep(BEAT)
            now, cpu = time.monotonic(), time.thread_time()
            self._stood = max(self._stood, now - last - BEAT)
            self._worked = max(self._worked, cpu - used)
            last, used = now, cpu


def addresses(text: str) -> Iterator[IPAddress]:
    """``192.0.2.10`` alone, or ``192.0.2.10+5`` for five of them from there on; ``+5*3``: every
    third."""
    first, _, rest = text.partition("+")
    count, _, step = rest.partition("*")
    for number in range(int(count or 1)):
        yield ipaddress.ip_address(first) + number * int(step or 1)


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--addresses", action="append", default=[])
    parser.add_argument("--interfaces", default="", help="announce on these only, with commas")
    parser.add_argument("--exclude", default="", help="a regular expression")
    parser.add_argument("--refresh", type=int, default=0)
    parser.add_argument("--pulse", action="store_true", help="watch the loop, which costs CPU")
    return parser.parse_args()


async def main(flags: argparse.Namespace) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    wanted = [address for text in flags.addresses for address in addresses(text)]
    announcer = Layer2Announcer(
        Context(
            node=NODE,
            boot=time.time_ns() // 1_000_000,
            keys=Keys,
            members=Alone(),
            clock=time.monotonic,
            random=random.Random(),
            count=Counts(),
            changed=lambda: None,
            exclude=re.compile(flags.exclude) if flags.exclude else None,
        )
    )
    pulse = Pulse()
    watching = asyncio.create_task(pulse.run()) if flags.pulse else None
    await announcer.start()
    await asyncio.sleep(0.5)
    only = frozenset(flags.interfaces.split(",")) if flags.interfaces else frozenset()
    began = time.monotonic()
    share = tuple(
        Announcement(item, 1, NODE, SET, interfaces=only, refresh=flags.refresh) for item in wanted
    )
    pulse.look()
    await announcer.apply(Desired(share, {SET: NodeSet(SET, {NODE: ""})}))
    while len(announcer.status().owned) < len(wanted):
        await asyncio.sleep(0.02)
    print(json.dumps({"ready": round(time.monotonic() - began, 3), **pulse.look()}), flush=True)
    await stop.wait()
    print(json.dumps(pulse.look()), flush=True)
    if watching is not None:
        watching.cancel()
    await announcer.close(gracefully=False)


if __name__ == "__main__":
    set_up("info")
    asyncio.run(main(parse()))
