"""The speaker's end of BFD alone, as a program: wishes come in, facts go out, one JSON line each.

``python -m lab.bfd_speaker``: a line is ``{"want": {key: wish, …}}``, ``{"stall": seconds}`` (the
event loop stands still, as one that takes in thousands of intents), ``{"facts": true}`` or
``{"close": gracefully}``. Times are of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import sys
import time
from typing import Any

from bellmetal.config import BFDProfile
from bellmetal_bgp.bfd.detector import Detector, Wish


def wish(body: dict[str, Any]) -> Wish:
    """A wish with defaults: v4 and v6, single hop, 3 x 50 ms."""
    fast = {"receive_interval_ms": 50, "transmit_interval_ms": 50}
    local = body.get("local")
    return Wish(
        ipaddress.ip_address(body["remote"]),
        ipaddress.ip_address(local) if local else None,
        body.get("interface", ""),
        body.get("multi_hop", False),
        body.get("vrf", ""),
        BFDProfile("lab", **{**fast, **body.get("profile", {})}),
    )


def say(body: dict[str, Any]) -> None:
    print(json.dumps(body), flush=True)


async def main() -> None:
    detector = Detector(lambda key: tell(key), time.monotonic)

    def tell(key: str) -> None:
        facts = detector.facts(key)
        assert facts is not None
        say(
            {
                "key": key,
                "at": time.monotonic(),
                "since": facts.since,
                "state": facts.state.value,
                "remote_state": facts.remote_state.value,
                "diagnostic": facts.diagnostic,
                "remote_diagnostic": facts.remote_diagnostic,
                "transmit_us": facts.transmit_us,
                "detect_us": facts.detect_us,
                "multiplier": facts.multiplier,
                "message": facts.message,
                "counters": dict(facts.counters),
            }
        )

    keys: list[str] = []
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        match json.loads(line):
            case {"want": wishes}:
                keys = [*wishes]
                detector.want({key: wish(body) for key, body in wishes.items()})
            case {"stall": seconds}:
                time.sleep(seconds)  # noqa: ASYNC251 -- that is the point
                say({"stalled": seconds})
            case {"facts": _}:
                for key in keys:
                    tell(key)
                say({"told": True})
            case {"close": gracefully}:
                await detector.close(gracefully)
                say({"closed": True})


if __name__ == "__main__":
    asyncio.run(main())
