"""The admission webhook in the chart: off by default, its certificate, and nobody in its way."""

from __future__ import annotations

import base64
import contextlib
import ssl
from pathlib import Path

from bellmetal.webhook import PATH
from rendering import container, pod, render, rights, workload

ADMISSION = "controller.admission.enabled=true"
WEBHOOK = "ValidatingWebhookConfiguration", "bellmetal-controller-metallb-system"


def test_admission_is_three_more_objects_and_no_more_rights() -> None:
    assert set(render(ADMISSION)) - set(render()) == {
        ("Secret", "bellmetal-admission"),
        ("Service", "bellmetal-admission"),
        WEBHOOK,
    }
    for kind in ("ClusterRole", "Role"):
        assert rights(kind, "controller", ADMISSION) == rights(kind, "controller")


def test_the_webhook_lets_everything_in_when_nobody_answers() -> None:
    (webhook,) = render(ADMISSION)[WEBHOOK]["webhooks"]
    assert (webhook["failurePolicy"], webhook["timeoutSeconds"]) == ("Ignore", 3)
    assert (webhook["sideEffects"], webhook["admissionReviewVersions"]) == ("None", ["v1"])


def test_the_webhook_is_asked_about_configuration_alone() -> None:
    (webhook,) = render(ADMISSION)[WEBHOOK]["webhooks"]
    asked = {
        (group, resource, operation)
        for rule in webhook["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for operation in rule["operations"]
    }
    kinds = [
        "ipaddresspools", "l2advertisements", "bgpadvertisements", "bgppeers", "bfdprofiles",
        "communities",
    ]  # fmt: skip
    writes = {("metallb.io", kind, verb) for kind in kinds for verb in ("CREATE", "UPDATE")}
    assert asked == writes | {("metallb.io", "bfdprofiles", "DELETE")}


def test_the_webhooks_way_leads_to_the_controllers() -> None:
    objects = render(ADMISSION)
    (webhook,) = objects[WEBHOOK]["webhooks"]
    assert webhook["clientConfig"]["service"] == {
        "name": "bellmetal-admission",
        "namespace": "metallb-system",
        "path": PATH,
        "port": 443,
    }
    service = objects["Service", "bellmetal-admission"]["spec"]
    labels = workload("controller", ADMISSION)["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= service["selector"].items()
    (port,) = service["ports"]
    ports = {
        item["name"]: item["containerPort"] for item in container("controller", ADMISSION)["ports"]
    }
    assert (port["port"], ports[port["targetPort"]]) == (443, 9443)


def test_the_webhook_shows_a_certificate_that_the_api_server_believes(tmp_path: Path) -> None:
    objects = render(ADMISSION)
    secret = objects["Secret", "bellmetal-admission"]
    (webhook,) = objects[WEBHOOK]["webhooks"]
    assert secret["type"] == "kubernetes.io/tls"
    assert webhook["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]
    for name, text in secret["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(text))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    assert shake_hands(server, client, "bellmetal-admission.metallb-system.svc")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """Whether they agree, in memory; raises SSLError if the client does not believe."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    ]
    for _ in range(3):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return bool(ends[0].getpeercert())


def test_the_controller_mounts_the_certificate_and_can_do_without() -> None:
    (volume,) = pod("controller", ADMISSION)["volumes"]
    assert volume["secret"] == {"secretName": "bellmetal-admission", "optional": True}
    (mount,) = container("controller", ADMISSION)["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/etc/bellmetal/webhook", True)
    assert "volumes" not in pod("controller")


def test_the_certificate_can_be_somebody_elses() -> None:
    given = (
        ADMISSION,
        'controller.admission.existingSecret="theirs"',
        'controller.admission.annotations={"cert-manager.io/inject-ca-from": "a/b"}',
    )
    objects = render(*given)
    assert ("Secret", "bellmetal-admission") not in objects
    assert pod("controller", *given)["volumes"][0]["secret"]["secretName"] == "theirs"
    annotations = objects[WEBHOOK]["metadata"]["annotations"]
    assert annotations == {"cert-manager.io/inject-ca-from": "a/b"}
    assert "caBundle" not in objects[WEBHOOK]["webhooks"][0]["clientConfig"]
    (webhook,) = render(*given, 'controller.admission.caBundle="PEM"')[WEBHOOK]["webhooks"]
    assert base64.b64decode(webhook["clientConfig"]["caBundle"]) == b"PEM"
