"""BGPPeers, each by itself. An invalid one is left out.

A BFDProfile that is not there, or is invalid, is a problem that leaves the peer in force, with
BFD's default times: to end BFD would end the session, as the router takes that for a failure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from bellmetal.addresses import AddressError, IPAddress
from bellmetal.config import (
    ADD_PATH,
    ADDRESS_FROM,
    DRAIN_TIME,
    MAX_PREFIXES,
    PASSIVE,
    TCP_AO,
    TTL_SECURITY,
    Gateway,
    Peer,
)
from bellmetal.resources import BGPPeer, BGPPeerSpec
from bellmetal.validation.annotations import path_of, read_annotations
from bellmetal.validation.bgp_annotations import DRAIN_SECONDS
from bellmetal.validation.durations import parse_duration
from bellmetal.validation.labelled import Index
from bellmetal.validation.ranges import read_address
from bellmetal.validation.remotes import PLACEHOLDERS, check_placeholders, read_remotes
from bellmetal.validation.report import Report, Reports, missing, oldest_first
from bellmetal.validation.selectors import read_selectors

KIND = "BGPPeer"
MOST_ASN = 2**32 - 1
BGP_PORT = 179
HOLD = "must be 0 or >=3s, at most 65535s"


def read_peers(
    bodies: Iterable[BGPPeer],
    profiles: Collection[str],
    sound_profiles: Collection[str],
    nodes: Index,
    reports: Reports,
) -> list[tuple[Peer, Report]]:
    """All of them, oldest first, with their reports: others have still to be compared with."""
    found = []
    for body in oldest_first(bodies):
        report = reports.of(KIND, body)
        asked = read_annotations(KIND, body.metadata.annotations, report)
        wanted = body.spec.bfd_profile
        if wanted and wanted not in profiles:
            message = f"{missing('BFDProfile', wanted, profiles)}; BFD runs with its default times"
            report.note("spec.bfdProfile", message)
        elif wanted and wanted not in sound_profiles:
            message = f"BFDProfile/{wanted} is invalid; BFD runs with its default times"
            report.note("spec.bfdProfile", message)
        peer = _peer(body, wanted, asked, report)
        chosen = (nodes.items[name] for name in nodes.matching(peer.node_selectors))
        remotes = read_remotes(body.spec, asked, chosen, report)
        found.append((replace(peer, remotes=remotes), report))
    return found


def _peer(body: BGPPeer, profile: str, asked: Mapping[str, Any], report: Report) -> Peer:
    spec = body.spec
    _check_numbers(spec, report)
    _check_remote(spec, report)
    check_placeholders(spec, asked, report)
    hold, keepalive = _timers(spec, report)
    secret = spec.password_secret.name if spec.password_secret else ""
    if spec.password and secret:
        message = "can not have both password and secret ref set in peer config"
        report.add("spec.passwordSecret", message)
    if asked.get(TCP_AO) and not spec.password and not secret:
        report.add(path_of(TCP_AO), "TCP-AO needs a password: give one, or a passwordSecret")
    return Peer(
        name=body.metadata.name,
        uid=body.metadata.uid,
        my_asn=spec.my_asn,
        peer_asn=spec.peer_asn,
        local_asn=spec.local_asn,
        dynamic_asn=spec.dynamic_asn,
        peer_address=_address(
            "" if spec.peer_address in PLACEHOLDERS else spec.peer_address,
            "peerAddress",
            "BGPPeer address",
            report,
        ),
        interface=spec.interface,
        source_address=_address(spec.source_address, "sourceAddress", "source IP", report),
        peer_port=spec.peer_port or BGP_PORT,
        hold_time=hold,
        keepalive_time=keepalive,
        connect_time=_connect_time(spec.connect_time, report),
        router_id=_router_id(spec.router_id, report),
        node_selectors=read_selectors(spec.node_selectors, "spec.nodeSelectors", report),
        password=spec.password,
        password_secret=secret,
        bfd_profile=profile,
        enable_graceful_restart=spec.enable_graceful_restart,
        ebgp_multi_hop=spec.ebgp_multi_hop,
        vrf=spec.vrf,
        dual_stack_address_family=spec.dual_stack_address_family,
        gateway=gateway if isinstance(gateway := asked.get(ADDRESS_FROM), Gateway) else None,
        passive=asked.get(PASSIVE, False),
        ttl_security=asked.get(TTL_SECURITY, 0),
        tcp_ao=asked.get(TCP_AO, False),
        drain_time=asked.get(DRAIN_TIME, DRAIN_SECONDS),
        max_prefixes=asked.get(MAX_PREFIXES, 0),
        add_path=asked.get(ADD_PATH, False),
    )


# --- numbers -------------------------------------------------------------------------------------


def _check_numbers(spec: BGPPeerSpec, report: Report) -> None:
    for number, name in (
        (spec.my_asn, "myASN"),
        (spec.peer_asn, "peerASN"),
        (spec.local_asn, "localASN"),
    ):
        if not 0 <= number <= MOST_ASN:
            report.add(f"spec.{name}", f"{number} is not between 0 and {MOST_ASN}")
    if not spec.my_asn:
        report.add("spec.myASN", f"missing local ASN: give 1 to {MOST_ASN}")
    if not spec.peer_asn and not spec.dynamic_asn:
        report.add("spec.peerASN", "missing peer ASN and dynamicASN: give one of them")
    if spec.peer_asn and spec.dynamic_asn:
        report.add("spec.dynamicASN", "both peer ASN and dynamicASN specified: give one of them")
    if spec.dynamic_asn not in ("", "internal", "external"):
        message = f'invalid dynamicASN "{spec.dynamic_asn}": it is neither internal nor external'
        report.add("spec.dynamicASN", message)
    if spec.ebgp_multi_hop and spec.peer_asn and spec.peer_asn == spec.my_asn:
        report.add(
            "spec.ebgpMultiHop",
            "invalid ebgp-multihop parameter set for an ibgp peer: peerASN is the same as myASN",
        )
    if not 0 <= spec.peer_port <= 65535:
        report.add("spec.peerPort", f"{spec.peer_port} is not between 1 and 65535")


# --- addresses -----------------------------------------------------------------------------------


def _check_remote(spec: BGPPeerSpec, report: Report) -> None:
    if not spec.peer_address and not spec.interface:
        message = "peer has no Address or Interface specified: give one of them"
        report.add("spec.peerAddress", message)
    if spec.peer_address and spec.interface:
        message = "peer has both Address and Interface specified: give one of them"
        report.add("spec.interface", message)


def _address(text: str, name: str, words: str, report: Report) -> IPAddress | None:
    if not text:
        return None
    try:
        return read_address(text)
    except AddressError:
        report.add(f"spec.{name}", f'invalid {words} "{text}": it is not an IP address')
        return None


def _router_id(text: str, report: Report) -> IPAddress | None:
    """RFC 6286, 2.1: four octets, not zero."""
    try:
        address = read_address(text) if text else None
    except AddressError:
        address = None
    sound = address is not None and address.version == 4 and int(address) != 0
    if text and not sound:
        reason = "it is zero" if address and not int(address) else "it is not an IPv4 address"
        report.add("spec.routerID", f'invalid router ID "{text}": {reason}')
    return address if sound else None


# --- timers --------------------------------------------------------------------------------------


def _timers(spec: BGPPeerSpec, report: Report) -> tuple[float | None, float | None]:
    """Hold and keepalive time; one that is not given follows from the other."""
    hold = keepalive = None
    if spec.hold_time is not None:
        hold = parse_duration(spec.hold_time)
        if hold is None or not _sound_hold(hold):
            message = f'invalid hold time "{spec.hold_time}": {HOLD}, as in 90s or 1m30s'
            report.add("spec.holdTime", message)
    if spec.keepalive_time is not None:
        keepalive = parse_duration(spec.keepalive_time)
        if keepalive is None or keepalive < 0:
            message = (
                f'invalid keepaliveTime "{spec.keepalive_time}": must be 0 or more,'
                " as in 30s or 1m30s"
            )
            report.add("spec.keepaliveTime", message)
        elif hold is not None and keepalive > hold:
            message = (
                f'invalid keepaliveTime "{spec.keepalive_time}", must be lower than'
                f' holdTime "{spec.hold_time}"'
            )
            report.add("spec.keepaliveTime", message)
        elif spec.hold_time is None and not _sound_hold(3 * keepalive):
            message = (
                f'invalid hold time, three times the keepaliveTime "{spec.keepalive_time}": {HOLD}'
            )
            report.add("spec.keepaliveTime", message)
    if hold is None and keepalive is not None and spec.hold_time is None:
        hold = 3 * keepalive
    hold = None if hold is None else float(int(hold))  # the wire has whole seconds
    if keepalive is None and hold is not None:
        keepalive = hold / 3
    return hold, keepalive


def _sound_hold(seconds: float) -> bool:
    """RFC 4271, 4.2: zero or at least three seconds, in two octets."""
    return seconds == 0 or 3 <= seconds < 65536


def _connect_time(text: str | None, report: Report) -> float | None:
    if text is None:
        return None
    seconds = parse_duration(text)
    if seconds is None or not 1 <= seconds <= 65535:
        message = f'connect time should be between 1 seconds to 65535, not "{text}"'
        report.add("spec.connectTime", message)
    elif seconds % 1:
        message = f'connect time should contain a whole number of seconds, not "{text}"'
        report.add("spec.connectTime", message)
    return seconds
