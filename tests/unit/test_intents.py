"""How intents look in slices, and what slices with rubbish in them say."""

from __future__ import annotations

import pytest

from bellmetal.addresses import parse_address
from bellmetal.intents import (
    Announcement,
    NodeSet,
    ServiceId,
    SliceContents,
    announcement_to_slice,
    node_set_to_slice,
    rank,
    read_slices,
)
from bellmetal.resources import ServiceRef, SliceAnnouncement, SliceNode, SliceNodeSet
from builders import addresses, announcement, node_set, slice_item, slice_object

FULL = announcement(
    term=3,
    successors=("n2", "n3"),
    interfaces=frozenset(["eth1", "eth0"]),
    services=(ServiceId("shop", "web", "u1"), ServiceId("shop", "api", "u2")),
)


def test_an_announcement_in_a_slice() -> None:
    assert announcement_to_slice(FULL) == SliceAnnouncement(
        "192.0.2.10",
        3,
        "n1",
        "selected-all",
        ["n2", "n3"],
        ["eth0", "eth1"],
        [ServiceRef("shop", "web", "u1"), ServiceRef("shop", "api", "u2")],
    )


def test_a_node_set_in_a_slice_is_sorted_by_name() -> None:
    assert node_set_to_slice(NodeSet("all", {"n2": "10.0.0.2", "n1": "10.0.0.1"})) == SliceNodeSet(
        "all", [SliceNode("n1", "10.0.0.1"), SliceNode("n2", "10.0.0.2")]
    )


def test_what_was_written_is_read() -> None:
    piece = slice_object(
        "layer2-0", announcement_to_slice(FULL), node_sets=[node_set_to_slice(node_set())]
    )
    assert read_slices([piece]) == SliceContents(
        {FULL.address: FULL}, {"selected-all": node_set()}, ()
    )


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_where_an_address_stands_in_two_slices_the_higher_term_holds(
    order: tuple[int, ...],
) -> None:
    pieces = [
        slice_object("layer2-0", slice_item(term=4, owner="n1")),
        slice_object("layer2-1", slice_item(term=5, owner="n2")),
    ]
    contents = read_slices([pieces[i] for i in order])
    assert [item.owner for item in contents.announcements.values()] == ["n2"]
    assert contents.faults == ()


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        pytest.param(slice_item("web"), '"web" is not an IP address', id="no address"),
        pytest.param(slice_item(""), '"" is not an IP address', id="an empty address"),
        pytest.param(slice_item(term=0), "term 0 is not positive", id="no term"),
        pytest.param(slice_item(term=-2), "term -2 is not positive", id="a negative term"),
        pytest.param(slice_item(node_set=""), "nodeSet is missing", id="no node set"),
    ],
)
def test_a_bad_item_is_a_fault_and_hides_no_other(item: SliceAnnouncement, sentence: str) -> None:
    good = slice_item("192.0.2.11")
    contents = read_slices([slice_object("layer2-7", item, good)])
    assert contents.faults == (f"AnnouncementSlice/layer2-7 spec.announcements[0]: {sentence}",)
    assert tuple(contents.announcements) == addresses("192.0.2.11")


def test_a_slice_of_another_version_is_a_fault_and_hides_no_other() -> None:
    strange = slice_object("strange", slice_item("192.0.2.12"), version=2)
    contents = read_slices([strange, slice_object("layer2-0", slice_item("192.0.2.11"))])
    assert contents.faults == (
        "AnnouncementSlice/strange spec.version: 2 is not understood (this release reads 1)",
    )
    assert tuple(contents.announcements) == addresses("192.0.2.11")


def test_no_slices_say_nothing() -> None:
    assert read_slices([]) == SliceContents()


def test_a_rank_depends_on_the_address_and_the_node_alone() -> None:
    address = parse_address("192.0.2.10")
    assert rank(address, "n1") == rank(parse_address("192.0.2.10"), "n1")
    assert rank(address, "n1") != rank(address, "n2")
    assert rank(address, "n1") != rank(parse_address("192.0.2.11"), "n1")


def test_an_announcement_without_services_or_interfaces_is_fine() -> None:
    piece = slice_object("layer2-0", slice_item())
    assert read_slices([piece]).announcements == {
        parse_address("192.0.2.10"): Announcement(
            parse_address("192.0.2.10"), 1, "n1", "selected-all"
        )
    }


def test_a_service_id_has_a_key() -> None:
    assert ServiceId("shop", "web", "u").key == "shop/web"
