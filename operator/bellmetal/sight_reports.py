"""How sights and looks stand in a SpeakerReport: plain values and structs ⇄ nouns. No requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bellmetal import resources
from bellmetal.addresses import AddressError, parse_address, printable
from bellmetal.sights import (
    MOST_SECONDS,
    SECONDS,
    KubeProxy,
    Look,
    LookKind,
    NodeLink,
    NodeSights,
    Outcome,
    Sight,
)

LONGEST_ID, LONGEST_MESSAGE = 64, 1024  # characters; the CRD says the same
HIGHEST_PORT = 65535

# --- what the speaker writes ---------------------------------------------------------------------


def node_status(sights: NodeSights) -> dict[str, Any]:
    """``status.node``: every field is there, so that a merge replaces it."""
    return {
        "kernel": sights.kernel,
        "links": [
            {
                "name": item.name,
                "kind": item.kind,
                "up": item.up,
                "promiscuous": item.promiscuous,
                "rpFilter": item.rp_filter,
                "arpIgnore": item.arp_ignore,
                "arpFilter": item.arp_filter,
            }
            for item in sights.links
        ],
        "kubeProxy": {
            "mode": sights.kube_proxy.mode,
            "healthy": sights.kube_proxy.healthy,
            "message": sights.kube_proxy.message[:LONGEST_MESSAGE],
        },
        "ipvsAddresses": sights.ipvs_addresses,
        "ipForward": sights.ip_forward,
        "unheard": list(sights.unheard),
    }


def looks_status(answers: Iterable[Sight]) -> list[dict[str, Any]]:
    """``status.looks``."""
    return [
        {
            "id": item.id,
            "kind": item.kind,
            "ok": item.ok,
            "outcome": item.outcome,
            "message": printable(item.message)[:LONGEST_MESSAGE],
            "macs": list(item.macs),
            "interface": item.interface,
            "at": item.at,
        }
        for item in answers
    ]


# --- what the speaker is asked -------------------------------------------------------------------


def asked(report: resources.AskedReport) -> list[Look | Sight]:
    """``spec.looks``; for what cannot be done the answer to it. What has no id gets none."""
    found = (asked_look(item) for item in report.spec.looks)
    return [item for item in found if 0 < len(item.id) <= LONGEST_ID]


def asked_look(item: resources.AskedLook) -> Look | Sight:
    """A look, or what is wrong with it: the CRD says the same, but another one may be in force."""
    try:
        kind = LookKind(item.kind)
    except ValueError:
        known = ", ".join(kind.value for kind in LookKind)
        return _denied(item, f'kind: "{item.kind[:32]}" is none of {known}')
    try:
        address = parse_address(item.address)
    except AddressError:
        address = None
    if address is None or "%" in item.address:  # the link of an address is this node's own to say
        return _denied(item, f'address: "{item.address[:64]}" is not an IP address')
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        return _denied(item, f"address: {address} is not an address of one host on a network")
    if kind is LookKind.CONNECT and not 0 < item.port <= HIGHEST_PORT:
        return _denied(item, f"port: connect wants one from 1 to {HIGHEST_PORT}, not {item.port}")
    if kind is not LookKind.CONNECT and item.port:
        return _denied(item, f"port: {kind.value} takes none")
    seconds = item.seconds or SECONDS
    if not 0 < seconds <= MOST_SECONDS:
        return _denied(item, f"seconds: from 1 to {MOST_SECONDS}, not {seconds}")
    return Look(item.id, kind, address, item.port, seconds)


def _denied(item: resources.AskedLook, message: str) -> Sight:
    return Sight(item.id, item.kind[:32], False, Outcome.DENIED.value, message)


def look_spec(look: Look) -> resources.AskedLook:
    """How a look is asked for."""
    address = str(look.address)
    return resources.AskedLook(look.id, look.kind.value, address, look.port, look.seconds)


# --- what others read ----------------------------------------------------------------------------


def read_sights(report: resources.SpeakerReport) -> NodeSights | None:
    """What a speaker sees of its node; None if it has not said so (yet)."""
    node = report.status.node
    if node is None:
        return None
    proxy = node.kube_proxy
    return NodeSights(
        kernel=node.kernel,
        links=tuple(
            NodeLink(
                *(item.name, item.kind, item.up, item.promiscuous),
                *(item.rp_filter, item.arp_ignore, item.arp_filter),
            )
            for item in node.links
        ),
        kube_proxy=KubeProxy(proxy.mode, proxy.healthy, proxy.message),
        ipvs_addresses=node.ipvs_addresses,
        ip_forward=node.ip_forward,
        unheard=tuple(node.unheard),
    )


def read_answers(report: resources.SpeakerReport) -> dict[str, Sight]:
    """The answers that a speaker gave last, by the look's id."""
    return {
        item.id: Sight(
            *(item.id, item.kind, item.ok, item.outcome, item.message),
            *(tuple(item.macs), item.interface, item.at),
        )
        for item in report.status.looks
    }
