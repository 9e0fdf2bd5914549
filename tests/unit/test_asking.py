"""Asking a speaker, by its report: questions go in, answers come out, and what can go wrong."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.cli.asking import AskingError, NotAllowedError, SilentError, ask
from bellmetal.sight_reports import looks_status
from bellmetal.sights import Look, LookKind, Outcome, Sight, seen
from watched_api import WatchedApi

NAMESPACE = "metallb-system"
PATH = f"/apis/bellmetal.io/v1alpha1/namespaces/{NAMESPACE}/speakerreports/n1"
IP = ipaddress.ip_address("192.0.2.10")
ROUTE, LISTEN = Look("", LookKind.ROUTE, IP), Look("", LookKind.LISTEN, IP, 0, 3)

pytestmark = pytest.mark.looptime


class Speaker:
    """Answers all that stands in the report of n1, a while later; and writes in between."""

    def __init__(self) -> None:
        self.api = WatchedApi()
        self.api.put(PATH, {"metadata": {"name": "n1"}, "status": {"version": 1}})
        self.lasts, self.answers = 0.3, list[Sight]()
        self.asked: list[dict[str, Any]] = []

    @property
    def questions(self) -> list[dict[str, Any]]:
        return list(self.api.objects[PATH].get("spec", {}).get("looks", []))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.lasts)
            known = {item.id for item in self.answers}
            for item in self.questions:
                if item["id"] not in known:
                    self.asked.append(item)
                    look = Look(item["id"], LookKind(item["kind"]), IP)
                    self.answers.append(seen(look, Outcome.ROUTED, f"of {item['kind']}"))
            self.api.edit(PATH, looks=looks_status(self.answers[-16:]))


@asynccontextmanager
async def at_work() -> AsyncIterator[Speaker]:
    speaker = Speaker()
    task = asyncio.create_task(speaker.run())
    yield speaker
    task.cancel()


async def test_answers_come_in_the_order_of_the_looks_and_questions_go() -> None:
    async with at_work() as speaker:
        found = await ask(speaker.api, NAMESPACE, "n1", [ROUTE, LISTEN, ROUTE])
        assert [item.message for item in found] == ["of route", "of listen", "of route"]
        assert speaker.questions == []
        ids = [item["id"] for item in speaker.asked]
        assert len(set(ids)) == 3
        (first, second, _) = speaker.asked
        assert first == {"id": ids[0], "kind": "route", "address": "192.0.2.10", "seconds": 2}
        assert second["seconds"] == 3


async def test_several_people_ask_at_a_time() -> None:
    async with at_work() as speaker:
        many = await asyncio.gather(
            *(ask(speaker.api, NAMESPACE, "n1", [ROUTE, LISTEN]) for _ in range(5))
        )
        assert [[item.message for item in found] for found in many] == [
            ["of route", "of listen"]
        ] * 5
        assert speaker.questions == []


async def test_what_nobody_took_away_makes_room() -> None:
    async with at_work() as speaker:
        old = [resources.AskedLook(f"old-{n}", "route", "192.0.2.10") for n in range(16)]
        speaker.api.put(PATH, speaker.api.objects[PATH] | {"spec": {"looks": old}})
        found = await ask(speaker.api, NAMESPACE, "n1", [ROUTE])
        assert [item.message for item in found] == ["of route"]
        assert len(speaker.questions) <= 15


async def test_a_speaker_that_is_silent_is_said_so_with_what_it_did_answer() -> None:
    async with at_work() as speaker:
        speaker.lasts = 1e6
        await asyncio.sleep(1)
        with pytest.raises(SilentError) as caught:
            await ask(speaker.api, NAMESPACE, "n1", [ROUTE], timeout=4.0)
        assert str(caught.value) == (
            "the speaker of node n1 has not answered within 4 s: is it running?"
            " (kubectl get speakerreport n1 shows what it wrote)"
        )
        assert caught.value.answers == ()
        assert speaker.questions == [], "it is not looked at when nobody waits any more"


async def test_a_node_without_a_report_has_no_speaker() -> None:
    async with at_work() as speaker:
        with pytest.raises(SilentError, match="node n2 has no SpeakerReport: no speaker has run"):
            await ask(speaker.api, NAMESPACE, "n2", [ROUTE])


async def test_without_the_right_it_is_named() -> None:
    async with at_work() as speaker:
        no = ApiError(403, "Forbidden", 'User "bob" cannot get resource "speakerreports"')
        speaker.api.refuse[PATH] = no
        with pytest.raises(NotAllowedError) as caught:
            await ask(speaker.api, NAMESPACE, "n1", [ROUTE])
        assert str(caught.value) == (
            "asking the speaker of node n1 takes the right to get speakerreports.bellmetal.io: "
            '403 Forbidden: User "bob" cannot get resource "speakerreports"'
        )


async def test_another_error_of_the_api_server_is_its_own() -> None:
    async with at_work() as speaker:
        speaker.api.down = True
        with pytest.raises(ApiError, match="did not answer"):
            await ask(speaker.api, NAMESPACE, "n1", [ROUTE])


async def test_more_than_fit_are_not_asked_for() -> None:
    async with at_work() as speaker:
        with pytest.raises(AskingError, match="16 looks can be asked for at a time, not 17"):
            await ask(speaker.api, NAMESPACE, "n1", [ROUTE] * 17)
        assert await ask(speaker.api, NAMESPACE, "n1", []) == ()
        assert speaker.asked == []


async def test_a_kind_from_before_looks_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server of an older CRD drops what it does not know, and says nothing."""
    async with at_work() as speaker:
        store = speaker.api._store

        def pruned(path: str, body: dict[str, Any]) -> dict[str, Any]:
            return store(path, {key: value for key, value in body.items() if key != "spec"})

        monkeypatch.setattr(speaker.api, "_store", pruned)
        with pytest.raises(AskingError, match="takes no looks: apply this release's crds first"):
            await ask(speaker.api, NAMESPACE, "n1", [ROUTE])
