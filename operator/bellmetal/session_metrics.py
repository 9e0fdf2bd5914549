"""BGP and BFD sessions as Prometheus sees them: MetalLB's names, and ours. Read at scrape time.

MetalLB has two sets of names, of its own speaker and of its exporter for FRR; where both have one
it is the same. Their label ``peer`` differs in nothing but that the exporter adds ``vrf``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bellmetal.facts import BFDState, SessionFacts, SessionState

DEFAULT_VRF = "default"

# name of the counter in the facts → metric and help
COUNTERS = {
    "updates_sent": ("metallb_bgp_updates_total", "Number of BGP UPDATE messages sent"),
    "updates_received": (
        "metallb_bgp_updates_total_received",
        "Number of BGP UPDATE messages received",
    ),
    "opens_sent": ("metallb_bgp_opens_sent", "Number of BGP OPEN messages sent"),
    "opens_received": ("metallb_bgp_opens_received", "Number of BGP OPEN messages received"),
    "notifications_sent": (
        "metallb_bgp_notifications_sent",
        "Number of BGP NOTIFICATION messages sent",
    ),
    "notifications_received": (
        "bellmetal_bgp_notifications_received_total",
        "Number of BGP NOTIFICATION messages received",
    ),
    "keepalives_sent": ("metallb_bgp_keepalives_sent", "Number of BGP KEEPALIVE messages sent"),
    "keepalives_received": (
        "metallb_bgp_keepalives_received",
        "Number of BGP KEEPALIVE messages received",
    ),
    "route_refresh_sent": (
        "metallb_bgp_route_refresh_sent",
        "Number of BGP ROUTE-REFRESH messages sent",
    ),
    "route_refresh_received": (
        "bellmetal_bgp_route_refresh_received_total",
        "Number of BGP ROUTE-REFRESH messages received",
    ),
    "total_sent": ("metallb_bgp_total_sent", "Number of BGP messages sent"),
    "total_received": ("metallb_bgp_total_received", "Number of BGP messages received"),
}
BFD_COUNTERS = {
    "control_packet_input": "Number of BFD control packets received",
    "control_packet_output": "Number of BFD control packets sent",
    "echo_packet_input": "Number of BFD echo packets received",
    "echo_packet_output": "Number of BFD echo packets sent",
    "session_up_events": "Number of times the BFD session went up",
    "session_down_events": "Number of times the BFD session went down",
}
BFD_TOLD = ("session_up_events", "session_down_events")
GAUGES: dict[str, tuple[str, Callable[[SessionFacts], float]]] = {
    "metallb_bgp_session_up": (
        "BGP session state (1 is up, 0 is down)",
        lambda item: item.state is SessionState.ESTABLISHED,
    ),
    "metallb_bgp_announced_prefixes_total": (
        "Number of prefixes currently being advertised on the BGP session",
        lambda item: item.prefixes_sent,
    ),
    "metallb_bgp_pending_prefixes_total": (
        "Number of prefixes that should be advertised on the BGP session",
        lambda item: item.prefixes_sent + item.prefixes_pending,
    ),
    "metallb_bgp_received_prefixes_total": (
        "Number of prefixes that the peer advertises; none of them is used",
        lambda item: item.prefixes_received,
    ),
}


class SessionCollector:
    """``sessions()`` says how they are at this moment."""

    def __init__(self, sessions: Callable[[], Iterable[SessionFacts]]) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows; nothing, families included, as long as there is no peer."""
        sessions = _distinct(self._sessions())
        if not sessions:
            return
        for name, (help_, value) in GAUGES.items():
            family = GaugeMetricFamily(name, help_, labels=["peer", "vrf"])
            for labels, item in sessions.items():
                family.add_metric(labels, float(value(item)))
            yield family
        for counter, (name, help_) in COUNTERS.items():
            counted = CounterMetricFamily(name, help_, labels=["peer", "vrf"])
            for labels, item in sessions.items():
                counted.add_metric(labels, item.counters.get(counter, 0))
            yield counted
        yield from _ours(sessions)
        yield from _bfd(sessions.values())


def _distinct(sessions: Iterable[SessionFacts]) -> dict[tuple[str, str], SessionFacts]:
    """By labels; of two peers with the same address the one that is established."""
    found: dict[tuple[str, str], SessionFacts] = {}
    for item in sorted(sessions, key=lambda item: item.state is not SessionState.ESTABLISHED):
        found.setdefault((f"{item.remote}:{item.port}", item.vrf or DEFAULT_VRF), item)
    return found


def _ours(sessions: dict[tuple[str, str], SessionFacts]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "bellmetal_bgp_session_state",
        "1 for the state of RFC 4271 that the BGP session is in; name is the BGPPeer's",
        labels=["peer", "vrf", "name", "state"],
    )
    flaps = CounterMetricFamily(
        "bellmetal_bgp_session_flaps_total",
        "Number of times an established BGP session was lost",
        labels=["peer", "vrf", "name"],
    )
    for labels, item in sessions.items():
        for each in SessionState:
            state.add_metric([*labels, item.peer, each.value], float(each is item.state))
        flaps.add_metric([*labels, item.peer], item.flaps)
    yield state
    yield flaps


def _bfd(sessions: Iterable[SessionFacts]) -> Iterator[Metric]:
    """BFD sessions are told apart by address and VRF alone: peers on several ports share one."""
    found = {
        (item.remote, item.vrf or DEFAULT_VRF): item.bfd
        for item in sessions
        if item.bfd is not None
    }
    if not found:
        return
    up = GaugeMetricFamily(
        "metallb_bfd_session_up", "BFD session state (1 is up, 0 is down)", labels=["peer", "vrf"]
    )
    for labels, bfd in found.items():
        up.add_metric(labels, float(bfd.state is BFDState.UP))
    yield up
    for counter, help_ in BFD_COUNTERS.items():
        counted = CounterMetricFamily(f"metallb_bfd_{counter}", help_, labels=["peer", "vrf"])
        for labels, bfd in found.items():
            counted.add_metric(labels, bfd.counters.get(counter, 0))
        yield counted
    told = CounterMetricFamily(
        "metallb_bfd_zebra_notifications",
        "Number of times BFD told BGP that the session is up or down (FRR tells zebra)",
        labels=["peer", "vrf"],
    )
    for labels, bfd in found.items():
        told.add_metric(labels, sum(bfd.counters.get(name, 0) for name in BFD_TOLD))
    yield told
