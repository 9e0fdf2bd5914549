"""SpeakerReports with looks and sights on a real API server: schema, rights, null."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Iterator
from typing import Any

import pytest

from bellmetal import resources
from bellmetal.api import Client, read_kubeconfig
from bellmetal.cli.asking import NotAllowedError, SilentError, ask
from bellmetal.follow import LOOKS, Follower
from bellmetal.sight_reports import asked, looks_status, node_status, read_answers, read_sights
from bellmetal.sights import (
    MOST_LOOKS,
    MOST_UNHEARD,
    KubeProxy,
    Look,
    LookKind,
    NodeLink,
    NodeSights,
    Outcome,
    seen,
)
from kube.installed import MERGE, NAMESPACE, answer, hand, installed, place
from lab.bare import Bare
from lab.waiting import until

pytestmark = pytest.mark.kube

IP = ipaddress.ip_address("192.0.2.10")
REPORTS = place("SpeakerReport")
SOUND = {"id": "a", "kind": "resolve", "address": "192.0.2.10"}


@pytest.fixture(scope="module")
def api() -> Iterator[Bare]:
    with installed() as lab:
        for name in ("n1", "n2"):
            lab.rest.post(REPORTS, report(name))
        yield lab


def report(name: str, **parts: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": NAMESPACE}
    return {
        "apiVersion": "bellmetal.io/v1alpha1",
        "kind": "SpeakerReport",
        "metadata": meta,
        **parts,
    }


def looks(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"looks": list(items)}}


@pytest.mark.parametrize(
    "items",
    [
        [SOUND],
        [SOUND | {"address": "2001:db8::1", "kind": "listen", "seconds": 5}],
        [SOUND | {"kind": "connect", "port": 443}, SOUND | {"id": "B_1.x", "kind": "route"}],
        [SOUND | {"id": f"l{number}"} for number in range(MOST_LOOKS)],
        [],
    ],
)
def test_looks_that_may_be_asked_for(api: Bare, items: list[dict[str, Any]]) -> None:
    assert answer(api.rest, "PATCH", f"{REPORTS}/n1", looks(*items)) == ""


REFUSED: list[tuple[list[dict[str, Any]], str]] = [
    ([SOUND | {"kind": "smell"}], 'supported values: "connect", "resolve", "route", "listen"'),
    ([SOUND | {"address": "here"}], "is not an IP address"),
    ([SOUND | {"address": "1" * 46}], "may not be more than 45 bytes"),
    ([SOUND | {"port": 80}], "connect wants a port, and nothing else takes one"),
    ([SOUND | {"kind": "connect"}], "connect wants a port, and nothing else takes one"),
    ([SOUND | {"kind": "connect", "port": 0}], "should be greater than or equal to 1"),
    ([SOUND | {"kind": "connect", "port": 65536}], "should be less than or equal to 65535"),
    ([SOUND | {"seconds": 6}], "should be less than or equal to 5"),
    ([SOUND | {"seconds": 0}], "should be greater than or equal to 1"),
    ([SOUND | {"id": ""}], "should be at least 1 chars long"),
    ([SOUND | {"id": "a b"}], "should match"),
    ([SOUND | {"id": "x" * 65}], "may not be more than 64 bytes"),
    ([{"id": "a", "kind": "route"}], "address: Required value"),
    ([SOUND, SOUND], "Duplicate value"),
    ([SOUND | {"id": f"l{number}"} for number in range(MOST_LOOKS + 1)], "must have at most 16"),
]


@pytest.mark.parametrize(("items", "sentence"), REFUSED)
def test_looks_that_may_not(api: Bare, items: list[dict[str, Any]], sentence: str) -> None:
    assert sentence in answer(api.rest, "PATCH", f"{REPORTS}/n1", looks(*items))


def widest() -> NodeSights:
    """Sights of which nothing is empty and all is as long as it gets."""
    links = tuple(
        NodeLink(f"enp{number:03}", "wireless", True, True, 2, 8, True) for number in range(64)
    )
    proxy = KubeProxy("nftables", False, "x" * 3000)
    names = tuple(f"{'n' * 240}-{number}" for number in range(MOST_UNHEARD))
    return NodeSights("6.1.0-18-amd64", links, proxy, 12, True, names)


def test_what_a_speaker_writes_fits_and_comes_back(api: Bare) -> None:
    macs = tuple(f"02:00:00:00:00:{number:02x}" for number in range(16))
    answers = [
        seen(Look(f"{n}", LookKind.RESOLVE, IP), Outcome.ANSWERED, "m" * 3000, macs, "eth0,eth1")
        for n in range(MOST_LOOKS)
    ]
    status = {"looks": looks_status(answers)}
    for item in status["looks"]:
        item["at"] = "2026-01-01T00:00:00Z"
    for sights in (widest(), NodeSights(), NodeSights(kube_proxy=KubeProxy(message="no answer"))):
        body = {"status": status | {"node": node_status(sights)}}
        api.rest.request("PATCH", f"{REPORTS}/n1", body, MERGE)
        found = get(api, "n1")
        kept = node_status(read_sights(found) or NodeSights(kernel="none"))
        assert kept == node_status(sights), "what is None is not there any more"
        assert len(read_answers(found)) == MOST_LOOKS


def test_in_a_new_report_null_is_no_value(api: Bare) -> None:
    status = {"version": 1, "node": node_status(NodeSights())}
    assert answer(api.rest, "POST", REPORTS, report("n3", status=status)) == ""
    kept = api.rest.get(f"{REPORTS}/n3")["status"]["node"]
    assert "ipvsAddresses" not in kept
    assert "healthy" not in kept["kubeProxy"]
    assert read_sights(get(api, "n3")) == NodeSights()


def get(api: Bare, name: str) -> resources.SpeakerReport:
    async def read() -> resources.SpeakerReport:
        async with Client(read_kubeconfig(api.kubeconfig())) as client:
            return await client.get(resources.SpeakerReport, f"{REPORTS}/{name}")

    return asyncio.run(read())


# --- rights ---------------------------------------------------------------------------------------


def test_a_speaker_may_not_ask_another(api: Bare) -> None:
    wrong = 'the speaker of node "n1" may write only the SpeakerReport of that name'
    speaker = hand(api, "n1")
    until(lambda: answer(speaker, "PATCH", f"{REPORTS}/n2", looks(SOUND)), "the policy holds", 10)
    assert wrong in answer(speaker, "PATCH", f"{REPORTS}/n2", looks(SOUND))
    assert answer(speaker, "PATCH", f"{REPORTS}/n1", {"status": {"bootID": "b"}}) == ""


def test_who_may_not_read_reports_is_told_the_right(api: Bare) -> None:
    config = api.service_account_kubeconfig(NAMESPACE, "bellmetal-controller", None)

    async def try_it() -> None:
        async with Client(read_kubeconfig(config)) as client:
            await ask(client, NAMESPACE, "n1", [Look("", LookKind.ROUTE, IP)])

    with pytest.raises(NotAllowedError) as caught:
        asyncio.run(try_it())
    assert str(caught.value).startswith(
        "asking the speaker of node n1 takes the right to get speakerreports.bellmetal.io: "
        "403 Forbidden: "
    )


def test_asking_leaves_nothing_behind(api: Bare) -> None:
    api.rest.request("PATCH", f"{REPORTS}/n1", looks(SOUND | {"id": "somebody-elses"}), MERGE)

    async def try_it() -> None:
        async with Client(read_kubeconfig(api.kubeconfig())) as client:
            await ask(client, NAMESPACE, "n1", [Look("", LookKind.ROUTE, IP)], timeout=0.5)

    with pytest.raises(SilentError):
        asyncio.run(try_it())
    assert [item.id for item in get(api, "n1").spec.looks] == ["somebody-elses"]


def test_a_speaker_follows_its_own_report_alone(api: Bare) -> None:
    """With the chart's rights: by the name of its node."""
    config = api.service_account_kubeconfig(NAMESPACE, "bellmetal-speaker", "n1")

    async def follow() -> list[str]:
        news = asyncio.Event()
        async with Client(read_kubeconfig(config)) as client:
            follower: Follower[resources.AskedReport] = Follower(
                client, LOOKS, NAMESPACE, news.set, fields="metadata.name=n1"
            )
            task = asyncio.create_task(follower.run())
            async with asyncio.timeout(10):
                await news.wait()
                for name in ("n2", "n1"):
                    body = looks(SOUND | {"id": f"for-{name}"})
                    path = f"{REPORTS}/{name}"
                    await asyncio.to_thread(api.rest.request, "PATCH", path, body, MERGE)
                found: list[str] = []
                while "for-n1" not in found:
                    await asyncio.sleep(0.05)
                    nouns = follower.collection.nouns.values()
                    found = [look.id for item in nouns for look in asked(item)]
            task.cancel()
            return found

    assert asyncio.run(follow()) == ["for-n1"]


def test_people_can_ask_by_hand(api: Bare) -> None:
    patch = json.dumps(looks(SOUND | {"id": "by-hand"}))
    api.kubectl("patch", "speakerreport", "n2", "-n", NAMESPACE, "--type=merge", "-p", patch)
    (found,) = get(api, "n2").spec.looks
    assert (found.id, found.seconds) == ("by-hand", 2), "with the default"
