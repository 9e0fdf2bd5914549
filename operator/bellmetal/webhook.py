"""HTTPS for the admission webhook: requests go to `admission`, the certificate is kept fresh.

By aiohttp, not by Kopf: Kopf's server makes its certificates with `certbuilder` and `oscrypto` and
its operator writes the webhook's configuration at run time, a right to edit what every request of
the cluster passes; without these two no more of it is left than what stands here. Helm makes
certificate and configuration once and keeps the certificate over upgrades, the kubelet mounts it:
no dependency, no new right. A certificate that is replaced is served without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from bellmetal.admission import PATIENCE, Admission, Request, Review, Verdict
from bellmetal.api import UNREADABLE

log = logging.getLogger(__name__)

PATH = "/validate"
MOST_BYTES = 8 * 2**20  # an object and the one of before it; etcd takes 1.5 MiB of each
RELOAD_EVERY = 10.0  # seconds between two looks at the certificate


def application(decide: Callable[[Request], Awaitable[Verdict]]) -> web.Application:
    """The HTTP of it: what is no AdmissionReview is refused, which the API server ignores."""

    async def answer(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(PATIENCE):
                content = await request.read()
            asked = msgspec.json.decode(content, type=Review).request
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (*UNREADABLE, RecursionError) as error:
            raise web.HTTPBadRequest(text=f"not an AdmissionReview: {error}\n") from error
        verdict = await decide(asked)
        body = msgspec.json.encode(verdict.answer(asked.uid))
        return web.Response(body=body, content_type="application/json")

    app = web.Application(client_max_size=MOST_BYTES)
    app.add_routes([web.post(PATH, answer)])
    return app


class Certificate:
    """``tls.crt`` and ``tls.key`` of a folder, as they are now: new connections get the new one."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "tls.crt", folder / "tls.key"
        self._seen: object = None
        self._said = ""
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    @property
    def taken(self) -> bool:
        """Whether there was one yet."""
        return self._seen is not None

    def load(self) -> None:
        """Takes what is there, if it is new and whole; else the one of before stays."""
        try:
            stats = [path.stat() for path in self._files]
            seen = [(item.st_mtime_ns, item.st_ino, item.st_size) for item in stats]
            if seen == self._seen:
                return
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except OSError as error:  # ssl.SSLError is one
            if str(error) != self._said:
                sentence = "cannot use the webhook's certificate %s: %s"
                log.error(sentence, self._files[0], error, extra={"op": "admission"})
            self._said = str(error)
            return
        log.info("took the webhook's certificate %s", self._files[0], extra={"op": "admission"})
        self._seen, self._said = seen, ""

    async def follow(self) -> None:
        """Looks for ever whether there is a new one."""
        while True:
            await asyncio.sleep(RELOAD_EVERY)
            self.load()


class Webhook:
    """The server. Without a certificate it waits for one; nobody waits for it."""

    def __init__(self, admission: Admission, folder: Path) -> None:
        self._certificate = Certificate(folder)
        self._runner = web.AppRunner(
            application(admission.decide), access_log=None, shutdown_timeout=1.0
        )
        self._following: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether it has a certificate."""
        return self._certificate.taken

    async def start(self, port: int, host: str | None = None) -> None:
        """Binds the port; raises OSError if it is taken."""
        self._certificate.load()
        await self._runner.setup()
        context = self._certificate.context
        site = web.TCPSite(self._runner, host, port, ssl_context=context)
        await site.start()
        self._following = asyncio.create_task(self._certificate.follow())

    async def stop(self) -> None:
        """Closes it."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await self._runner.cleanup()
