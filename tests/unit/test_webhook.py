"""The webhook's HTTPS: what it answers to whom, and certificates that come, change and break."""

from __future__ import annotations

import asyncio
import contextlib
import io
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from bellmetal import webhook
from bellmetal.admission import Admission, Request, Verdict
from bellmetal.webhook import Certificate, Webhook, application
from bellmetal.world import World
from lab.pki import Pki
from small_api import SmallApi


async def deny(asked: Request) -> Verdict:
    return Verdict((f"no {asked.name}",))


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """The address of a server that denies everything, without TLS."""
    runner = web.AppRunner(application(deny), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/validate"
    finally:
        await runner.cleanup()


async def post(url: str, body: bytes) -> tuple[int, str]:
    data = io.BytesIO(body)
    async with aiohttp.ClientSession() as session, session.post(url, data=data) as answer:
        return answer.status, await answer.text()


async def test_a_review_is_answered_with_its_uid() -> None:
    review = b'{"kind": "AdmissionReview", "request": {"uid": "7", "name": "x", "new": {}}}'
    async with serving() as url:
        status, text = await post(url, review)
    response = msgspec.json.decode(text)["response"]
    assert (status, response["uid"], response["allowed"]) == (200, "7", False)
    assert response["status"]["message"] == "no x"


GARBAGE = [
    (b"", 400, "not an AdmissionReview: Input data was truncated\n"),
    (b"{", 400, "not an AdmissionReview: Input data was truncated\n"),
    (b"[]", 400, "not an AdmissionReview: Expected `object`, got `array`\n"),
    (b"{}", 400, "not an AdmissionReview: Object missing required field `request`\n"),
    (
        b'{"request": {"name": "x"}}',
        400,
        "not an AdmissionReview: Object missing required field `uid` - at `$.request`\n",
    ),
    (
        b'{"request": {"uid": "7", "name": []}}',
        400,
        "not an AdmissionReview: Expected `str`, got `array` - at `$.request.name`\n",
    ),
]


@pytest.mark.parametrize(("body", "status", "sentence"), GARBAGE)
async def test_garbage_is_refused(body: bytes, status: int, sentence: str) -> None:
    async with serving() as url:
        assert await post(url, body) == (status, sentence)


@pytest.mark.parametrize("body", [b'{"request": "\xff"}', b"[" * 100_000, b'{"request":' * 9999])
async def test_stranger_garbage_is_refused_too(body: bytes) -> None:
    async with serving() as url:
        assert (await post(url, body))[0] == 400


async def test_what_is_too_large_is_not_read() -> None:
    async with serving() as url:
        assert (await post(url, b" " * (webhook.MOST_BYTES + 1)))[0] == 413


async def test_only_one_path_and_one_method_are_served() -> None:
    async with serving() as url, aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            assert answer.status == 405
        async with session.post(url.replace("/validate", "/")) as answer:
            assert answer.status == 404


async def test_who_never_ends_a_request_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "PATIENCE", 0.05)
    async with serving() as url:
        host, port = url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        writer.close()


# --- certificates ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    made = Pki(tmp_path_factory.mktemp("webhook") / "pki")
    made.create(["127.0.0.1"])
    for name in ("one", "two"):
        made.sign(name, f"/CN={name}", "serverAuth", "IP:127.0.0.1")
    return made


def mount(pki: Pki, folder: Path, certificate: str, key: str = "") -> None:
    """What the kubelet does: other files under the same names."""
    for source, name in (
        (pki.certificate(certificate), "crt"),
        (pki.key(key or certificate), "key"),
    ):
        new = folder / f"new.{name}"
        shutil.copy(source, new)
        new.rename(folder / f"tls.{name}")


async def shown(pki: Pki, port: int) -> str:
    """The name of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=str(pki.ca))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = writer.get_extra_info("peercert")
    writer.close()
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        await writer.wait_closed()
    return str(found["subject"][0][0][1])


@contextlib.asynccontextmanager
async def following(certificate: Certificate) -> AsyncIterator[int]:
    """The port of a TLS server that shows this certificate."""
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_certificate_that_is_replaced_is_shown(
    pki: Pki, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mount(pki, tmp_path, "one")
    certificate = Certificate(tmp_path)
    certificate.load()
    async with following(certificate) as port:
        assert await shown(pki, port) == "one"
        mount(pki, tmp_path, "one", key="two")
        certificate.load()
        certificate.load()
        assert await shown(pki, port) == "one"
        mount(pki, tmp_path, "two")
        certificate.load()
        assert await shown(pki, port) == "two"
        (tmp_path / "tls.crt").unlink()
        certificate.load()
        assert await shown(pki, port) == "two"
    file = tmp_path / "tls.crt"
    mismatch, missing = (record.getMessage() for record in caplog.records)
    assert mismatch.startswith(f"cannot use the webhook's certificate {file}: ")
    assert "KEY_VALUES_MISMATCH" in mismatch
    sentence = f"cannot use the webhook's certificate {file}: [Errno 2] No such file or directory"
    assert missing == f"{sentence}: '{file}'"


async def test_a_certificate_may_come_later(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(webhook, "RELOAD_EVERY", 0.01)
    judge = Admission(SmallApi(), World("", False), "metallb-system", lambda: True)
    server = Webhook(judge, tmp_path)
    await server.start(unused_tcp_port, "127.0.0.1")
    try:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown(pki, unused_tcp_port)
        mount(pki, tmp_path, "one")
        async with asyncio.timeout(5):
            while not server.ready:
                await asyncio.sleep(0.01)
        assert await shown(pki, unused_tcp_port) == "one"
        url = f"https://127.0.0.1:{unused_tcp_port}/validate"
        review = b'{"request": {"uid": "7"}}'
        context = ssl.create_default_context(cafile=str(pki.ca))
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=review, ssl=context) as answer,
        ):
            response = msgspec.json.decode(await answer.read())["response"]
        assert response == {"uid": "7", "allowed": True}
    finally:
        await server.stop()
