"""Sights and looks in a SpeakerReport: what comes out is what went in, and what is refused."""

from __future__ import annotations

import ipaddress
from typing import Any

import msgspec
import pytest

from bellmetal import resources
from bellmetal.sight_reports import (
    LONGEST_MESSAGE,
    asked,
    look_spec,
    looks_status,
    node_status,
    read_answers,
    read_sights,
)
from bellmetal.sights import KubeProxy, Look, LookKind, NodeLink, NodeSights, Sight

IP = ipaddress.ip_address("192.0.2.10")
SIGHTS = NodeSights(
    "6.1.0",
    (NodeLink("eth0", "virtio", True, True, 2, 1, True), NodeLink("kube-ipvs0", "ipvs")),
    KubeProxy("ipvs", False, "kube-proxy is not healthy"),
    7,
    True,
    ("n2", "n3"),
)
SIGHT = Sight("a", "resolve", True, "answered", "m", ("02:00:00:00:00:01",), "eth0", "2026-01-01")


def read_back(**status: Any) -> resources.SpeakerReport:
    """As the API server keeps it: what is null is not there."""
    kept = msgspec.json.encode({"status": status}).replace(b'"healthy":null,', b"")
    return msgspec.json.decode(kept, type=resources.SpeakerReport)


@pytest.mark.parametrize(
    "sights", [SIGHTS, NodeSights(), NodeSights(kube_proxy=KubeProxy("", None, "no answer"))]
)
def test_sights_come_out_as_they_went_in(sights: NodeSights) -> None:
    assert read_sights(read_back(node=node_status(sights))) == sights


def test_a_report_without_sights_has_none() -> None:
    assert read_sights(read_back()) is None


def test_every_field_is_written_so_that_a_merge_replaces_it() -> None:
    assert node_status(NodeSights()).keys() == node_status(SIGHTS).keys()
    assert node_status(NodeSights())["ipvsAddresses"] is None


def test_answers_come_out_as_they_went_in() -> None:
    assert read_answers(read_back(looks=looks_status([SIGHT]))) == {"a": SIGHT}


def test_an_answer_is_printable_and_no_longer_than_the_kind_allows() -> None:
    odd = Sight("a", "route", False, "failed", "\x1b[31m" + "x" * 5000)
    (said,) = looks_status([odd])
    assert "\x1b" not in said["message"]
    assert len(said["message"]) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    "look", [Look("a", LookKind.CONNECT, IP, 80, 5), Look("b", LookKind.LISTEN, IP)]
)
def test_a_look_comes_out_as_it_was_asked(look: Look) -> None:
    report = resources.AskedReport(spec=resources.SpeakerReportSpec([look_spec(look)]))
    kept = msgspec.json.decode(msgspec.json.encode(report), type=resources.AskedReport)
    assert asked(kept) == [look]


ODD: list[tuple[dict[str, Any], str]] = [
    ({"kind": "smell"}, 'kind: "smell" is none of connect, resolve, route, listen'),
    ({"kind": "x" * 4000}, f'kind: "{"x" * 32}" is none of connect, resolve, route, listen'),
    ({"address": "here"}, 'address: "here" is not an IP address'),
    ({"address": ""}, 'address: "" is not an IP address'),
    ({"address": "192.0.2.0/24"}, 'address: "192.0.2.0/24" is not an IP address'),
    ({"address": "fe80::1%eth0"}, 'address: "fe80::1%eth0" is not an IP address'),
    ({"address": "127.0.0.1"}, "address: 127.0.0.1 is not an address of one host on a network"),
    ({"address": "::1"}, "address: ::1 is not an address of one host on a network"),
    ({"address": "224.0.0.1"}, "address: 224.0.0.1 is not an address of one host on a network"),
    ({"address": "0.0.0.0"}, "address: 0.0.0.0 is not an address of one host on a network"),
    ({"port": 80}, "port: resolve takes none"),
    ({"kind": "connect"}, "port: connect wants one from 1 to 65535, not 0"),
    ({"kind": "connect", "port": 65536}, "port: connect wants one from 1 to 65535, not 65536"),
    ({"kind": "connect", "port": -1}, "port: connect wants one from 1 to 65535, not -1"),
    ({"seconds": 6}, "seconds: from 1 to 5, not 6"),
    ({"seconds": -1}, "seconds: from 1 to 5, not -1"),
]


@pytest.mark.parametrize(("fields", "sentence"), ODD)
def test_what_cannot_be_done_is_answered_with_why(fields: dict[str, Any], sentence: str) -> None:
    spec = {"id": "a", "kind": "resolve", "address": "192.0.2.10"} | fields
    report = msgspec.convert({"spec": {"looks": [spec]}}, resources.AskedReport)
    (answer,) = asked(report)
    assert isinstance(answer, Sight)
    assert (answer.id, answer.ok, answer.outcome) == ("a", False, "denied")
    assert answer.message == sentence


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_what_has_no_id_has_no_answer(name: str) -> None:
    spec = resources.AskedLook(name, "route", "192.0.2.10")
    assert asked(resources.AskedReport(spec=resources.SpeakerReportSpec([spec]))) == []
