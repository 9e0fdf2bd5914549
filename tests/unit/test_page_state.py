"""What the page shows: it agrees with `explain`, is bounded, and says what happened lately."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bellmetal import resources
from bellmetal.addresses import Family, Range, parse_address
from bellmetal.cluster import Endpoints, Request
from bellmetal.config import Problem
from bellmetal.diagnosis.pool import tally
from bellmetal.diagnosis.situation import Situation
from bellmetal.facts import DoubtKind
from bellmetal.holdings import Tenure
from bellmetal.page.facts import address_facts, block_map
from bellmetal.page.occupancy import occupancy
from bellmetal.page.services import services
from bellmetal.page.state import state
from builders import NOW, advertisement, cluster, held, holder, holding, pool, service
from page_stage import example, moved
from situations import doubt, settled

Plain = dict[str, Any]


def shown(situation: Situation, *events: resources.Event) -> Plain:
    found: Plain = json.loads(json.dumps(state(situation, occupancy(situation), events)))
    return found


def row(situation: Situation, key: str) -> Plain:
    (found,) = [
        item for item in services(situation, occupancy(situation))["rows"] if item["name"] == key
    ]
    return found


def cell(situation: Situation, name: str, address: str) -> Plain:
    found = block_of(situation, name, address, address)["cells"]
    assert len(found) == 1
    only: Plain = found[0]
    return only


def block_of(situation: Situation, name: str, first: str, last: str) -> Plain:
    the_pool = situation.cluster.config.pool(name)
    assert the_pool is not None
    block = Range(parse_address(first), parse_address(last))
    return block_map(occupancy(situation), the_pool, block)


# --- pools ----------------------------------------------------------------------------------------


def test_the_figures_of_a_pool_are_those_of_explain() -> None:
    situation = example()
    for item in shown(situation)["pools"]:
        the_pool = situation.cluster.config.pool(item["name"])
        assert the_pool is not None
        for family in item["families"]:
            counts = tally(situation, the_pool, Family(family["family"]))
            used = family.get("held", 0) + family.get("orphaned", 0)
            assert (counts["total"], counts["used"]) == (family["total"], used)
            assert counts["reserved"] == family.get("reserved", 0)
            assert counts["cooling"] == family.get("cooling", 0)
            assert counts["free"] == family["free"]


def test_each_state_of_an_address_is_told_apart() -> None:
    situation = example()
    states = {
        "192.0.2.0": "never",
        "192.0.2.1": "held",
        "192.0.2.30": "cooling",
        "192.0.2.40": "reserved",
        "192.0.2.50": None,
    }
    assert {text: cell(situation, "lan", text).get("state") for text in states} == states
    assert cell(situation, "lan", "192.0.2.1") == {
        "first": "192.0.2.1",
        "state": "held",
        "services": ["apps/web"],
        "owner": "n2",
    }


def test_an_address_that_no_pool_allows_stands_apart() -> None:
    web = service("shop/web", shown="198.51.100.7", shown_pool="main")
    ledger = held(holding("198.51.100.7", web))
    found = shown(settled(cluster(web), ledger))
    assert [(item["address"], item["state"]) for item in found["outside"]] == [
        ("198.51.100.7", "orphaned")
    ]
    assert found["outsideTotal"] == 1
    assert row(settled(cluster(web), ledger), "shop/web")["said"].startswith(
        "198.51.100.7 is given and no pool allows it"
    )


# --- Services -------------------------------------------------------------------------------------


def test_what_is_not_well_comes_first() -> None:
    found = services(example(), occupancy(example()))
    assert [(item["name"], item["state"]) for item in found["rows"][:3]] == [
        ("apps/typo", "refused"),
        ("apps/video", "withheld"),
        ("apps/api", "announced"),
    ]
    assert (found["total"], found["unwell"], found["matching"]) == (23, 2, 23)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ("WEB", ["apps/web"]),
        ("192.0.2.1", ["apps/web", "apps/wiki"]),
        ("gateway-12", ["edge/gateway-12"]),
        ("nobody", []),
    ],
)
def test_services_are_found_by_name_and_address(wanted: str, names: list[str]) -> None:
    found = services(example(), occupancy(example()), wanted)
    assert [item["name"] for item in found["rows"]] == names
    assert found["matching"] == len(names)


def test_services_are_found_by_their_owner() -> None:
    found = services(example(), occupancy(example()), "n2")
    owners = {item["owner"] for one in found["rows"] for item in one["addresses"]}
    assert (owners, found["matching"]) == ({"n2"}, 4)


def test_a_service_that_nobody_says_to_answer_for_is_noted() -> None:
    situation = replace(example(), answering={})
    web = row(situation, "apps/web")
    assert (web["state"], web["said"]) == ("unreached", "192.0.2.1: The owner does not answer yet")
    assert row(situation, "edge/gateway-1")["said"] == ""  # by BGP


# --- time-line ------------------------------------------------------------------------------------


def lines(situation: Situation, *events: resources.Event) -> list[tuple[str, str, str]]:
    return [(e["kind"], e["subject"], e["said"]) for e in shown(situation, *events)["timeline"]]


def test_what_happened_lately_is_told_the_newest_first() -> None:
    assert lines(example())[:4] == [
        ("session", "rack-2", "n3: Active, nothing was heard for 90 s (lost 4 times so far)"),
        ("freed", "192.0.2.30", "given up by apps/beta"),
        ("moved", "192.0.2.1", "n1 → n2: took over from n1: its node is not ready"),
        ("moved", "192.0.2.1", "n3 → n1: moved by order (bellmetal.io/move-to)"),
    ]


def test_a_move_is_told() -> None:
    after = moved(example(), "192.0.2.4", "n3", "drain of n2: annotation", NOW)
    assert lines(after)[0] == ("moved", "192.0.2.4", "n2 → n3: drain of n2: annotation")


def test_what_an_event_has_told_of_a_session_is_not_told_twice() -> None:
    event = resources.Event(
        involved_object=resources.ObjectReference(kind="BGPPeer", name="rack-2"),
        message="rack-2 (10.0.9.2): the session is lost: nothing was heard for 90 s",
        type="Warning",
        source=resources.EventSource("metallb-speaker", "n3"),
        last_timestamp="2026-06-01T11:55:31Z",
    )
    told = [item for item in lines(example(), event) if item[1] == "rack-2" and "n3" in item[2]]
    assert told == [("session", "rack-2", f"n3: {event.message}")]


def test_no_kind_of_news_crowds_out_another() -> None:
    ledger = held(
        *(
            holding(f"192.0.{block}.{number}", holder(f"shop/x{block}-{number}", NOW))
            for block in range(2, 5)
            for number in range(1, 200)
        ),
        holding(
            "192.0.9.1",
            holder("shop/web", "2026-01-01T00:00:00Z"),
            owners=(Tenure("n2", "2026-01-02T00:00:00Z", "preferred"), Tenure("n1", "", "first")),
        ),
    )
    found = lines(replace(settled(cluster()), held=ledger))
    assert ("moved", "192.0.9.1", "n1 → n2: preferred") in found
    assert len(found) <= 120


# --- one address ----------------------------------------------------------------------------------


def test_the_facts_of_an_address_that_was_given_up() -> None:
    facts = address_facts(example(), occupancy(example()), parse_address("192.0.2.30"))
    assert (facts["state"], facts["lastService"], facts["freedAt"], facts["coolDown"]) == (
        "cooling",
        "apps/beta",
        "2026-06-01T11:50:00Z",
        3600.0,
    )


def test_what_nodes_doubt_of_an_address_is_among_its_facts() -> None:
    wrong = doubt(DoubtKind.FOREIGN, "192.0.2.1")
    situation = replace(example(), doubts=(("n3", wrong),))
    facts = address_facts(situation, occupancy(situation), parse_address("192.0.2.1"))
    assert facts["doubts"] == [{"node": "n3", "said": wrong.message}]
    assert facts["services"] == ["apps/web"]


# --- bounds ---------------------------------------------------------------------------------------


def test_ten_thousand_addresses_are_a_bounded_answer() -> None:
    many = [
        service(f"ns-{n % 50}/service-with-a-longish-name-{n}", pool="big") for n in range(10_000)
    ]
    pools = [pool("big", "10.16.0.0/12"), pool("six", "2001:db8::/48")]
    pools += [pool(f"small-{n}", f"192.168.{n}.0/24") for n in range(200)]
    of = cluster(*many, pools=pools, advertisements=[advertisement()])
    found = shown(settled(of))
    assert len(json.dumps(found)) < 600_000
    assert found["services"]["total"] == 10_000
    assert len(found["services"]["rows"]) == 200
    (big,) = [item for item in found["pools"] if item["name"] == "big"]
    cells = big["families"][0]["map"]["cells"]
    assert sum(item.get("held", 0) for item in cells if "size" in item) == 10_000
    assert found["poolsLeftOff"] == len(pools) - 100


def test_sentences_and_lists_have_an_end() -> None:
    problems = tuple(Problem("IPAddressPool", f"p{n}", "spec", "x" * 9000) for n in range(999))
    situation = replace(example(), problems=problems)
    found = shown(situation)
    assert (len(found["problems"]), found["problemsTotal"]) == (50, 999)
    assert max(map(len, found["problems"])) == 300


def test_a_service_that_is_not_served_by_us_is_not_listed() -> None:
    other = service("shop/other", ours=False, request=Request())
    of = cluster(other, endpoints={"shop/other": Endpoints()})
    assert shown(settled(of))["services"]["total"] == 0
