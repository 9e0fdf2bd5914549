"""Users who make Services and delete them all along, so that there is something to decide and tell.

Each has an endpoint on every node, so that it is announced: slices, claims and state files change.
"""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Sequence

from lab.endpoints import WEB_PORT, endpoint_slice
from lab.errors import LabError
from lab.rest import ApiError, Json, Rest

SERVICES = "/api/v1/namespaces/default/services"
ENDPOINTS = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
EVERY, KEPT = 0.7, 12  # seconds between two; how many there are
PATIENCE = 2.0  # seconds that the API may take


class Churn:
    """A thread of such users; ``resume`` and ``pause`` them. What the API refuses is forgotten."""

    def __init__(self, rest: Rest, nodes: Sequence[str]) -> None:
        self._rest, self._nodes = rest, nodes
        self._on, self._end = threading.Event(), threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._names: deque[str] = deque()
        self.made = self.deleted = self.refused = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """They go on."""
        self._idle.clear()
        self._on.set()

    def pause(self) -> None:
        """Returns when none of them asks for anything any more."""
        self._on.clear()
        self._idle.wait(2 * PATIENCE + EVERY)

    def stop(self) -> None:
        """For good."""
        self._end.set()
        self._on.set()
        self._thread.join(3 * PATIENCE)

    def _run(self) -> None:
        while not self._end.is_set():
            if not self._on.is_set():
                self._idle.set()
                self._on.wait()
                continue
            self._once()
            self._end.wait(EVERY)

    def _once(self) -> None:
        try:
            if len(self._names) >= KEPT:
                self._delete(self._names[0])
                self._names.popleft()
                self.deleted += 1
            name = f"made-{self.made + self.refused}"
            self._ask("POST", SERVICES, {"metadata": {"name": name}, "spec": _SPEC})
            self._names.append(name)
            self.made += 1
            pods = {node: f"10.244.{node[1:]}.5" for node in self._nodes}
            self._ask("POST", ENDPOINTS, endpoint_slice(name, pods, name))
        except (LabError, OSError, http.client.HTTPException):
            self.refused += 1

    def _delete(self, name: str) -> None:
        for path in (f"{ENDPOINTS}/{name}", f"{SERVICES}/{name}"):
            try:
                self._ask("DELETE", path)
            except ApiError as problem:
                if problem.status != 404:  # it was deleted, and the answer lost
                    raise

    def _ask(self, method: str, path: str, body: Json | None = None) -> None:
        self._rest.request(method, path, body, timeout=PATIENCE)


_SPEC = {
    "type": "LoadBalancer",
    "allocateLoadBalancerNodePorts": False,
    "ports": [{"port": 80, "targetPort": WEB_PORT}],
}
