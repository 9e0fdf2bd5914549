"""What the chart gives the Prometheus Operator to scrape, by MetalLB's values."""

from __future__ import annotations

from typing import Any

import pytest

from rendering import PROGRAMS, helm, notes, pod, render

Json = dict[str, Any]
PODS, SERVICES = "prometheus.podMonitor.enabled=true", "prometheus.serviceMonitor.enabled=true"
KINDS = {"PodMonitor": PODS, "ServiceMonitor": SERVICES}


def monitor(kind: str, name: str, *sets: str) -> Json:
    return render(KINDS[kind], *sets)[kind, f"bellmetal-{name}-monitor"]


def endpoint(body: Json) -> Json:
    (only,) = body["spec"].get("podMetricsEndpoints") or body["spec"]["endpoints"]
    found: Json = only
    return found


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_program_is_scraped_in_plain_http(kind: str, name: str) -> None:
    body = monitor(kind, name)
    assert endpoint(body) == {
        "port": "monitoring",
        "path": "/metrics",
        "scheme": "http",
        "honorLabels": True,
    }
    assert body["spec"]["jobLabel"] == "app.kubernetes.io/name"
    assert body["spec"]["namespaceSelector"] == {"matchNames": ["metallb-system"]}
    (container,) = pod(name)["containers"]
    assert {"name": "monitoring", "containerPort": 9120} in container["ports"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_selected_has_these_labels(name: str) -> None:
    found = render(SERVICES)
    kind = {"controller": "Deployment", "speaker": "DaemonSet"}[name]
    template = found[kind, f"bellmetal-{name}"]["spec"]["template"]["metadata"]["labels"]
    service = found["Service", f"bellmetal-{name}-monitor"]
    selections = (
        (service["spec"]["selector"], template),
        (monitor("PodMonitor", name)["spec"]["selector"]["matchLabels"], template),
        (
            monitor("ServiceMonitor", name)["spec"]["selector"]["matchLabels"],
            service["metadata"]["labels"],
        ),
    )
    for selector, labels in selections:
        assert selector.items() <= labels.items()
        assert selector["app.kubernetes.io/component"] == name


def test_the_service_has_no_address_and_the_pods_port() -> None:
    service = render(SERVICES, "prometheus.metricsPort=9999")[
        "Service", "bellmetal-speaker-monitor"
    ]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["ports"] == [
        {"name": "monitoring", "port": 9999, "targetPort": "monitoring"}
    ]
    assert not [name for kind, name in render(PODS) if kind == "Service"]


def test_pods_with_all_their_values() -> None:
    base = "prometheus.podMonitor"
    sets = [
        f'{base}.additionalLabels={{"release": "mine"}}',
        f'{base}.annotations={{"note": "x"}}',
        f'{base}.jobLabel="app"',
        f'{base}.interval="15s"',
        f'{base}.metricRelabelings=[{{"action": "drop"}}]',
        f'{base}.relabelings=[{{"action": "keep"}}]',
    ]
    for name in PROGRAMS:
        body = monitor("PodMonitor", name, *sets)
        assert body["metadata"]["labels"]["release"] == "mine"
        assert body["metadata"]["annotations"] == {"note": "x"}
        assert body["spec"]["jobLabel"] == "app"
        found = endpoint(body)
        assert found["interval"] == "15s"
        assert found["metricRelabelings"] == [{"action": "drop"}]
        assert found["relabelings"] == [{"action": "keep"}]


def test_services_have_labels_by_program() -> None:
    base = "prometheus.serviceMonitor"
    sets = [
        f'{base}.speaker.additionalLabels={{"release": "mine"}}',
        f'{base}.controller.annotations={{"note": "x"}}',
        f'{base}.interval="30s"',
    ]
    speaker = monitor("ServiceMonitor", "speaker", *sets)
    controller = monitor("ServiceMonitor", "controller", *sets)
    assert speaker["metadata"]["labels"]["release"] == "mine"
    assert "release" not in controller["metadata"]["labels"]
    assert controller["metadata"]["annotations"] == {"note": "x"}
    assert {endpoint(item)["interval"] for item in (speaker, controller)} == {"30s"}


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        pytest.param(
            [PODS, SERVICES],
            "prometheus.serviceMonitor.enabled and prometheus.podMonitor.enabled cannot both be"
            " set: everything would be scraped twice. Leave one of them out.",
            id="both",
        ),
        pytest.param(
            [PODS, "prometheus.metricsPort=0"],
            "prometheus.metricsPort is 0, so there is nothing to scrape: set a port, or leave"
            " prometheus.serviceMonitor.enabled and prometheus.podMonitor.enabled out.",
            id="nothing to scrape",
        ),
        pytest.param(["prometheus.podMonitor.interval=15"], "interval", id="a number"),
        pytest.param(["prometheus.prometheusRule.nonsense.enabled=true"], "nonsense", id="a typo"),
    ],
)
def test_what_cannot_be_is_said(sets: list[str], sentence: str) -> None:
    done = helm(*(word for item in sets for word in ("--set-json", item)))
    assert done.returncode
    assert sentence in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        pytest.param("prometheus.rbacPrometheus=true", "prometheus.rbacPrometheus", id="rbac"),
        pytest.param('prometheus.serviceAccount="p"', "prometheus.serviceAccount", id="account"),
        pytest.param('prometheus.namespace="monitoring"', "prometheus.namespace", id="namespace"),
        *(
            pytest.param(
                f'prometheus.{key}.tlsConfig={{"insecureSkipVerify": true}}',
                f"prometheus.{key}.tlsConfig",
                id=key,
            )
            for key in ("podMonitor", "serviceMonitor.controller", "serviceMonitor.speaker")
        ),
    ],
)
def test_metallbs_values_without_a_counterpart_are_told_of(value: str, sentence: str) -> None:
    assert f"{sentence}: nothing comes of it." in notes(value)
    assert "nothing comes of it" not in notes()
