"""How long a client is without an answer when the owner's node dies.

``python -m bench.failover [RUNS]``, with PYTHONPATH=tests. A client connects every 10 ms; all
processes of the owner's node are killed and its link is cut at the same instant. The endpoints are
on the other nodes, so what is measured is the address, not kube-proxy's knowledge of dead pods.
A sniffer on the LAN, not the speakers, says who answered.
"""

from __future__ import annotations

import statistics
import sys
import time

from bench.figures import rss
from lab.bare import Bare
from lab.prober import Prober, outage
from lab.processes import Process
from lab.programs import Programs
from lab.waiting import until


def main(runs: int) -> None:
    with Bare(nodes=3, clients=1) as lab:
        programs = Programs(lab)
        running: dict[str, Process] = programs.start()
        for node in lab.node_names:
            programs.web(node)
        programs.pool("lan", f"{lab.address(255, 200)}/32")
        programs.advertise()
        programs.service("web", lab.node_names)
        address = programs.address("web")
        print(f"RSS of a speaker with one Service: {rss(running['n1'].pid):.0f} MB")
        prober = Prober(lab.client(), address)
        until(lambda: any(item.ok for item in prober.attempts()), "the client connects")
        outages = []
        for run in range(runs):
            dead = programs.owner("web")
            programs.leave_out("web", dead)
            with lab.sniff_arp() as capture:
                fault = lab.kill_node(dead)
                time.sleep(3.0)
                outages.append(outage(prober.attempts(), fault))
                back = time.monotonic()
                lab.boot_node(dead)
                time.sleep(0.5)  # what the link's coming up costs is not the speaker's doing
                began = time.monotonic()
                running[dead] = programs.speaker(dead)
                programs.web(dead)
                time.sleep(4.0)
            heir = programs.owner("web")
            failed = sum(not item.ok for item in prober.attempts(since=began))
            late = {lab.name_of(mac) for mac in capture.answerers(address, since=back)}
            both = capture.contested(address, since=fault)
            print(
                f"run {run + 1}: {dead} died, outage {outages[-1] * 1e3:.0f} ms, {heir} took over;"
                f" after its return: {failed} failed, answers by {', '.join(sorted(late))},"
                f" two at once {both * 1e3:.0f} ms",
                flush=True,
            )
            programs.endpoints("web", lab.node_names)
        prober.stop()
        p50 = statistics.median(outages)
        print(f"outage: p50 {p50 * 1e3:.0f} ms, max {max(outages) * 1e3:.0f} ms ({runs} runs)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
