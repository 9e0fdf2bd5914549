"""The thin client, against a real HTTP server on 127.0.0.1, and how it finds its cluster."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from bellmetal import api, resources
from bellmetal.api import Access, ApiError, Client, KubeconfigError, find_access, read_kubeconfig
from builders import service_object

SERVICES = "/api/v1/services"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, timeout: float = 5.0, **fields: Any) -> AsyncIterator[Client]:
    """A client of a server that answers every request by ``handler``."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with Client(Access(f"http://{host}:{port}", **fields), timeout) as client:
            yield client
    finally:
        await runner.cleanup()


def json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def status(code: int, reason: str, message: str) -> web.Response:
    return json({"kind": "Status", "code": code, "reason": reason, "message": message}, code)


def lines(*events: object) -> bytes:
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events)


def streaming(*chunks: bytes, open_: bool = False) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        for chunk in chunks:
            await stream.write(chunk)
        if open_:
            await asyncio.Event().wait()
        return stream

    return handler


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}


# --- reading -------------------------------------------------------------------------------------


async def test_a_list_is_read_page_by_page() -> None:
    queries: list[dict[str, str]] = []
    pages = {"": (["a", "b"], "two"), "two": (["c"], "three"), "three": (["d"], "")}

    async def handler(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        names, token = pages[request.query.get("continue", "")]
        meta = {"resourceVersion": "77", "continue": token}
        return json({"metadata": meta, "items": [{"metadata": {"name": n}} for n in names]})

    async with serving(handler) as client:
        items, version = await client.list(resources.Service, SERVICES)
    assert [item.metadata.name for item in items] == ["a", "b", "c", "d"]
    assert version == "77"
    assert queries == [
        {"limit": "500"},
        {"limit": "500", "continue": "two"},
        {"limit": "500", "continue": "three"},
    ]


async def test_an_empty_list() -> None:
    async def handler(_: web.Request) -> web.Response:
        return json({"metadata": {"resourceVersion": "5"}, "items": []})

    async with serving(handler) as client:
        assert await client.list(resources.Service, SERVICES) == ([], "5")


async def watched(handler: Handler) -> list[str]:
    """What a watch tells, until it ends; then why, if it says so."""
    told = []
    async with serving(handler) as client:
        try:
            async for item in client.watch(resources.Service, SERVICES, "5"):
                meta = item.object.metadata
                told.append(f"{item.type} {meta.name} {meta.resource_version}".replace("  ", " "))
        except ApiError as error:
            told.append(f"{error} (expired: {error.expired})")
    return told


CHANGES = lines(
    event("ADDED", "a", "6"), event("MODIFIED", "a", "7"), event("BOOKMARK", "", "8")
) + lines(event("DELETED", "a", "9"))


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([CHANGES], id="in one piece"),
        pytest.param([CHANGES[:100], CHANGES[100:101], CHANGES[101:]], id="cut anywhere"),
        pytest.param([b"\n", CHANGES, b"\n\n"], id="with empty lines"),
        pytest.param([CHANGES, b'{"type":"ADDED","object":{'], id="with half a line at the end"),
    ],
)
async def test_a_watch_tells_every_change_and_bookmark(chunks: list[bytes]) -> None:
    assert await watched(streaming(*chunks)) == [
        "ADDED a 6",
        "MODIFIED a 7",
        "BOOKMARK 8",
        "DELETED a 9",
    ]


async def test_a_watch_asks_for_changes_since_a_version_and_for_bookmarks() -> None:
    queries: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        return web.Response()

    assert await watched(handler) == []
    assert queries == [
        {
            "watch": "1",
            "resourceVersion": "5",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "600",
        }
    ]


async def test_a_line_longer_than_any_buffer_is_one_event() -> None:
    long = "x" * 3_000_000
    assert await watched(streaming(lines(event("ADDED", long, "6")))) == [f"ADDED {long} 6"]


@pytest.mark.parametrize(
    ("handler", "last"),
    [
        pytest.param(
            streaming(
                lines(event("ADDED", "a", "6")),
                lines(
                    {
                        "type": "ERROR",
                        "object": {"code": 410, "reason": "Expired", "message": "too old"},
                    }
                ),
            ),
            "410 Expired: too old (expired: True)",
            id="inside the stream",
        ),
        pytest.param(
            streaming(lines(event("ADDED", "a", "6")), b"what?\n"),
            "watch of /api/v1/services: JSON is malformed: invalid character (byte 0)"
            " (expired: False)",
            id="rubbish inside the stream",
        ),
    ],
)
async def test_a_watch_that_ends_with_an_error(handler: Handler, last: str) -> None:
    assert await watched(handler) == ["ADDED a 6", last]


async def test_a_watch_that_is_refused() -> None:
    async def handler(_: web.Request) -> web.Response:
        return status(410, "Gone", "too old resource version: 5 (9)")

    assert await watched(handler) == ["410 Gone: too old resource version: 5 (9) (expired: True)"]


async def test_a_silent_watch_is_a_dead_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "WATCH_SILENCE", 0.05)
    [event_, end] = await watched(streaming(lines(event("ADDED", "a", "6")), open_=True))
    assert event_ == "ADDED a 6"
    assert end.startswith("the API server did not answer: ")


class Chunks:
    """A stream that gives one chunk after another."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = list(chunks)

    async def readany(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([b"a\nb\n"], [b"a", b"b"], id="two lines in a chunk"),
        pytest.param([b"a", b"b", b"\n"], [b"ab"], id="a line in three chunks"),
        pytest.param([b"a\n", b"\n", b"b\n"], [b"a", b"b"], id="empty lines are left out"),
        pytest.param([b"a\nb"], [b"a"], id="an unfinished line is left out"),
        pytest.param([b"a\r\n"], [b"a\r"], id="only a newline ends a line"),
    ],
)
async def test_lines(chunks: list[bytes], expected: list[bytes]) -> None:
    stream: Any = Chunks(chunks)
    assert [line async for line in api._lines(stream)] == expected


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "sentence", "is_"),
    [
        pytest.param(
            (409, {"code": 409, "reason": "Conflict", "message": "modified"}),
            "409 Conflict: modified",
            "conflict",
            id="somebody else wrote first",
        ),
        pytest.param(
            (404, {"code": 404, "reason": "NotFound", "message": "not here"}),
            "404 NotFound: not here",
            "gone",
            id="not there",
        ),
        pytest.param(
            (410, {"code": 410, "reason": "Expired", "message": "too old"}),
            "410 Expired: too old",
            "expired",
            id="too old",
        ),
        pytest.param((502, None), "502 : <html>bad gateway</html>", "", id="a proxy that talks"),
        pytest.param((503, b"\xff{"), "503 : \ufffd{", "", id="bytes that are no text"),
        pytest.param(
            (500, b'{"message":"\xff"}'),
            '500 : {"message":"\ufffd"}',
            "",
            id="JSON with such bytes",
        ),
    ],
)
async def test_a_refusal_is_an_error_with_its_sentence(
    answer: tuple[int, Any], sentence: str, is_: str
) -> None:
    code, body = answer

    async def handler(_: web.Request) -> web.Response:
        if isinstance(body, dict):
            return json(body, code)
        return web.Response(body=body or b"<html>bad gateway</html>", status=code)

    async with serving(handler) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(resources.Service, f"{SERVICES}/web")
    assert str(caught.value) == sentence
    assert [n for n in ("conflict", "gone", "expired") if getattr(caught.value, n)] == (
        [is_] if is_ else []
    )


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(
            b"[]",
            "an answer of the API server cannot be understood: Expected `object`, got `array`",
            id="another shape",
        ),
        pytest.param(
            b"",
            "an answer of the API server cannot be understood: Input data was truncated",
            id="nothing",
        ),
        pytest.param(
            b'{"metadata":{"name":"\xff"}}',
            "an answer of the API server cannot be understood: 'utf-8' codec can't decode byte"
            " 0xff in position 0: invalid start byte",
            id="bytes that are no text",
        ),
    ],
)
async def test_an_answer_that_cannot_be_understood(body: bytes, sentence: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with serving(handler) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(resources.Service, f"{SERVICES}/web")
    assert str(caught.value) == sentence


async def hanging(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("timeout", "per_request"),
    [
        pytest.param(0.05, None, id="of the client"),
        pytest.param(5.0, 0.05, id="of the request"),
    ],
)
async def test_a_server_that_hangs_runs_into_a_timeout(
    timeout: float, per_request: float | None
) -> None:
    async with serving(hanging, timeout) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(resources.Service, f"{SERVICES}/web", timeout=per_request)
    assert str(caught.value) == "the API server did not answer: TimeoutError"
    assert caught.value.code == 0


async def test_a_server_that_is_not_there() -> None:
    async with Client(Access("http://127.0.0.1:1")) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(resources.Service, SERVICES)
    assert str(caught.value) == (
        "the API server did not answer: Cannot connect to host 127.0.0.1:1 ssl:default"
        " [Connect call failed ('127.0.0.1', 1)]"
    )


# --- writing -------------------------------------------------------------------------------------


async def test_what_is_sent() -> None:
    seen: list[tuple[str, str, str, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        content_type = request.headers.get("Content-Type", "")
        seen.append((request.method, request.path, content_type, await request.read()))
        return json({"metadata": {"name": "web"}})

    body = {"a": 1}
    async with serving(handler) as client:
        created = await client.create(resources.Service, SERVICES, body)
        await client.replace(resources.Service, f"{SERVICES}/web", body)
        await client.patch(resources.Service, f"{SERVICES}/web", body)
        await client.patch(resources.Service, f"{SERVICES}/web", body, kind=api.STRATEGIC_MERGE)
        await client.delete(f"{SERVICES}/web")
    assert created.metadata.name == "web"
    plain, text = "application/json", b'{"a":1}'
    assert [(method, type_, data) for method, _, type_, data in seen] == [
        ("POST", plain, text),
        ("PUT", plain, text),
        ("PATCH", "application/merge-patch+json", text),
        ("PATCH", "application/strategic-merge-patch+json", text),
        ("DELETE", "", b""),
    ]


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        pytest.param(404, None, id="what is gone already is fine"),
        pytest.param(403, "403 Forbidden: no", id="anything else is not"),
    ],
)
async def test_deleting(code: int, raised: str | None) -> None:
    async def handler(_: web.Request) -> web.Response:
        return status(code, "NotFound" if code == 404 else "Forbidden", "no")

    said = None
    async with serving(handler) as client:
        try:
            await client.delete(f"{SERVICES}/web")
        except ApiError as error:
            said = str(error)
    assert said == raised


# --- tokens --------------------------------------------------------------------------------------


async def test_a_token_that_has_rotated_is_read_again_after_a_401(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    valid = "old"
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        if seen[-1] != f"Bearer {valid}":
            return status(401, "Unauthorized", "no")
        return json({})

    async with serving(handler, token_file=file) as client:
        await client.get(resources.Service, SERVICES)
        file.write_text("new\n")
        await client.get(resources.Service, SERVICES)
        valid = "new"
        with pytest.raises(ApiError):
            await client.get(resources.Service, SERVICES)
        await client.get(resources.Service, SERVICES)
    assert seen == ["Bearer old", "Bearer old", "Bearer old", "Bearer new"]


async def test_a_token_file_that_is_not_there_is_an_error_of_the_request(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.Response:
        return json({})

    file = tmp_path / "token"
    async with serving(handler, token_file=file) as client:
        with pytest.raises(ApiError) as caught:
            await client.get(resources.Service, SERVICES)
        assert str(caught.value) == f"the token {file}: No such file or directory"
        with pytest.raises(ApiError) as caught:
            _ = [item async for item in client.watch(resources.Service, SERVICES, "1")]
        assert str(caught.value) == f"the token {file}: No such file or directory"
        file.write_text("new")
        await client.get(resources.Service, SERVICES)


async def test_without_a_token_no_authorization_is_sent() -> None:
    async def handler(request: web.Request) -> web.Response:
        return json({"metadata": {"name": str("Authorization" in request.headers)}})

    async with serving(handler) as client:
        found = await client.get(resources.Service, SERVICES)
    assert found.metadata.name == "False"


# --- where the cluster is ------------------------------------------------------------------------

KUBECONFIG = """
current-context: main
contexts:
- name: other
- name: main
  context: {cluster: lab, user: admin}
clusters:
- name: lab
  cluster: {server: "https://192.0.2.1:6443/", CLUSTER}
users:
- name: admin
  user: {USER}
"""


def kubeconfig(directory: Path, user: str = "", cluster: str = "", **replaced: str) -> Path:
    text = KUBECONFIG.replace("CLUSTER", cluster).replace("USER", user)
    for old, new in replaced.items():
        text = text.replace(old, new)
    path = directory / "config"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("user", "cluster", "access"),
    [
        pytest.param("", "", {}, id="nothing but a server"),
        pytest.param("token: t", "", {"token": "t"}, id="a token"),
        pytest.param(
            "client-certificate-data: Y2VydA==, client-key-data: a2V5",
            "certificate-authority-data: Y2E=",
            {"client_certificate": b"cert", "client_key": b"key", "ca_data": b"ca"},
            id="certificates inside",
        ),
        pytest.param(
            "client-certificate: cert, client-key: key",
            "certificate-authority: ca",
            {"client_certificate": b"CERT", "client_key": b"KEY", "ca_data": b"CA"},
            id="certificates in files beside it",
        ),
        pytest.param("", "insecure-skip-tls-verify: true", {"insecure": True}, id="no proof"),
    ],
)
def test_what_a_kubeconfig_says(
    user: str, cluster: str, access: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(name.upper())
    found = read_kubeconfig(kubeconfig(tmp_path, user, cluster))
    assert found == Access("https://192.0.2.1:6443", **access)


def test_a_token_file_lies_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" t\n")
    found = read_kubeconfig(kubeconfig(tmp_path, "tokenFile: secret"))
    assert (found.token_file, found.bearer()) == (tmp_path / "secret", "t")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param(
            {"current-context: main": ""},
            "'current-context' is missing or of another form",
            id="no current context",
        ),
        pytest.param(
            {"current-context: main": "current-context: lost"},
            "'context \"lost\"' is missing or of another form",
            id="an unknown context",
        ),
        pytest.param(
            {"cluster: lab": "cluster: lost"},
            "'cluster \"lost\"' is missing or of another form",
            id="an unknown cluster",
        ),
        pytest.param(
            {"user: admin": "user: lost"},
            "'user \"lost\"' is missing or of another form",
            id="an unknown user",
        ),
        pytest.param(
            {'server: "https://192.0.2.1:6443/", ': ""},
            "'server' is missing or of another form",
            id="no server",
        ),
        pytest.param(
            {"user: {}": "user: {client-key: lost}"},
            "No such file or directory: {directory}/lost",
            id="a file that is not there",
        ),
        pytest.param(
            {"user: {}": "user: {client-key-data: x}"},
            "client-key-data is not base64",
            id="not base64",
        ),
        pytest.param({"contexts:": "contexts: ["}, "not YAML", id="not YAML"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(
    changes: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    path = kubeconfig(tmp_path, **changes)
    with pytest.raises(KubeconfigError) as caught:
        read_kubeconfig(path)
    assert str(caught.value) == f"kubeconfig {path}: " + sentence.replace(
        "{directory}", str(tmp_path)
    )


@pytest.mark.parametrize("text", ["", "web", "- a", "7"])
def test_a_file_that_is_no_kubeconfig_at_all(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError) as caught:
        read_kubeconfig(path)
    assert str(caught.value) == f"kubeconfig {path}: not a kubeconfig"


def test_bytes_that_are_no_kubeconfig_at_all(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(KubeconfigError) as caught:
        read_kubeconfig(path)
    assert str(caught.value) == f"kubeconfig {path}: not YAML"


def test_no_file_at_all(tmp_path: Path) -> None:
    path = tmp_path / "lost"
    with pytest.raises(KubeconfigError) as caught:
        read_kubeconfig(path)
    assert str(caught.value) == f"kubeconfig {path}: No such file or directory: {path}"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No pod, no home, no KUBECONFIG."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(api, "IN_CLUSTER", tmp_path / "pod")
    return tmp_path


def test_nowhere_to_go(elsewhere: Path) -> None:
    with pytest.raises(KubeconfigError) as caught:
        find_access()
    assert str(caught.value) == (
        "no cluster to talk to: set KUBECONFIG, or run in a pod with a ServiceAccount"
    )


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
)
def test_in_a_pod(host: str, server: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "pod").mkdir()
    (elsewhere / "pod" / "token").write_text("t")
    (elsewhere / "pod" / "ca.crt").write_text("ca")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert find_access() == Access(server, ca_data=b"ca", token_file=elsewhere / "pod" / "token")


def test_the_environment_comes_before_the_home(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = elsewhere / "home" / ".kube"
    home.mkdir(parents=True)
    kubeconfig(home)
    assert find_access().server == "https://192.0.2.1:6443"
    chosen = kubeconfig(elsewhere, **{"192.0.2.1": "192.0.2.2"})
    monkeypatch.setenv("KUBECONFIG", f"{chosen}:/another")
    assert find_access().server == "https://192.0.2.2:6443"


def test_access_never_prints_its_secrets() -> None:
    access = Access(
        "https://192.0.2.1",
        ca_data=b"hidden",
        token="hidden",
        client_certificate=b"hidden",
        client_key=b"hidden",
    )
    assert repr(access) == ("Access(server='https://192.0.2.1', token_file=None, insecure=False)")


def test_no_proof_is_asked_for_where_none_is_wanted() -> None:
    context = Access("https://192.0.2.1", insecure=True).ssl_context()
    assert (context.check_hostname, context.verify_mode) == (False, 0)


async def test_nothing_of_a_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with Client(Access("http://127.0.0.1:1", token="hidden")) as client:
        with pytest.raises(ApiError) as caught:
            await client.create(resources.Service, SERVICES, service_object())
    assert "hidden" not in caplog.text + str(caught.value)
