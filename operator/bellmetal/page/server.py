"""The page's HTTP, on this machine's loopback alone: GET, no cookies, no word of another origin.

A request must name this machine in its Host header: a name of somebody else's that is made to lead
here (DNS rebinding) is refused, so no other site can read along in a browser.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bellmetal.api import ApiError
from bellmetal.page import document
from bellmetal.page.lookout import BadQuestionError, Lookout, NoSuchThingError, encode

HOST = "127.0.0.1"
OURSELVES = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
MOST_QUESTION = 253  # characters of a search
JSON = "application/json"

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The server. ``key``: the page is found only by who knows it (it is a part of the path)."""

    def __init__(self, lookout: Lookout, key: str = "") -> None:
        self._lookout, self._document = lookout, document.load()
        self._root = f"/{key}" if key else ""
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=1.0)

    async def start(self, port: int) -> str:
        """Binds the port (0: any that is free); where the page is. Raises OSError if taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port).start()
        host, bound = self._runner.addresses[0][:2]
        return f"http://{host}:{bound}{self._root}/"

    async def stop(self) -> None:
        """Closes it."""
        await self._runner.cleanup()

    def application(self) -> web.Application:
        """All routes."""
        headers = HEADERS | {"Content-Security-Policy": self._document.policy}
        app = web.Application(middlewares=[_guard(headers)], client_max_size=0)
        api = f"{self._root}/api"
        app.add_routes(
            [
                web.get(f"{self._root}/", self._page),
                web.get(f"{self._root}/icon.svg", self._icon),
                web.get(f"{api}/state.json", self._state),
                web.get(f"{api}/services.json", self._services),
                web.get(f"{api}/address/{{ip}}.json", self._address),
                web.get(f"{api}/map/{{pool}}.json", self._map),
                web.get(f"{api}/explain/service/{{ns}}/{{name}}.json", self._explain_service),
                web.get(f"{api}/explain/{{subject:pool|node|peer}}/{{name}}.json", self._explain),
            ]
        )
        return app

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._document.html, content_type="text/html", charset="utf-8")

    async def _icon(self, _: web.Request) -> web.Response:
        return web.Response(body=self._document.icon, content_type="image/svg+xml")

    async def _state(self, request: web.Request) -> web.Response:
        view = await self._lookout.view()
        if request.headers.get("If-None-Match") == view.etag:
            return web.Response(status=304, headers={"ETag": view.etag})
        answer = web.Response(body=view.body, content_type=JSON, headers={"ETag": view.etag})
        answer.enable_compression()
        return answer

    async def _services(self, request: web.Request) -> web.Response:
        wanted = request.query.get("q", "")[:MOST_QUESTION]
        return _json((await self._lookout.view()).services(wanted))

    async def _address(self, request: web.Request) -> web.Response:
        return _json((await self._lookout.view()).address(request.match_info["ip"]))

    async def _map(self, request: web.Request) -> web.Response:
        first, last = request.query.get("first", ""), request.query.get("last", "")
        view = await self._lookout.view()
        return _json(view.block(request.match_info["pool"], first, last))

    async def _explain_service(self, request: web.Request) -> web.Response:
        key = f"{request.match_info['ns']}/{request.match_info['name']}"
        return _json(await (await self._lookout.view()).explain("service", key))

    async def _explain(self, request: web.Request) -> web.Response:
        subject, name = request.match_info["subject"], request.match_info["name"]
        return _json(await (await self._lookout.view()).explain(subject, name))


def _guard(headers: dict[str, str]) -> Any:
    """Refuses who names another host, turns "no"s into answers, adds ``headers`` to all."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await _answer(request, handler)
        answer.headers.update(headers)
        return answer

    return guard


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not OURSELVES.fullmatch(request.headers.get("Host", "")):
        said = "this page is served to localhost, 127.0.0.1 and [::1] alone: use one of these names"
        return _no(403, said)
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _no(error.status, error.reason)
    except BadQuestionError as error:
        return _no(400, str(error))
    except NoSuchThingError as error:
        return _no(404, str(error))
    except ApiError as error:
        return _no(404 if error.gone else 503, str(error))


def _json(plain: Any) -> web.Response:
    answer = web.Response(body=encode(plain), content_type=JSON)
    answer.enable_compression()
    return answer


def _no(status: int, sentence: str) -> web.Response:
    body = encode({"version": 1, "error": sentence})
    return web.Response(body=body, status=status, content_type=JSON)
