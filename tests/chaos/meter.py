"""A bystander that says when the machine did not run it: one line each, moment and seconds.

`python -m chaos.meter`; times are CLOCK_MONOTONIC. A client's outage may be that much longer.
"""

from __future__ import annotations

import time

TICK, LONG = 0.02, 0.05  # seconds


def main() -> None:
    """Until it is killed."""
    last = time.monotonic()
    while True:
        time.sleep(TICK)
        now = time.monotonic()
        if now - last - TICK > LONG:
            print(f"{now:.3f} {now - last - TICK:.3f}", flush=True)
        last = now


if __name__ == "__main__":
    main()
