"""The HTTP endpoints of both programs: /healthz and /readyz, and /metrics on a port of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry

from bellmetal.metrics import exposition

log = logging.getLogger(__name__)


class Endpoints:
    """Serves them. ``ready`` says whether the program does its work; a port of 0 is not served.

    ``metrics``: those of this program alone.
    """

    def __init__(self, ready: Callable[[], bool], metrics: CollectorRegistry) -> None:
        self._ready, self._registry = ready, metrics
        self._runners: list[web.AppRunner] = []

    async def start(self, health_port: int, metrics_port: int, health_host: str) -> None:
        """Binds both ports; raises OSError if one is taken."""
        if health_port:
            routes = [web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)]
            await self._serve(routes, health_host, health_port)
        if metrics_port:
            await self._serve([web.get("/metrics", self._metrics)], None, metrics_port)

    async def stop(self) -> None:
        """Closes them."""
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, routes: list[web.RouteDef], host: str | None, port: int) -> None:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port, shutdown_timeout=1.0).start()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if self._ready():
            return web.Response(text="ok\n")
        return web.Response(text="not ready\n", status=503)

    async def _metrics(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4"}
        return web.Response(body=exposition(self._registry), headers=headers)
