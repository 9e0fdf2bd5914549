"""Peers that nodes know by labels or annotations of theirs → where each node finds them.

A node that does not say it, or says nonsense, has no session: a Problem of the BGPPeer. The other
nodes have theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bellmetal.addresses import AddressError, IPAddress
from bellmetal.config import ADDRESS_FROM, ASN_FROM, Gateway, Labelled, Remote
from bellmetal.resources import BGPPeer, BGPPeerSpec
from bellmetal.validation.annotations import path_of
from bellmetal.validation.bgp_annotations import Source
from bellmetal.validation.ranges import read_address
from bellmetal.validation.report import Report

MOST_NODES = 10  # that a peer has a problem with, one by one
MOST_ASN = 2**32 - 1
ANNOTATION = "node-annotation/"
PLACEHOLDERS = ("0.0.0.0", "::")
NUMBER = re.compile(r"[0-9]{1,10}")


class NonsenseError(ValueError):
    """What a node says cannot be understood; the message is the rest of a sentence."""


def check_placeholders(spec: BGPPeerSpec, asked: Mapping[str, Any], report: Report) -> None:
    """What an annotation says must not stand in the spec as well, and must be said by one."""
    given, placeholder = spec.peer_address, spec.peer_address in PLACEHOLDERS
    if ADDRESS_FROM not in asked:
        if placeholder:
            message = f"{given} stands for the annotation {ADDRESS_FROM}, which is missing"
            report.add("spec.peerAddress", message)
    elif spec.interface or not placeholder:
        path = "spec.interface" if spec.interface else "spec.peerAddress"
        message = f"the annotation {ADDRESS_FROM} says where the peer is: give the peerAddress"
        report.add(path, f"{message} 0.0.0.0 or :: and no interface")
    if ASN_FROM in asked and spec.peer_asn:
        message = f"the annotation {ASN_FROM} says it: give dynamicASN, internal or external"
        report.add("spec.peerASN", message)


def read_remotes(
    spec: BGPPeerSpec, asked: Mapping[str, Any], nodes: Iterable[Labelled], report: Report
) -> tuple[Remote, ...] | None:
    """Where the nodes that the peer selects find it; None if nothing of it is said by nodes."""
    address_from, asn_from = asked.get(ADDRESS_FROM), asked.get(ASN_FROM)
    if isinstance(address_from, Gateway):
        address_from = None
    if address_from is None and asn_from is None:
        return None
    found: dict[tuple[IPAddress | None, int], set[str]] = {}
    silent: list[tuple[str, str]] = []
    for node in sorted(nodes, key=lambda item: item.name):
        path = ADDRESS_FROM
        try:
            address = _address(node, address_from) if address_from else None
            path = ASN_FROM
            asn = _asn(node, asn_from, spec) if asn_from else 0
        except NonsenseError as error:
            silent.append((path, f"node {node.name} {error}; it has no session"))
        else:
            found.setdefault((address, asn), set()).add(node.name)
    for path, message in silent[:MOST_NODES]:
        report.note(path_of(path), message)
    if (rest := len(silent) - MOST_NODES) > 0:
        report.note(path_of(silent[-1][0]), f"{rest} more nodes have no session")
    places = sorted(found, key=lambda item: (int(item[0] or 0), item[1]))
    return tuple(Remote(frozenset(found[item]), item[1], item[0]) for item in places)


def annotations_of_nodes(bodies: Iterable[BGPPeer]) -> frozenset[str]:
    """The annotations of nodes that peers are found by."""
    texts = (
        (body.metadata.annotations or {}).get(name, "")
        for body in bodies
        for name in (ADDRESS_FROM, ASN_FROM)
    )
    return frozenset(text.removeprefix(ANNOTATION) for text in texts if text.startswith(ANNOTATION))


def _said(node: Labelled, source: Source) -> str:
    said = node.labels if source.what == "label" else node.annotations
    if source.key not in said:
        raise NonsenseError(f"has no {source}")
    return said[source.key].strip()


def _address(node: Labelled, source: Source) -> IPAddress:
    text = _said(node, source)
    try:
        address = read_address(text)
    except AddressError:
        raise NonsenseError(f'has the {source} "{text}", which is not an IP address') from None
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        raise NonsenseError(f'has the {source} "{text}", which is no peer\'s address')
    return address


def _asn(node: Labelled, source: Source, spec: BGPPeerSpec) -> int:
    text = _said(node, source)
    if not NUMBER.fullmatch(text) or not 1 <= int(text) <= MOST_ASN:
        message = f'has the {source} "{text}", which is not an AS number from 1 to {MOST_ASN}'
        raise NonsenseError(message)
    if (int(text) == spec.my_asn) != (spec.dynamic_asn == "internal"):
        raise NonsenseError(f'has the {source} "{text}", which is not {spec.dynamic_asn}')
    return int(text)
