"""Values that were decided, and the little that they say of themselves."""

from __future__ import annotations

from bellmetal.addresses import parse_address
from bellmetal.intents import ServiceId, rank


def test_a_rank_depends_on_the_address_and_the_node_alone() -> None:
    address = parse_address("192.0.2.10")
    assert rank(address, "n1") == rank(parse_address("192.0.2.10"), "n1")
    assert rank(address, "n1") != rank(address, "n2")
    assert rank(address, "n1") != rank(parse_address("192.0.2.11"), "n1")


def test_a_service_id_has_a_key() -> None:
    assert ServiceId("shop", "web", "u").key == "shop/web"
