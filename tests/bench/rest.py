"""What controllers ask and write when nothing happens.

``python -m bench.rest [SERVICES] [SECONDS]``, with PYTHONPATH=tests: two controllers, so many
Services with their addresses; then every request that they make is counted, by the audit log.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

from bench.figures import rss
from kube.scene import ACCOUNT, stage

SETTLE = 15.0  # seconds until everything is told that there is to tell


def main(services: int, seconds: float) -> int:
    """Prints a line for each verb and resource."""
    with stage("controller-1", "controller-2", audit=True) as scene:
        scene.pool("wide", f"{scene.lab.address(128, 0)}/17")
        began = time.monotonic()
        scene.services([f"s{number:05}" for number in range(services)])
        scene.wait_all_shown(services, timeout=max(60, services / 20), every=1.0)
        print(f"{services} Services have addresses after {time.monotonic() - began:.1f} s")
        time.sleep(SETTLE)
        mark = scene.mark()
        time.sleep(seconds)
        counted = Counter(
            (event["verb"], event["objectRef"]["resource"])
            for event in scene.lab.control_plane.audit_events()[mark:]
            if event["user"].get("username") == ACCOUNT
        )
        print(f"requests in {seconds:.0f} s of rest:")
        for (verb, resource), number in sorted(counted.items()):
            print(f"  {verb:8} {resource:24} {number}")
        for name, process in scene.running.items():
            print(f"{name}: {rss(process.pid):.0f} MB RSS")
    return 0


if __name__ == "__main__":
    sys.exit(main(*([int(text) for text in sys.argv[1:3]] or [1000, 600])))
