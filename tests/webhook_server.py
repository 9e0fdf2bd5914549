"""A real HTTP server on loopback that is told who won and lost addresses (`examples`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

Call = dict[str, Any]


class WebhookServer:
    """``calls``: those it said yes to. ``refuse``: the status to answer a call with, 0: yes."""

    def __init__(self, refuse: Callable[[Call], int] = lambda _: 0) -> None:
        self.calls: list[Call] = []
        self.refused: list[Call] = []
        self.refuse = refuse
        self.url = ""

    async def _answer(self, request: web.Request) -> web.Response:
        call: Call = await request.json()
        status = self.refuse(call)
        (self.refused if status else self.calls).append(call)
        return web.Response(status=status or 204, headers={"Location": "/elsewhere"})

    def events(self) -> list[tuple[str, str]]:
        """What happened to which address, in order."""
        return [(call["event"], call["address"]) for call in self.calls]

    def held(self, node: str) -> set[str]:
        """The addresses that a node has, by what it told."""
        last = {call["address"]: call["event"] for call in self.calls if call["node"] == node}
        return {address for address, event in last.items() if event == "won"}

    async def __aenter__(self) -> WebhookServer:
        application = web.Application()
        application.router.add_post("/hook", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
