"""The page's HTTP: whom it answers, with which headers, how often it looks, what it says no to."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from bellmetal.api import ApiError
from bellmetal.page import document
from bellmetal.page.lookout import SHARE, Lookout
from bellmetal.page.server import MOST_QUESTION, Page
from builders import cluster, pool, service
from page_stage import Clock, Told, example, served
from situations import settled


async def get(
    where: str, path: str, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    url = where + path
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        is_json = answer.content_type == "application/json"
        body = await answer.json() if is_json else await answer.text()
        return answer.status, body, answer.headers


# --- whom it answers ------------------------------------------------------------------------------

HOSTS = [
    ("localhost:8080", 200),
    ("LOCALHOST", 200),
    ("127.0.0.1:8080", 200),
    ("[::1]:8080", 200),
    ("evil.example", 403),
    ("evil.example:8080", 403),
    ("localhost.evil.example", 403),
    ("127.0.0.1.evil.example", 403),
    ("10.0.0.1:8080", 403),
    ("localhost:8080@evil.example", 403),
    ("", 403),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
@pytest.mark.parametrize("path", ["", "api/state.json", "api/explain/service/apps/web.json"])
async def test_only_names_of_this_machine_are_answered(host: str, status: int, path: str) -> None:
    async with served(Told(example())) as where:
        found, body, _ = await get(where, path, {"Host": host})
    assert found == status
    if status == 403:
        assert body["error"].startswith("this page is served to localhost, 127.0.0.1 and [::1]")


async def test_it_listens_on_loopback_alone() -> None:
    async with served(Told(example())) as where:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", where)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_can_be_written(method: str) -> None:
    async with served(Told(example())) as where, aiohttp.ClientSession() as session:
        for path in ("", "api/state.json"):
            async with session.request(method, where + path) as answer:
                assert answer.status == 405


async def test_with_a_key_the_page_is_nowhere_else() -> None:
    async with served(Told(example()), key="secret") as where:
        assert where.endswith("/secret/")
        root = where.removesuffix("secret/")
        statuses = [(await get(root, path))[0] for path in ("", "api/state.json", "other/")]
        assert statuses == [404, 404, 404]
        assert (await get(where, ""))[0] == (await get(where, "api/state.json"))[0] == 200


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["", "icon.svg", "api/state.json", "nowhere", "api/address/x.json"]
)
async def test_every_answer_has_the_headers_of_a_page_that_trusts_nobody(path: str) -> None:
    async with served(Told(example())) as where:
        _, _, headers = await get(where, path)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in headers
    assert "Access-Control-Allow-Origin" not in headers


class Parts(html.parser.HTMLParser):
    """The inline texts, and every attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = ""
        self.texts: dict[str, str] = {"script": "", "style": ""}
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag if tag in self.texts else ""
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def test_the_policy_has_the_hashes_of_what_is_in_the_page_and_nothing_is_from_elsewhere() -> None:
    page = document.load()
    parts = Parts()
    parts.feed(page.html.decode())
    for kind, text in parts.texts.items():
        assert len(text) > 1000
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in page.policy
    names = {name for name, _ in parts.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "style"}
    assert "://" not in page.html.decode()
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in parts.texts["script"].replace("no innerHTML here", "")


# --- how often it looks ---------------------------------------------------------------------------


async def test_nothing_is_found_out_while_nobody_asks_and_once_for_all_who_do() -> None:
    source, clock = Told(example()), Clock()
    async with served(source, clock) as where:
        await get(where, "")
        assert source.looks == 0
        for _ in range(5):
            await get(where, "api/state.json")
            await get(where, "api/services.json?q=web")
        assert source.looks == 1
        clock.now = 1.9
        await get(where, "api/state.json")
        assert source.looks == 1
        clock.now = 2.1
        await get(where, "api/state.json")
        assert source.looks == 2


async def test_a_look_that_takes_long_is_made_less_often() -> None:
    clock = Clock()

    class Slow(Told):
        async def look(self) -> Any:
            clock.now += 3.0
            return await super().look()

    source = Slow(example())
    lookout = Lookout(source, clock)
    await lookout.view()
    clock.now += 3.0 * SHARE - 0.1
    await lookout.view()
    assert source.looks == 1
    clock.now += 0.2
    await lookout.view()
    assert source.looks == 2


async def test_what_has_not_changed_is_not_sent_again() -> None:
    source, clock = Told(example()), Clock()
    async with served(source, clock) as where:
        status, body, headers = await get(where, "api/state.json")
        assert (status, body["version"], body["standby"]) == (200, 1, False)
        clock.now = 5.0
        again = await get(where, "api/state.json", {"If-None-Match": headers["ETag"]})
        assert again[0] == 304
        assert source.looks == 2
        source.situation = settled(cluster(service("shop/new")))
        clock.now = 10.0
        status, body, _ = await get(where, "api/state.json", {"If-None-Match": headers["ETag"]})
        assert (status, body["services"]["total"]) == (200, 1)


async def test_a_service_is_asked_about_once_a_look() -> None:
    source, clock = Told(example()), Clock()
    async with served(source, clock) as where:
        for _ in range(3):
            status, body, _ = await get(where, "api/explain/service/apps/video.json")
            assert (status, body["ok"], body["cause"]["code"]) == (200, False, "noEndpoints")
        assert source.asked == 1


# --- what it says ---------------------------------------------------------------------------------

NOS = [
    ("api/explain/service/apps/nobody.json", 404, 'there is no Service "apps/nobody"'),
    ("api/explain/pool/nobody.json", 404, 'there is no IPAddressPool "nobody"'),
    ("api/explain/node/nobody.json", 404, 'there is no Node "nobody"'),
    ("api/explain/peer/nobody.json", 404, 'there is no BGPPeer "nobody"'),
    ("api/explain/service/..%2f..%2fsecrets/x.json", 404, 'no Service "../../secrets/x"'),
    ("api/address/nonsense.json", 400, '"nonsense" is not an IP address'),
    ("api/map/nobody.json?first=192.0.2.1&last=192.0.2.2", 404, 'no IPAddressPool "nobody"'),
    ("api/map/lan.json", 400, '"" is not an IP address'),
    ("api/map/lan.json?first=192.0.2.9&last=192.0.2.2", 400, "is not a range"),
    ("api/map/lan.json?first=192.0.2.9&last=2001:db8::", 400, "is not a range"),
    ("api/nothing.json", 404, "Not Found"),
]


@pytest.mark.parametrize(("path", "status", "sentence"), NOS)
async def test_what_is_not_there_is_said_so(path: str, status: int, sentence: str) -> None:
    source = Told(example())
    async with served(source) as where:
        found, body, _ = await get(where, path)
    assert (found, sentence in body["error"]) == (status, True), body
    assert source.asked == 0


@pytest.mark.parametrize(
    "path", ["service/apps/web", "pool/lan", "node/n1", "peer/rack-2", "service/edge/gateway-1"]
)
async def test_everything_that_is_listed_can_be_explained(path: str) -> None:
    async with served(Told(example())) as where:
        status, body, _ = await get(where, f"api/explain/{path}.json")
    assert (status, body["version"]) == (200, 1)
    assert body["links"]


async def test_the_whole_range_of_the_addresses_is_a_map_that_ends() -> None:
    situation = settled(cluster(service("shop/web"), pools=[pool("big", "10.0.0.0/8")]))
    async with served(Told(situation)) as where:
        path = "api/map/big.json?first=0.0.0.0&last=255.255.255.255"
        status, body, _ = await get(where, path)
    assert status == 200
    assert sum(cell.get("size", 1) for cell in body["cells"]) == 2**24


async def test_a_question_that_is_too_long_is_cut() -> None:
    async with served(Told(example())) as where:
        status, body, _ = await get(where, f"api/services.json?q={'w' * (MOST_QUESTION + 99)}")
    assert (status, body["matching"]) == (200, 0)


async def test_a_cluster_that_cannot_be_read_is_said_and_not_asked_again_at_once() -> None:
    source, clock = Told(example()), Clock()
    source.error = ApiError(0, "", "the API server did not answer: Connection refused")
    async with served(source, clock) as where:
        for _ in range(3):
            status, body, _ = await get(where, "api/state.json")
            assert (status, body["error"]) == (503, str(source.error))
        assert source.looks == 1
        source.error, clock.now = None, 3.0
        assert (await get(where, "api/state.json"))[0] == 200


async def test_a_warm_standby_says_who_leads_and_explains_nothing() -> None:
    async with served(Told(None)) as where:
        _, body, _ = await get(where, "api/state.json")
        assert (body["standby"], body["servedBy"]) == (True, "bellmetal-controller-1")
        assert body["leader"] == {"name": "bellmetal-controller-2", "leads": True}
        status, body, _ = await get(where, "api/explain/pool/lan.json")
        assert (status, body["error"]) == (
            404,
            "this controller does not lead: ask the one that does",
        )


async def test_what_may_not_be_read_is_said() -> None:
    source = Told(example())
    source.unread = ("403 Forbidden: pods is forbidden",)
    async with served(source) as where:
        _, body, _ = await get(where, "api/state.json")
    assert body["unread"] == ["403 Forbidden: pods is forbidden"]


async def test_hostile_texts_arrive_as_they_are_and_stay_json() -> None:
    nasty = '</script><img src=x onerror=alert(1)>"\u2028\x00'
    situation = replace(example(), unread=(nasty,))
    source = Told(situation)
    source.unread = (nasty,)
    async with served(source) as where:
        _, body, headers = await get(where, "api/state.json")
    assert body["unread"] == [nasty]
    assert headers["Content-Type"] == "application/json"


async def test_a_port_that_is_taken_is_an_error_at_once(unused_tcp_port: int) -> None:
    lookout = Lookout(Told(example()), Clock())
    first, second = Page(lookout), Page(lookout)
    await first.start(unused_tcp_port)
    try:
        with pytest.raises(OSError, match="address already in use"):
            await second.start(unused_tcp_port)
    finally:
        await first.stop()
        await second.stop()
