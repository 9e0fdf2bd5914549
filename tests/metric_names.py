"""Every metric that is exported: its type, its labels, by whom. MetalLB's as MetalLB has them."""

from __future__ import annotations

from dataclasses import dataclass

BOTH, CONTROLLER, SPEAKER = "both", "controller", "speaker"


@dataclass(frozen=True)
class Metric:
    """``labels`` besides those that Prometheus adds."""

    type: str
    who: str
    labels: frozenset[str]


def _gauge(who: str, *labels: str) -> Metric:
    return Metric("gauge", who, frozenset(labels))


def _counter(who: str, *labels: str) -> Metric:
    return Metric("counter", who, frozenset(labels))


METALLB = {
    "metallb_allocator_addresses_total": _gauge(CONTROLLER, "pool"),
    "metallb_allocator_addresses_in_use_total": _gauge(CONTROLLER, "pool"),
    "metallb_allocator_ipv4_addresses_total": _gauge(CONTROLLER, "pool"),
    "metallb_allocator_ipv4_addresses_in_use_total": _gauge(CONTROLLER, "pool"),
    "metallb_allocator_ipv6_addresses_total": _gauge(CONTROLLER, "pool"),
    "metallb_allocator_ipv6_addresses_in_use_total": _gauge(CONTROLLER, "pool"),
    "metallb_allocator_services_allocated_total": _gauge(CONTROLLER, "pool"),
    "metallb_k8s_client_updates_total": _counter(BOTH),
    "metallb_k8s_client_update_errors_total": _counter(BOTH),
    "metallb_k8s_client_config_loaded_bool": _gauge(BOTH),
    "metallb_k8s_client_config_stale_bool": _gauge(BOTH),
    "metallb_speaker_announced": _gauge(SPEAKER, "service", "protocol", "node", "ip"),
    "metallb_layer2_requests_received": _counter(SPEAKER, "ip"),
    "metallb_layer2_responses_sent": _counter(SPEAKER, "ip"),
    "metallb_layer2_gratuitous_sent": _counter(SPEAKER, "ip"),
}
SESSIONS = {
    "metallb_bgp_session_up": _gauge(SPEAKER, "peer", "vrf"),
    "metallb_bgp_announced_prefixes_total": _gauge(SPEAKER, "peer", "vrf"),
    "metallb_bgp_pending_prefixes_total": _gauge(SPEAKER, "peer", "vrf"),
    "metallb_bgp_received_prefixes_total": _gauge(SPEAKER, "peer", "vrf"),
    "metallb_bfd_session_up": _gauge(SPEAKER, "peer", "vrf"),
    **{
        f"metallb_{name}": _counter(SPEAKER, "peer", "vrf")
        for name in (
            "bgp_updates_total",
            "bgp_updates_total_received",
            "bgp_opens_sent",
            "bgp_opens_received",
            "bgp_notifications_sent",
            "bgp_keepalives_sent",
            "bgp_keepalives_received",
            "bgp_route_refresh_sent",
            "bgp_total_sent",
            "bgp_total_received",
            "bfd_control_packet_input",
            "bfd_control_packet_output",
            "bfd_echo_packet_input",
            "bfd_echo_packet_output",
            "bfd_session_up_events",
            "bfd_session_down_events",
            "bfd_zebra_notifications",
        )
    },
    "bellmetal_bgp_notifications_received_total": _counter(SPEAKER, "peer", "vrf"),
    "bellmetal_bgp_route_refresh_received_total": _counter(SPEAKER, "peer", "vrf"),
    "bellmetal_bgp_session_state": _gauge(SPEAKER, "peer", "vrf", "name", "state"),
    "bellmetal_bgp_session_flaps_total": _counter(SPEAKER, "peer", "vrf", "name"),
}
OURS = {
    "bellmetal_build_info": _gauge(BOTH, "version"),
    "bellmetal_events_dropped_total": _counter(BOTH),
    "bellmetal_controller_leading": _gauge(CONTROLLER),
    "bellmetal_addresses_orphaned": _gauge(CONTROLLER),
    "bellmetal_services_refused": _gauge(CONTROLLER, "reason"),
    "bellmetal_services_withheld": _gauge(CONTROLLER, "reason"),
    "bellmetal_services_rivalled": _gauge(CONTROLLER),
    "bellmetal_nodes_unsteady": _gauge(CONTROLLER),
    "bellmetal_layer2_owner_changes_total": _counter(CONTROLLER, "ip"),
    "bellmetal_members": _gauge(SPEAKER, "state"),
    "bellmetal_speaker_findings": _gauge(SPEAKER, "code"),
    "bellmetal_layer2_foreign_holders": _gauge(SPEAKER, "ip"),
    "bellmetal_layer2_not_seen": _gauge(SPEAKER, "ip"),
    "bellmetal_layer2_proofs_total": _counter(SPEAKER, "result"),
    "bellmetal_layer2_last_proof_timestamp_seconds": _gauge(SPEAKER),
    "bellmetal_layer2_ignored_total": _counter(SPEAKER, "reason"),
}
PROCESS = {
    "process_cpu_seconds_total": _counter(BOTH),
    "process_resident_memory_bytes": _gauge(BOTH),
    "process_virtual_memory_bytes": _gauge(BOTH),
    "process_start_time_seconds": _gauge(BOTH),
    "process_open_fds": _gauge(BOTH),
    "process_max_fds": _gauge(BOTH),
}
ALL = {**METALLB, **SESSIONS, **OURS, **PROCESS}
# What the public Grafana dashboard 20162 asks for.
DASHBOARD_20162 = frozenset(METALLB) - {
    "metallb_allocator_services_allocated_total",
    "metallb_speaker_announced",
}
