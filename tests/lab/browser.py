"""Chromium without a screen, spoken to by its DevTools protocol; it is installed when first needed.

It writes down what a browser's console would show as an error, and everything that it asked a
network for. It is spoken to by pipes, so that it may run in another network namespace.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab import packages
from lab.errors import LabError

PROGRAM, PACKAGE = "chromium-headless-shell", "chromium-headless-shell"
LONGEST = 64 * 2**20  # bytes of one answer: a picture
FLAGS = [
    "--headless",
    "--no-sandbox",  # the tests are root, and what is shown is our own page
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-proxy-server",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]

Json = dict[str, Any]


def program() -> str:
    """Where Chromium is; skips the test, with the reason, where it cannot be had."""
    if not shutil.which(PROGRAM, path=packages.PATH):
        try:
            packages.add(PACKAGE)
        except LabError as error:
            pytest.skip(str(error))
    return str(shutil.which(PROGRAM, path=packages.PATH))


class Tab:
    """One page. ``errors``: of its console; ``requests``: the URLs that it asked for."""

    def __init__(self, said: asyncio.StreamReader, hears: asyncio.WriteTransport) -> None:
        self._said, self._hears, self._session = said, hears, ""
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self.errors: list[str] = []
        self.requests: list[str] = []

    async def attach(self) -> None:
        """Opens an empty page, and listens."""
        made = await self.call("Target.createTarget", url="about:blank")
        target = {"targetId": made["targetId"], "flatten": True}
        self._session = (await self.call("Target.attachToTarget", **target))["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")

    async def listen(self) -> None:
        """Takes in what the browser says, until it ends."""
        while True:
            try:
                said = json.loads((await self._said.readuntil(b"\0"))[:-1])
            except asyncio.IncompleteReadError:
                for waiting in self._waiting.values():
                    waiting.set_exception(AssertionError("the browser has ended"))
                return
            if "id" in said:
                self._waiting.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, method: str, params: Json) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    async def call(self, method: str, **params: Any) -> Json:
        """One command, and its answer."""
        self._number += 1
        body: Json = {"id": self._number, "method": method, "params": params}
        if self._session:
            body["sessionId"] = self._session
        waiting = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        self._hears.write(json.dumps(body).encode() + b"\0")
        said = await asyncio.wait_for(waiting, 30)
        assert "error" not in said, f"{method}: {said['error']}"
        result: Json = said["result"]
        return result

    # --- what a person does and sees --------------------------------------------------------------

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def size(self, width: int, height: int, dark: bool = False, scale: float = 1) -> None:
        """A window of that size, and a wish for light or dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )
        wish = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        calm = {"name": "prefers-reduced-motion", "value": "reduce"}
        await self.call("Emulation.setEmulatedMedia", features=[wish, calm])

    async def run(self, script: str) -> Any:
        """What an expression of JavaScript is, in the page."""
        said = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def text(self, selector: str) -> str:
        """What stands there to be read; empty if there is nothing of that kind."""
        return str(await self.run(f"document.querySelector({selector!r})?.innerText ?? ''"))

    async def wait(self, script: str, what: str, timeout: float = 15) -> Any:
        """Until an expression is true."""
        found = None
        try:
            async with asyncio.timeout(timeout):
                while not (found := await self.run(script)):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            body = await self.text("body")
            raise AssertionError(
                f"{what}: not within {timeout} s; the page says:\n{body}"
            ) from None
        return found

    async def wait_text(self, selector: str, wanted: str, timeout: float = 15) -> None:
        """Until that stands there."""
        script = f"(document.querySelector({selector!r})?.innerText ?? '').includes({wanted!r})"
        await self.wait(script, f"{wanted!r} in {selector}", timeout)

    async def press(self, key: str) -> None:
        """A key, where the focus is."""
        code = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowRight": 39, "ArrowDown": 40}[key]
        what = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        text = {"text": "\r"} if key == "Enter" else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **what, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    async def picture(self, path: Path) -> None:
        """A picture of the window, as PNG."""
        said = await self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(said["data"]))


@contextlib.asynccontextmanager
async def tab(prefix: Sequence[str] = ()) -> AsyncIterator[Tab]:
    """A page in a browser of its own, which is gone at the end; started by ``prefix``, if any."""
    chromium = await asyncio.to_thread(program)
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="browser-")
    its_in, our_out = os.pipe()
    our_in, its_out = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *("bash", "-c", f'exec "$@" 3<&{its_in} 4>&{its_out}', "bash"),  # it speaks by these two
        *(chromium, *FLAGS, f"--user-data-dir={folder}", "about:blank"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=(its_in, its_out),
        start_new_session=True,  # it has children, which end with it
    )
    os.close(its_in)
    os.close(its_out)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST)
    said, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(our_in, "rb", 0)
    )
    hears, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(our_out, "wb", 0))
    found = Tab(reader, hears)
    listening = asyncio.create_task(found.listen())
    try:
        await found.attach()
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        listening.cancel()
        await asyncio.wait([listening])
        said.close()
        hears.close()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
