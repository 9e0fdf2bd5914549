"""The dashboard of addresses: pools, owners, the LAN, the programs."""

from __future__ import annotations

from grafana import (
    HIDDEN,
    JOB,
    NEUTRAL,
    OK_IF_ANY,
    OK_IF_NONE,
    PROGRAMS_JOB,
    RATE,
    USAGE,
    Dashboard,
    Panel,
    stat,
)

POOL = f'{JOB}, pool=~"$pool"'
LAYER2 = f'{JOB}, protocol="layer2"'


def _usage(family: str) -> str:
    used = f"metallb_allocator_{family}addresses_in_use_total{{{POOL}}}"
    return f"100 * {used} / (metallb_allocator_{family}addresses_total{{{POOL}}} > 0)"


OVERVIEW = Dashboard(
    "bellmetal-overview",
    "Bellmetal: addresses",
    {
        "At a glance": [
            stat(
                "Leading controllers",
                f"sum(bellmetal_controller_leading{{{JOB}}})",
                OK_IF_ANY,
                "One leads; the other one is warm.",
            ),
            stat(
                "Speakers alive",
                f'max(bellmetal_members{{{JOB}, state="alive"}})',
                OK_IF_ANY,
                "As the speaker sees it that hears most of them.",
            ),
            stat(
                "Addresses announced",
                f"count(group by (ip) (metallb_speaker_announced{{{JOB}}})) or vector(0)",
                NEUTRAL,
                "Each once, on layer 2 and by BGP.",
            ),
            stat(
                "Services refused",
                f"sum(bellmetal_services_refused{{{JOB}}})",
                OK_IF_NONE,
                "They do not get the address that they ask for.",
            ),
            stat(
                "Services not announced",
                f"sum(bellmetal_services_withheld{{{JOB}}})",
                OK_IF_NONE,
                "Their address is not announced, or not in every way, also for want of endpoints.",
            ),
            stat(
                "Addresses in doubt",
                f"count(max by (ip) (bellmetal_layer2_foreign_holders{{{JOB}}}) > 0"
                f" or max by (ip) (bellmetal_layer2_not_seen{{{JOB}}}) > 0) or vector(0)",
                OK_IF_NONE,
                "The LAN does not see them as it should.",
            ),
        ],
        "Pools": [
            Panel(
                "Given out",
                {
                    "{{pool}}": _usage(""),
                    "{{pool}} IPv4": _usage("ipv4_"),
                    "{{pool}} IPv6": _usage("ipv6_"),
                },
                "Per cent of what a pool has.",
                "bargauge",
                "percent",
                USAGE,
            ),
            Panel(
                "Addresses in use",
                {"{{pool}}": f"sum by (pool) (metallb_allocator_addresses_in_use_total{{{POOL}}})"},
                "An address that several Services share counts once.",
            ),
            Panel(
                "Services with an address",
                {
                    "{{pool}}": "sum by (pool)"
                    f" (metallb_allocator_services_allocated_total{{{POOL}}})"
                },
            ),
            Panel(
                "Refused, by reason",
                {"{{reason}}": f"sum by (reason) (bellmetal_services_refused{{{JOB}}}) > 0"},
                "bellmetal explain says what a Service would need.",
            ),
            Panel(
                "Not announced, by reason",
                {"{{reason}}": f"sum by (reason) (bellmetal_services_withheld{{{JOB}}}) > 0"},
                "noEndpoints and noLocalEndpoints: there is nobody to answer behind the address.",
            ),
            Panel(
                "Orphans and rivals",
                {
                    "addresses that no pool allows": f"sum(bellmetal_addresses_orphaned{{{JOB}}})",
                    "Services with a rival": f"sum(bellmetal_services_rivalled{{{JOB}}})",
                },
            ),
        ],
        "Owners on layer 2": [
            Panel(
                "Addresses by node",
                {
                    "{{node}}": "count by (node)"
                    f" (group by (node, ip) (metallb_speaker_announced{{{LAYER2}}}))"
                },
                "What each node answers for.",
            ),
            Panel(
                "Moves",
                {
                    "{{ip}}": "sum by (ip)"
                    f' (increase(bellmetal_layer2_owner_changes_total{{{JOB}, ip!=""}}{RATE})) > 0'
                },
                "An address got another owner. Why stands in its ledger: bellmetal explain.",
            ),
            Panel(
                "Addresses with more than one owner",
                {
                    "{{ip}}": "count by (ip)"
                    f" (group by (ip, node) (metallb_speaker_announced{{{LAYER2}}})) > 1"
                },
                "For a moment while an address moves. If it lasts, nodes do not hear each other.",
            ),
            Panel(
                "Who announces what",
                {"": f"metallb_speaker_announced{{{JOB}}}"},
                kind="table",
                width=24,
                hidden=(*HIDDEN, "instance"),
            ),
        ],
        "The LAN": [
            Panel(
                "Questions for our addresses",
                {
                    "{{instance}}": "sum by (instance)"
                    f" (rate(metallb_layer2_requests_received{{{JOB}}}{RATE}))"
                },
                "ARP requests and neighbour solicitations.",
                unit="pps",
                width=6,
            ),
            Panel(
                "Answers",
                {
                    "{{instance}}": "sum by (instance)"
                    f" (rate(metallb_layer2_responses_sent{{{JOB}}}{RATE}))"
                },
                unit="pps",
                width=6,
            ),
            Panel(
                "Gratuitous announcements",
                {
                    "{{instance}}": "sum by (instance)"
                    f" (rate(metallb_layer2_gratuitous_sent{{{JOB}}}{RATE}))"
                },
                unit="pps",
                width=6,
            ),
            Panel(
                "Frames not believed",
                {
                    "{{reason}}": "sum by (reason)"
                    f" (rate(bellmetal_layer2_ignored_total{{{JOB}}}{RATE}))"
                },
                "They seemed to claim one of our addresses.",
                unit="pps",
                width=6,
            ),
            Panel(
                "Held by a foreign device",
                {"{{ip}}": f"max by (ip) (bellmetal_layer2_foreign_holders{{{JOB}}})"},
            ),
            Panel(
                "Not seen on the LAN",
                {"{{ip}}": f"max by (ip) (bellmetal_layer2_not_seen{{{JOB}}})"},
            ),
            Panel(
                "Looks at other nodes' addresses",
                {
                    "{{result}}": "sum by (result)"
                    f" (rate(bellmetal_layer2_proofs_total{{{JOB}}}{RATE}))"
                },
                "What came of the questions.",
                unit="ops",
            ),
        ],
        "The programs": [
            Panel(
                "Members as each speaker sees them",
                {"{{instance}} {{state}}": f"bellmetal_members{{{JOB}}} > 0"},
                "All should see the same number alive.",
            ),
            Panel(
                "Findings",
                {"{{instance}} {{code}}": f"bellmetal_speaker_findings{{{JOB}}}"},
                "SpeakerReport status.findings has the sentences.",
            ),
            Panel(
                "Configuration",
                {
                    "{{instance}} loaded": f"metallb_k8s_client_config_loaded_bool{{{JOB}}}",
                    "{{instance}} stale": f"metallb_k8s_client_config_stale_bool{{{JOB}}}",
                },
                "Stale: something in it is invalid and not in force.",
            ),
            Panel(
                "Changes taken in",
                {"{{instance}}": f"rate(metallb_k8s_client_updates_total{{{JOB}}}{RATE})"},
                unit="ops",
            ),
            Panel(
                "Failures",
                {
                    "{{instance}} passes": "increase"
                    f"(metallb_k8s_client_update_errors_total{{{JOB}}}{RATE})",
                    "{{instance}} events dropped": "increase"
                    f"(bellmetal_events_dropped_total{{{JOB}}}{RATE})",
                },
            ),
            Panel(
                "Unsteady nodes",
                {"nodes": f"sum(bellmetal_nodes_unsteady{{{JOB}}})"},
                "They came and went too often, and get no new addresses for a while.",
            ),
            Panel(
                "Memory",
                {
                    "{{instance}}": f"process_resident_memory_bytes{{{JOB}}}"
                    f" and on (job, instance) bellmetal_build_info{{{JOB}}}"
                },
                unit="bytes",
                width=12,
            ),
            Panel(
                "Processor",
                {
                    "{{instance}}": f"rate(process_cpu_seconds_total{{{JOB}}}{RATE})"
                    f" and on (job, instance) bellmetal_build_info{{{JOB}}}"
                },
                unit="percentunit",
                width=12,
            ),
        ],
    },
    (
        PROGRAMS_JOB,
        ("pool", f"label_values(metallb_allocator_addresses_total{{{JOB}}}, pool)"),
    ),
)
