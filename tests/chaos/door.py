"""A door before the API server, through which our programs go: slow, or with an answer of its own.

A program of its own in the control plane's namespace. What it does to requests stands in a file,
which it reads for each one, so that whoever plays faults needs no connection to it.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    web,
)

PORT = 6444
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# those of one connection, and what the other side's client puts in anew
_HOP = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "content-length"})
_REASONS = {429: "TooManyRequests", 409: "Conflict", 500: "InternalError"}


@dataclass(frozen=True)
class Mood:
    """What happens to a request: seconds that it waits, and the share that is answered ``status``.

    ``writes``: those alone that write; ``only``: those of this path.
    """

    delay: float = 0.0
    status: int = 0
    share: float = 0.0
    writes: bool = False
    only: str = ""

    def write(self, path: Path) -> None:
        """From now on."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)

    def answers(self, method: str, path: str, dice: random.Random) -> int:
        """The status that this request is answered with; 0: it goes through."""
        concerned = (not self.writes or method in _WRITES) and self.only in ("", path)
        return self.status if concerned and dice.random() < self.share else 0


class Door:
    """Passes requests on, with their headers, bodies and tokens as they are."""

    def __init__(self, target: str, session: ClientSession, mood: Path) -> None:
        self._target, self._session, self._mood = target, session, mood
        self._dice = random.Random(0)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request, a watch too."""
        mood = Mood(**json.loads(self._mood.read_text()))
        await asyncio.sleep(mood.delay)
        if status := mood.answers(request.method, request.path, self._dice):
            return _refusal(status)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        body = await request.read()
        url = f"{self._target}{request.raw_path}"
        answer: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as found:
                kept = {k: v for k, v in found.headers.items() if k.lower() not in _HOP}
                answer = web.StreamResponse(status=found.status, headers=kept)
                await answer.prepare(request)
                async for chunk in found.content.iter_any():
                    await answer.write(chunk)
                await answer.write_eof()
        except (ClientConnectionError, ClientPayloadError):
            _slam(request)  # as it is where no door is between: the connection ends
        return answer or web.Response(status=502)


def _slam(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _refusal(status: int) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": _REASONS[status],
        "message": "the door says so",
        "code": status,
    }
    headers = {"Retry-After": "1"} if status == 429 else {}
    return web.json_response(body, status=status, headers=headers)


async def main(target: str, pki: Path, mood: Path) -> None:
    """Until it is killed."""
    inside = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    outside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    outside.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    connector = TCPConnector(ssl=inside, limit=0)
    options = {"auto_decompress": False, "timeout": ClientTimeout(None)}
    async with ClientSession(connector=connector, **options) as session:
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{path:.*}", Door(target, session, mood).handle)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, port=PORT, ssl_context=outside).start()
        print("open", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
