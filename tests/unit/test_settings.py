"""Flags and environment → Settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bellmetal import settings
from bellmetal.config import OnOrphan
from bellmetal.settings import Common, ControllerSettings, SpeakerSettings

COMMON = Common(
    namespace="metallb-system",
    pod_name="",
    pod_uid="",
    log_level="info",
    port=9120,
    health_probe_port=17472,
    lb_class="",
)


@pytest.fixture(autouse=True)
def _outside_of_a_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "NAMESPACE_FILE", tmp_path / "namespace")


def parse(line: str, **environment: str) -> ControllerSettings | SpeakerSettings:
    return settings.parse(line.split(), environment, "1.2.3")


def test_a_controller_needs_no_settings() -> None:
    assert parse("controller") == ControllerSettings(COMMON, "", False, OnOrphan.KEEP)


def test_a_controller_may_drain_what_is_cordoned() -> None:
    found = parse("controller --drain-on-cordon")
    assert isinstance(found, ControllerSettings)
    assert found.drain_on_cordon


def test_a_speaker_needs_the_name_of_its_node_alone() -> None:
    assert parse("speaker --node-name n1") == SpeakerSettings(
        common=COMMON,
        node_name="n1",
        ml_bind_addr="",
        ml_bind_port=7946,
        ml_secret_key_path=None,
        state_dir=None,
        exclude_file=Path("/etc/metallb/excludel2.yaml"),
    )


ENVIRONMENT = {
    "METALLB_NAMESPACE": "env-namespace",
    "METALLB_POD_NAME": "env-pod",
    "METALLB_ML_SECRET_NAME": "env-secret",
    "METALLB_NODE_NAME": "env-node",
    "METALLB_ML_BIND_ADDR": "10.0.0.1",
    "METALLB_ML_BIND_PORT": "7000",
    "METALLB_ML_SECRET_KEY_PATH": "/env/key",
    "METALLB_GRATUITOUS_ARP_INTERVAL": "60",
}


def test_the_environment_is_read_by_the_names_of_metallb() -> None:
    controller = parse("controller", **ENVIRONMENT)
    assert isinstance(controller, ControllerSettings)
    assert (controller.common.namespace, controller.common.pod_name, controller.ml_secret_name) == (
        "env-namespace",
        "env-pod",
        "env-secret",
    )
    speaker = parse("speaker", **ENVIRONMENT)
    assert isinstance(speaker, SpeakerSettings)
    assert (
        speaker.node_name,
        speaker.ml_bind_addr,
        speaker.ml_bind_port,
        speaker.ml_secret_key_path,
        speaker.gratuitous_arp_interval,
    ) == ("env-node", "10.0.0.1", 7000, Path("/env/key"), 60)


def test_a_flag_beats_the_environment() -> None:
    speaker = parse(
        "speaker --namespace ns --pod-name pod --node-name n2 --ml-bindaddr 10.0.0.2"
        " --ml-bindport 7001 --ml-secret-key-path /key --state-dir /state --exclude-file /ex"
        " --pod-uid uid --log-level debug --port 0 --health-probe-port 1 --lb-class c"
        " --gratuitous-arp-interval 30",
        **ENVIRONMENT,
    )
    assert speaker == SpeakerSettings(
        common=Common("ns", "pod", "uid", "debug", 0, 1, "c"),
        node_name="n2",
        ml_bind_addr="10.0.0.2",
        ml_bind_port=7001,
        ml_secret_key_path=Path("/key"),
        state_dir=Path("/state"),
        exclude_file=Path("/ex"),
        gratuitous_arp_interval=30,
    )
    controller = parse(
        "controller --ml-secret-name secret --ignore-exclude-lb --namespace ns", **ENVIRONMENT
    )
    assert isinstance(controller, ControllerSettings)
    assert (controller.ml_secret_name, controller.ignore_exclude_lb) == ("secret", True)


def test_in_a_pod_the_namespace_is_the_pods(tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("from-the-pod\n")
    assert parse("controller").common.namespace == "from-the-pod"
    assert parse("controller", METALLB_NAMESPACE="set").common.namespace == "set"


@pytest.mark.parametrize(
    ("line", "environment", "sentence"),
    [
        pytest.param(
            "speaker",
            {},
            "bellmetal: error: --node-name (or METALLB_NODE_NAME) is required",
            id="no node",
        ),
        pytest.param(
            "speaker --node-name n1 --ml-bindport http",
            {},
            'bellmetal: error: --ml-bindport (METALLB_ML_BIND_PORT): "http" is not a port',
            id="a word as port",
        ),
        pytest.param(
            "speaker --node-name n1",
            {"METALLB_ML_BIND_PORT": "65536"},
            'bellmetal: error: --ml-bindport (METALLB_ML_BIND_PORT): "65536" is not a port',
            id="a port too far",
        ),
        pytest.param(
            "controller --port=-1",
            {},
            'bellmetal: error: --port: "-1" is not a port',
            id="negative",
        ),
        pytest.param(
            "controller --health-probe-port=",
            {},
            'bellmetal: error: --health-probe-port: "" is not a port',
            id="an empty port",
        ),
        pytest.param(
            "speaker --node-name n1 --gratuitous-arp-interval=-1",
            {},
            "bellmetal: error: --gratuitous-arp-interval (METALLB_GRATUITOUS_ARP_INTERVAL):"
            ' "-1" is not a whole number of seconds from 0 to 86400',
            id="a negative interval",
        ),
        pytest.param(
            "speaker --node-name n1",
            {"METALLB_GRATUITOUS_ARP_INTERVAL": "86401"},
            "bellmetal: error: --gratuitous-arp-interval (METALLB_GRATUITOUS_ARP_INTERVAL):"
            ' "86401" is not a whole number of seconds from 0 to 86400',
            id="an interval of more than a day",
        ),
        pytest.param(
            "speaker --node-name n1 --gratuitous-arp-interval 1.5",
            {},
            "bellmetal: error: --gratuitous-arp-interval (METALLB_GRATUITOUS_ARP_INTERVAL):"
            ' "1.5" is not a whole number of seconds from 0 to 86400',
            id="half a second",
        ),
        pytest.param(
            "controller --log-level loud",
            {},
            "bellmetal controller: error: argument --log-level: invalid choice: 'loud'"
            " (choose from 'all', 'debug', 'info', 'warn', 'error', 'none')",
            id="a level that does not exist",
        ),
        pytest.param(
            "",
            {},
            "bellmetal: error: the following arguments are required: PROGRAM",
            id="no program",
        ),
    ],
)
def test_what_is_wrong_is_said_and_ends_the_program_with_status_2(
    line: str, environment: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line, **environment)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == sentence


@pytest.mark.parametrize("port", ["0", "1", "65535"])
def test_ports(port: str) -> None:
    assert parse(f"controller --port {port}").common.port == int(port)


def test_the_webhook_is_off_unless_it_has_a_port() -> None:
    without, given = parse("controller"), parse("controller --webhook-port 1 --webhook-cert-dir d")
    assert isinstance(without, ControllerSettings)
    assert isinstance(given, ControllerSettings)
    assert (without.webhook_port, without.webhook_cert_dir) == (0, Path("/etc/bellmetal/webhook"))
    assert (given.webhook_port, given.webhook_cert_dir) == (1, Path("d"))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == "bellmetal 1.2.3\n"
