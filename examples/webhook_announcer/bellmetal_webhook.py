"""Calls a URL when this node wins or loses an address on layer 2: an announcer in one file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

import aiohttp

from bellmetal.addresses import IPAddress
from bellmetal.announcer import Context, Desired
from bellmetal.facts import Facts, Finding, Owned

PATIENCE = 3.0  # seconds that a call may take
FIRST, LAST = 0.5, 30.0  # seconds until a call is tried again; doubles in between


class WebhookAnnouncer:
    """Tells a URL what this node really answers for, each time with the claim's order."""

    name = protocol = "webhook"
    follows = True  # `apply` comes whenever another announcer wins or loses an address

    def __init__(self, context: Context) -> None:
        self._context, self._url = context, os.environ.get("WEBHOOK_URL", "")
        self._owned: Mapping[IPAddress, Owned] = {}
        self._told: dict[IPAddress, Owned] = {}
        self._faults: dict[IPAddress, str] = {}
        self._news, self._turn = asyncio.Event(), asyncio.Lock()

    async def start(self) -> None:
        if not self._url:
            raise ValueError("WEBHOOK_URL is not set: it says whom to call")
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        self._session = aiohttp.ClientSession(timeout=timeout)
        self._telling = asyncio.create_task(self._run())

    async def apply(self, desired: Desired) -> None:
        self._owned = desired.owned
        self._news.set()

    def status(self) -> Facts:
        return Facts(findings=tuple(Finding("webhookFailed", s) for s in self._faults.values()))

    async def close(self, gracefully: bool) -> None:
        if gracefully and not self._session.closed:
            self._owned = {}
            await self._tell()
        self._telling.cancel()
        await self._session.close()

    async def _run(self) -> None:
        pause: float | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            self._news.clear()
            await self._tell()
            pause = min(LAST, 2 * pause if pause else FIRST) if self._faults else None

    async def _tell(self) -> None:
        async with self._turn:  # what was called last is what was true last
            owned, told, before = self._owned, dict(self._told), dict(self._faults)
            self._faults = {ip: why for ip, why in before.items() if ip in owned or ip in told}
            news = [("lost", told[ip]) for ip in told if ip not in owned]
            news += [("won", owned[ip]) for ip in owned if owned[ip] != told.get(ip)]
            await asyncio.gather(*(self._call(*item) for item in news))
        if told != self._told or before != self._faults:
            self._context.changed()

    async def _call(self, event: str, item: Owned) -> None:
        claim = {"term": item.order.term, "firm": item.order.firm, "epoch": item.order.epoch}
        body = {"event": event, "address": str(item.address), "node": self._context.node} | claim
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as answer:
                failed = f"HTTP {answer.status}" if answer.status >= 300 else ""
        except (aiohttp.ClientError, TimeoutError) as error:
            failed = type(error).__name__  # its text has the URL, and that may be a secret
        if failed:
            self._faults[item.address] = f"{item.address} was {event}, and is told again: {failed}"
            return
        self._faults.pop(item.address, None)
        self._told.pop(item.address, None)
        if event == "won":
            self._told[item.address] = item
