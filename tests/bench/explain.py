"""How long `bellmetal explain` and `status` take among many Services, as whole programs.

``python -m bench.explain [SERVICES [RUNS]]``, with PYTHONPATH=tests, as root. Beside them: kubectl
that lists the same Services, and the same Python that does nothing, in the same run.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.figures import line
from bench.load import ENDPOINT_SLICES, SERVICES, service
from lab.bare import Bare
from lab.endpoints import endpoint_slice
from lab.programs import BELLMETAL, NAMESPACE, Programs
from lab.waiting import until

OWN = ("--namespace", NAMESPACE)


def main(services: int, runs: int) -> None:
    """Prints a line for each command."""
    with Bare(nodes=3, clients=0, kube_proxy=False, controller_manager=False) as lab:
        programs = Programs(lab)
        programs.start()
        programs.pool("bench", f"{lab.address(128, 0)}/17")
        programs.advertise()
        print(f"{services} Services …", flush=True)
        _create(lab, services)
        until(lambda: programs.shown(f"s{services - 1}"), "the last has an address", 120)
        until(lambda: _rows(lab) == services, "each is said to be owned", 300, every=1.0)
        env = {"KUBECONFIG": str(lab.kubeconfig())}
        host = lab.control_plane_host
        commands = {
            "python that does nothing": [sys.executable, "-c", ""],
            "kubectl get services": [lab.binaries / "kubectl", "get", "services", "-A"],
            "explain service": [
                *BELLMETAL,
                "explain",
                "service",
                f"default/s{services // 2}",
                *OWN,
            ],
            "explain pool": [*BELLMETAL, "explain", "pool", "bench", *OWN],
            "status": [*BELLMETAL, "status", *OWN],
            "status addresses": [*BELLMETAL, "status", "addresses", *OWN],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, argv in commands.items():
                began = time.monotonic()
                done = host.run(argv, check=False, env=env)
                times[name].append(time.monotonic() - began)
                if done.returncode:
                    raise SystemExit(f"{name}: status {done.returncode}: {done.stderr}")
        for name, found in times.items():
            print(line(name, found))


def _rows(lab: Bare) -> int:
    path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/servicel2statuses?limit=100000"
    return len(lab.rest.get(path)["items"])


def _create(lab: Bare, services: int) -> None:
    """Services with an endpoint on each node, some at a time."""
    serving = {node: lab.pod_address(node, 5) for node in lab.node_names}

    def one(number: int) -> None:
        name = f"s{number}"
        lab.rest.post(SERVICES, service(name))
        lab.rest.post(ENDPOINT_SLICES, endpoint_slice(name, serving))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(services)))


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    main(*(numbers + [1000, 10][len(numbers) :]))
