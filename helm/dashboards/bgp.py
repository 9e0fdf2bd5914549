"""The dashboard of BGP and BFD: sessions, prefixes, what is lost."""

from __future__ import annotations

from grafana import (
    HIDDEN,
    JOB,
    NEUTRAL,
    OK_IF_ANY,
    OK_IF_NONE,
    PROGRAMS_JOB,
    RATE,
    Dashboard,
    Panel,
    stat,
)

PEER = f'{JOB}, peer=~"$peer", instance=~"$instance"'
# BFD's peer has no port.
NODE = f'{JOB}, instance=~"$instance"'
SESSION = "{{instance}} → {{peer}}"


def _rate(metric: str, labels: str = PEER) -> str:
    return f"rate({metric}{{{labels}}}{RATE})"


BGP = Dashboard(
    "bellmetal-bgp",
    "Bellmetal: BGP",
    {
        "At a glance": [
            stat(
                "Sessions up",
                f"sum(metallb_bgp_session_up{{{PEER}}}) or vector(0)",
                OK_IF_ANY,
                "Established.",
            ),
            stat(
                "Sessions down",
                f"count(metallb_bgp_session_up{{{PEER}}} == 0) or vector(0)",
                OK_IF_NONE,
                "bellmetal status bgp says why, and what to do.",
            ),
            stat(
                "BFD sessions down",
                f"count(metallb_bfd_session_up{{{NODE}}} == 0) or vector(0)",
                OK_IF_NONE,
                "The path to the router is not watched, or has failed.",
            ),
            stat(
                "Prefixes waiting",
                f"sum(metallb_bgp_pending_prefixes_total{{{PEER}}}"
                f" - metallb_bgp_announced_prefixes_total{{{PEER}}}) or vector(0)",
                OK_IF_NONE,
                "They should be advertised and are not yet.",
            ),
            stat(
                "Sessions lost in 24 h",
                f"sum(increase(bellmetal_bgp_session_flaps_total{{{PEER}}}[24h])) or vector(0)",
                OK_IF_NONE,
                "Established ones that ended.",
            ),
            stat(
                "Prefixes announced",
                f'count(group by (ip) (metallb_speaker_announced{{{JOB}, protocol="bgp"}}))'
                " or vector(0)",
                NEUTRAL,
                "Each once, from however many nodes.",
            ),
        ],
        "Sessions": [
            Panel(
                "Up or down",
                {SESSION: f"metallb_bgp_session_up{{{PEER}}}"},
                kind="state-timeline",
                steps=OK_IF_ANY,
                width=16,
                words=("down", "up"),
            ),
            Panel(
                "Lost",
                {SESSION: f"increase(bellmetal_bgp_session_flaps_total{{{PEER}}}{RATE})"},
                "Established sessions that ended.",
            ),
            Panel(
                "Now",
                {"": f"bellmetal_bgp_session_state{{{PEER}}} == 1"},
                "The state of RFC 4271 that each session is in; name is the BGPPeer's.",
                "table",
                width=24,
                hidden=HIDDEN,
            ),
            Panel(
                "NOTIFICATIONs",
                {
                    f"{SESSION} sent": _rate("metallb_bgp_notifications_sent"),
                    f"{SESSION} received": _rate("bellmetal_bgp_notifications_received_total"),
                },
                unit="pps",
            ),
            Panel(
                "KEEPALIVEs",
                {
                    f"{SESSION} sent": _rate("metallb_bgp_keepalives_sent"),
                    f"{SESSION} received": _rate("metallb_bgp_keepalives_received"),
                },
                unit="pps",
            ),
            Panel(
                "OPENs",
                {
                    f"{SESSION} sent": _rate("metallb_bgp_opens_sent"),
                    f"{SESSION} received": _rate("metallb_bgp_opens_received"),
                },
                "Many of them: a session that does not come up.",
                unit="pps",
            ),
        ],
        "Prefixes": [
            Panel(
                "Announced",
                {SESSION: f"metallb_bgp_announced_prefixes_total{{{PEER}}}"},
            ),
            Panel(
                "Waiting",
                {
                    SESSION: f"metallb_bgp_pending_prefixes_total{{{PEER}}}"
                    f" - metallb_bgp_announced_prefixes_total{{{PEER}}}"
                },
                "They should be advertised and are not yet.",
            ),
            Panel(
                "Received",
                {SESSION: f"metallb_bgp_received_prefixes_total{{{PEER}}}"},
                "None of them is used.",
            ),
            Panel(
                "UPDATEs",
                {
                    f"{SESSION} sent": _rate("metallb_bgp_updates_total"),
                    f"{SESSION} received": _rate("metallb_bgp_updates_total_received"),
                },
                unit="pps",
            ),
            Panel(
                "ROUTE-REFRESHs",
                {
                    f"{SESSION} sent": _rate("metallb_bgp_route_refresh_sent"),
                    f"{SESSION} received": _rate("bellmetal_bgp_route_refresh_received_total"),
                },
                unit="pps",
            ),
            Panel(
                "All messages",
                {
                    f"{SESSION} sent": _rate("metallb_bgp_total_sent"),
                    f"{SESSION} received": _rate("metallb_bgp_total_received"),
                },
                unit="pps",
            ),
        ],
        "BFD": [
            Panel("Up", {SESSION: f"metallb_bfd_session_up{{{NODE}}}"}, "1 is up, 0 is down."),
            Panel(
                "Changes",
                {
                    f"{SESSION} down": f"increase(metallb_bfd_session_down_events{{{NODE}}}{RATE})",
                    f"{SESSION} up": f"increase(metallb_bfd_session_up_events{{{NODE}}}{RATE})",
                },
            ),
            Panel(
                "Packets",
                {
                    f"{SESSION} received": _rate("metallb_bfd_control_packet_input", NODE),
                    f"{SESSION} sent": _rate("metallb_bfd_control_packet_output", NODE),
                },
                "Of control; echo packets are counted apart.",
                unit="pps",
            ),
        ],
    },
    (
        PROGRAMS_JOB,
        ("instance", f"label_values(metallb_bgp_session_up{{{JOB}}}, instance)"),
        ("peer", f'label_values(metallb_bgp_session_up{{{JOB}, instance=~"$instance"}}, peer)'),
    ),
)
