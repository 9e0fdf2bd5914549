"""The chart's alert rules, judged by Prometheus' own tool: when each fires, when it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bellmetal.settings import parse
from lab.paths import CHART
from prometheus_rules import Json, judged, rules, unknown, write
from rendering import helm, render

LABEL = re.compile(r"{{[^}]*}}")
AT = "14m"
TWICE = "0+1x20"
N1, N2 = '{instance="n1"}', '{instance="n2"}'
PEER = '{instance="n1", peer="192.0.2.1:179", vrf="default"}'
USED, TOTAL = "metallb_allocator_addresses_in_use_total", "metallb_allocator_addresses_total"
MAIN = '{instance="c", pool="main"}'
USED4, TOTAL4 = USED.replace("or_a", "or_ipv4_a"), TOTAL.replace("or_a", "or_ipv4_a")
TOTAL6 = TOTAL.replace("or_a", "or_ipv6_a")
ANNOUNCED = "metallb_speaker_announced"
OWNED = '{ip="192.0.2.1", protocol="layer2", node="%s", service="%s"}'

Series = dict[str, str]
# alert → series with which it fires, and series with which it does not
CASES: dict[str, tuple[Series, list[Series]]] = {
    "MetalLBStaleConfig": (
        {f"metallb_k8s_client_config_stale_bool{N1}": "1x20"},
        [{f"metallb_k8s_client_config_stale_bool{N1}": "0x20"}],
    ),
    "MetalLBConfigNotLoaded": (
        {f"metallb_k8s_client_config_loaded_bool{N1}": "0x20"},
        [{f"metallb_k8s_client_config_loaded_bool{N1}": "0x12 1x8"}],
    ),
    "MetalLBAddressPoolExhausted": (
        {USED + MAIN: "10x20", TOTAL + MAIN: "10x20"},
        [
            {USED + MAIN: "9x20", TOTAL + MAIN: "10x20"},
            {USED + MAIN: "10x13 9x7", TOTAL + MAIN: "10x20"},
        ],
    ),
    "MetalLBAddressPoolUsage75Percent": (
        {USED + MAIN: "76x20", TOTAL + MAIN: "100x20"},
        [
            {USED + MAIN: "75x20", TOTAL + MAIN: "100x20"},
            {USED + MAIN: "0x20", TOTAL + MAIN: "0x20"},
        ],
    ),
    "MetalLBAddressPoolUsage85Percent": (
        {USED + MAIN: "86x20", TOTAL + MAIN: "100x20"},
        [{USED + MAIN: "85x20", TOTAL + MAIN: "100x20"}],
    ),
    "MetalLBAddressPoolUsage95Percent": (
        {USED + MAIN: "96x20", TOTAL + MAIN: "100x20"},
        [{USED + MAIN: "95x20", TOTAL + MAIN: "100x20"}],
    ),
    "MetalLBBGPSessionDown": (
        {f"metallb_bgp_session_up{PEER}": "1x5 0x15"},
        [{f"metallb_bgp_session_up{PEER}": "0x5 1x15"}, {}],
    ),
    "BellmetalNoLeader": (
        {f"bellmetal_controller_leading{N1}": "0x20", f"bellmetal_controller_leading{N2}": "0x20"},
        [
            {
                f"bellmetal_controller_leading{N1}": "0x20",
                f"bellmetal_controller_leading{N2}": "1x20",
            }
        ],
    ),
    "BellmetalTargetDown": (
        {
            'up{job="b", instance="n1"}': "1x5 0x15",
            'bellmetal_build_info{job="b", instance="n1", version="1"}': "1x5 stale",
        },
        [
            {'up{job="b", instance="n1"}': "0x20"},  # somebody else's
            {
                'up{job="b", instance="n1"}': "1x5 0x2 1x13",
                'bellmetal_build_info{job="b", instance="n1", version="1"}': "1x20",
            },
        ],
    ),
    "BellmetalSpeakerSilent": (
        {
            'bellmetal_members{instance="n1", state="dead"}': "0x5 1x15",
            'bellmetal_members{instance="n2", state="dead"}': "0x5 1x15",
        },
        [{'bellmetal_members{instance="n1", state="left"}': "1x20"}],
    ),
    "BellmetalMembersSplit": (
        {
            'bellmetal_members{instance="n1", state="alive"}': "3x20",
            'bellmetal_members{instance="n2", state="alive"}': "3x8 1x12",
        },
        [
            {
                'bellmetal_members{instance="n1", state="alive"}': "3x8 2x12",
                'bellmetal_members{instance="n2", state="alive"}': "3x9 2x11",
            }
        ],
    ),
    "BellmetalSpeakerFinding": (
        {'bellmetal_speaker_findings{instance="n1", code="proxyArp"}': "1x20"},
        [{'bellmetal_speaker_findings{instance="n1", code="proxyArp"}': "1x5 stale"}],
    ),
    "BellmetalPassesFail": (
        {f"metallb_k8s_client_update_errors_total{N1}": "0+6x20"},
        [{f"metallb_k8s_client_update_errors_total{N1}": "0x3 1x17"}],
    ),
    "BellmetalEventsDropped": (
        {f"bellmetal_events_dropped_total{N1}": "0x10 5x10"},
        [{f"bellmetal_events_dropped_total{N1}": "5x20"}],
    ),
    "BellmetalPoolFamilyExhausted": (
        {USED4 + MAIN: "4x20", TOTAL4 + MAIN: "4x20", TOTAL6 + MAIN: "65536x20"},
        [
            {USED4 + MAIN: "3x20", TOTAL4 + MAIN: "4x20", TOTAL6 + MAIN: "65536x20"},
            {USED4 + MAIN: "4x20", TOTAL4 + MAIN: "4x20", TOTAL6 + MAIN: "0x20"},
        ],
    ),
    "BellmetalServicesRefused": (
        {'bellmetal_services_refused{instance="c", reason="NoAddressLeft"}': "2x20"},
        [{'bellmetal_services_refused{instance="c", reason="NoAddressLeft"}': "0x20"}],
    ),
    "BellmetalServicesNotAnnounced": (
        {'bellmetal_services_withheld{instance="c", reason="noMatchingAdvertisement"}': "1x20"},
        [{'bellmetal_services_withheld{instance="c", reason="noEndpoints"}': "1x20"}],
    ),
    "BellmetalRivalController": (
        {'bellmetal_services_rivalled{instance="c"}': "1x20"},
        [{'bellmetal_services_rivalled{instance="c"}': "0x20"}],
    ),
    "BellmetalForeignHolder": (
        {
            'bellmetal_layer2_foreign_holders{instance="n1", ip="192.0.2.1"}': "1x20",
            'bellmetal_layer2_foreign_holders{instance="n2", ip="192.0.2.1"}': "1x20",
        },
        [{'bellmetal_layer2_foreign_holders{instance="n1", ip="192.0.2.1"}': "1x5 stale"}],
    ),
    "BellmetalAddressNotSeen": (
        {'bellmetal_layer2_not_seen{instance="n1", ip="192.0.2.1"}': "1x20"},
        [{'bellmetal_layer2_not_seen{instance="n1", ip="192.0.2.1"}': "1x5 stale"}],
    ),
    "BellmetalTwoOwners": (
        {
            ANNOUNCED + OWNED % ("n1", "shop/a"): "1x20",
            ANNOUNCED + OWNED % ("n2", "shop/a"): "1x20",
        },
        [
            {  # two Services share the address
                ANNOUNCED + OWNED % ("n1", "shop/a"): "1x20",
                ANNOUNCED + OWNED % ("n1", "shop/b"): "1x20",
            },
            {  # it moves
                ANNOUNCED + OWNED % ("n1", "shop/a"): "1x10 stale",
                ANNOUNCED + OWNED % ("n2", "shop/a"): "_x10 1x10",
            },
        ],
    ),
    "BellmetalOwnerFlapping": (
        {'bellmetal_layer2_owner_changes_total{instance="c", ip="192.0.2.1"}': "1+1x20"},
        [
            {'bellmetal_layer2_owner_changes_total{instance="c", ip="192.0.2.1"}': "1x5 2x15"},
            {'bellmetal_layer2_owner_changes_total{instance="c"}': "0x20"},
        ],
    ),
    "BellmetalNodeUnsteady": (
        {'bellmetal_nodes_unsteady{instance="c"}': "1x20"},
        [{'bellmetal_nodes_unsteady{instance="c"}': "0x20"}],
    ),
    "BellmetalBGPSessionFlapping": (
        {f"bellmetal_bgp_session_flaps_total{PEER}": TWICE},
        [{f"bellmetal_bgp_session_flaps_total{PEER}": "0x5 1x15"}],
    ),
    "BellmetalBGPPrefixesPending": (
        {
            f"metallb_bgp_pending_prefixes_total{PEER}": "5x20",
            f"metallb_bgp_announced_prefixes_total{PEER}": "3x20",
            f"metallb_bgp_session_up{PEER}": "1x20",
        },
        [
            {  # the session is down: another alert
                f"metallb_bgp_pending_prefixes_total{PEER}": "5x20",
                f"metallb_bgp_announced_prefixes_total{PEER}": "0x20",
                f"metallb_bgp_session_up{PEER}": "0x20",
            },
            {
                f"metallb_bgp_pending_prefixes_total{PEER}": "5x20",
                f"metallb_bgp_announced_prefixes_total{PEER}": "3x11 5x9",
                f"metallb_bgp_session_up{PEER}": "1x20",
            },
        ],
    ),
    "BellmetalBFDSessionDown": (
        {'metallb_bfd_session_up{instance="n1", peer="192.0.2.1", vrf="default"}': "1x5 0x15"},
        [{'metallb_bfd_session_up{instance="n1", peer="192.0.2.1", vrf="default"}': "1x20"}],
    ),
}
# One of them that takes an hour.
SLOW = {
    "BellmetalAddressesOrphaned": (
        {'bellmetal_addresses_orphaned{instance="c"}': "1x70"},
        [{'bellmetal_addresses_orphaned{instance="c"}': "1x40 0x30"}],
    )
}


def names() -> list[str]:
    return [rule["alert"] for rule in rules()]


def case(alert: str, series: Series, fires: bool, at: str) -> Json:
    """A test of promtool's: how many alerts of that name fire."""
    return {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                "eval_time": at,
                "exp_samples": [{"labels": "{}", "value": int(fires)}],
            }
        ],
    }


@pytest.mark.parametrize("alert", [*CASES, *SLOW])
def test_it_fires_when_it_must_and_only_then(alert: str, tmp_path: Path) -> None:
    firing, quiet = {**CASES, **SLOW}[alert]
    at = "65m" if alert in SLOW else AT
    tests = [case(alert, firing, True, at), *(case(alert, item, False, at) for item in quiet)]
    only = [rule for rule in rules() if rule["alert"] == alert]
    assert only, "it is in the chart"
    body = {"rule_files": [str(write(tmp_path / "rules.yaml", only))], "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(body))
    assert judged("test", "rules", tmp_path / "tests.yaml") == ""


def test_every_rule_is_tried() -> None:
    assert set(names()) == {*CASES, *SLOW}


def test_promtool_takes_them(tmp_path: Path) -> None:
    assert judged("check", "rules", write(tmp_path / "rules.yaml", rules())) == ""
    assert judged("check", "rules", CHART / "files" / "alerts.yaml") == ""


def test_what_they_ask_for_is_exported() -> None:
    assert [name for rule in rules() for name in unknown(rule["expr"])] == []


def test_metallbs_alerts_are_there_by_its_names_and_with_its_severities() -> None:
    found = {rule["alert"]: rule["labels"]["severity"] for rule in rules()}
    assert {name: severity for name, severity in found.items() if name.startswith("MetalLB")} == {
        "MetalLBStaleConfig": "warning",
        "MetalLBConfigNotLoaded": "warning",
        "MetalLBAddressPoolExhausted": "critical",
        "MetalLBAddressPoolUsage75Percent": "warning",
        "MetalLBAddressPoolUsage85Percent": "warning",
        "MetalLBAddressPoolUsage95Percent": "critical",
        "MetalLBBGPSessionDown": "critical",
    }


def test_each_says_what_it_is_what_that_means_and_what_to_do() -> None:
    for rule in rules():
        said = rule["annotations"]
        assert said.keys() == {"summary", "description", "next_step"}, rule["alert"]
        assert all(text[-1] in ".?" or "kubectl" in text for text in said.values()), rule["alert"]
        assert re.search(r"kubectl|bellmetal|IPAddressPool|log", said["next_step"]), rule["alert"]


COMMAND = re.compile(r"bellmetal ((?:explain|status|plan).*?)(?: (?:says?|names|shows?|tells)\b)")


def test_what_to_type_can_be_typed() -> None:
    said = " ".join(rule["annotations"]["next_step"] for rule in rules())
    typed = [LABEL.sub("192.0.2.1", found) for found in COMMAND.findall(said)]
    assert len(typed) == said.count("bellmetal explain") + said.count("bellmetal status") + (
        said.count("bellmetal plan")
    )
    for line in typed:
        parse(line.split(), {}, "0")  # what is wrong with it would end the program


def test_the_namespace_in_what_to_do_is_that_of_the_release() -> None:
    done = helm("--namespace", "lb", "--set", "prometheus.prometheusRule.enabled=true")
    (rule,) = (
        item
        for item in yaml.safe_load_all(done.stdout)
        if item and item["kind"] == "PrometheusRule"
    )
    text = yaml.safe_dump(rule, width=10_000)
    assert "metallb-system" not in text
    assert "kubectl get configurationstates -n lb" in text
    assert "bellmetal status bgp --namespace lb says" in text
    assert "bellmetal explain address {{ $labels.ip }} --namespace lb" in text
    assert "bellmetal explain service NAMESPACE/NAME --namespace lb" in text
    assert "bellmetal plan -f FILE --namespace lb shows" in text
    assert "bellmetal status --namespace lb names" in text
    assert "bellmetal status members --namespace lb shows" in text


# --- values ---------------------------------------------------------------------------------------


def test_without_being_asked_for_there_is_none() -> None:
    assert not [kind for kind, _ in render() if "Rule" in kind or "Monitor" in kind]


def test_each_alert_can_be_switched_off() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())["prometheus"]["prometheusRule"]
    keys = [key for key, item in values.items() if isinstance(item, dict) and "enabled" in item]
    off = [f"prometheus.prometheusRule.{key}.enabled=false" for key in keys]
    assert len(keys) == len(names()) - 2  # usage has three
    body = render("prometheus.prometheusRule.enabled=true", *off)["PrometheusRule", "bellmetal"]
    assert body["spec"]["groups"][0]["rules"] is None


def test_thresholds_labels_and_excluded_pools() -> None:
    base = "prometheus.prometheusRule"
    found = rules(
        f'{base}.addressPoolUsage.thresholds=[{{"percent": 60, "labels": {{"team": "net"}}}}]',
        f'{base}.addressPoolUsage.excludePools="test-.*|\\"odd\\""',
        f'{base}.bgpSessionDown.labels={{"severity": "page"}}',
    )
    by_name = {rule["alert"]: rule for rule in found}
    usage = by_name["MetalLBAddressPoolUsage60Percent"]
    assert usage["labels"] == {"team": "net"}
    assert usage["expr"].count(r'{pool!~"test-.*|\"odd\""}') == 2
    assert usage["expr"].endswith("> 60")
    assert "60 %" in usage["annotations"]["summary"]
    assert by_name["MetalLBBGPSessionDown"]["labels"] == {"severity": "page"}
    assert "MetalLBAddressPoolUsage75Percent" not in by_name
    assert not [rule for rule in found if "PERCENT" in str(rule) or "EXCLUDED" in str(rule)]


def test_pools_that_are_excluded_do_not_fire(tmp_path: Path) -> None:
    found = rules('prometheus.prometheusRule.addressPoolExhausted.excludePools="main"')
    only = [rule for rule in found if rule["alert"] == "MetalLBAddressPoolExhausted"]
    firing, _ = CASES["MetalLBAddressPoolExhausted"]
    body = {
        "rule_files": [str(write(tmp_path / "rules.yaml", only))],
        "tests": [case("MetalLBAddressPoolExhausted", firing, False, AT)],
    }
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(body))
    assert judged("test", "rules", tmp_path / "tests.yaml") == ""


def test_rules_of_ones_own_and_labels() -> None:
    base = "prometheus.prometheusRule"
    mine = '{"alert": "Mine", "expr": "vector(1)"}'
    body = render(
        "prometheus.prometheusRule.enabled=true",
        f"{base}.extraAlerts=[{mine}]",
        f'{base}.additionalLabels={{"release": "prometheus"}}',
        f'{base}.annotations={{"note": "x"}}',
    )["PrometheusRule", "bellmetal"]
    assert body["spec"]["groups"][0]["rules"][-1] == {"alert": "Mine", "expr": "vector(1)"}
    assert body["metadata"]["labels"]["release"] == "prometheus"
    assert body["metadata"]["annotations"] == {"note": "x"}
