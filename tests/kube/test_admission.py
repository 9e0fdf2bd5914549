"""The admission webhook with a real API server: a no at `kubectl apply`, and never in the way."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kube.installed import NAMESPACE, Json, answer, installed, parsed, place
from kube.scene import Scene
from lab import chart
from lab.bare import Bare
from lab.fixtures import require
from lab.paths import CHART
from lab.waiting import until

pytestmark = pytest.mark.kube

PORTS = {"controller-1": 9443, "controller-2": 9444}
REFUSED = 'Error from server (Forbidden): error when creating "STDIN": '
DENIED = 'admission webhook "configuration.bellmetal.io" denied the request: '
PLURALS = (
    "bgppeers",
    "bgpadvertisements",
    "l2advertisements",
    "ipaddresspools",
    "bfdprofiles",
    "communities",
)


@pytest.fixture(scope="module")
def module_scene() -> Iterator[Scene]:
    require()
    options = {"clients": 0, "kube_proxy": False, "controller_manager": False}
    with Bare(nodes=2, **options) as lab:
        scene = Scene(lab)
        mount(scene, "webhook")
        for name in PORTS:
            start(scene, name)
            scene.programs.wait_leading("controller-1")
        sentence = "another controller leads: controller-1"
        until(lambda: sentence in scene.running["controller-2"].log(), "the standby is warm")
        yield scene


@pytest.fixture(params=PORTS)
def asked(request: pytest.FixtureRequest) -> str:
    """Whom the API server asks: the one that leads, then the one that does not."""
    return str(request.param)


@pytest.fixture
def scene(module_scene: Scene, asked: str) -> Iterator[Scene]:
    ask(module_scene, asked)
    yield module_scene
    if not module_scene.running[asked].alive:
        module_scene.running[asked].wait()
        start(module_scene, asked)
    ask_nobody(module_scene)
    module_scene.lab.kubectl("delete", ",".join(PLURALS), "--all", "-n", NAMESPACE)


def folder(scene: Scene) -> Path:
    return scene.lab.control_plane_host.dir / "webhook"


def mount(scene: Scene, certificate: str) -> None:
    """A certificate of the lab's CA for where the controllers run, as a Secret would bring it."""
    pki, host = scene.lab.control_plane.pki, scene.lab.control_plane_host
    pki.sign(certificate, f"/CN={certificate}", "serverAuth", f"IP:{host.address}")
    folder(scene).mkdir(parents=True, exist_ok=True)
    shutil.copy(pki.key(certificate), folder(scene) / "tls.key")
    shutil.copy(pki.certificate(certificate), folder(scene) / "tls.crt")


def start(scene: Scene, name: str) -> None:
    flags = [f"--webhook-port={PORTS[name]}", f"--webhook-cert-dir={folder(scene)}"]
    scene.start(name, *flags)
    until(lambda: "took the webhook's certificate" in scene.running[name].log(), f"{name} serves")


def configuration(scene: Scene) -> Json:
    """As the chart has it."""
    values = {"controller": {"admission": {"enabled": True}}}
    objects = chart.render(scene.lab, CHART, values, NAMESPACE)
    (body,) = [item for item in objects if item["kind"] == "ValidatingWebhookConfiguration"]
    return body


def ask(scene: Scene, name: str) -> None:
    """Makes the API server ask this controller, by the chart's own rules."""
    body = configuration(scene)
    (webhook,) = body["webhooks"]
    path = webhook["clientConfig"]["service"]["path"]
    webhook["clientConfig"] = {
        "url": f"https://{scene.lab.control_plane_host.address}:{PORTS[name]}{path}",
        "caBundle": base64.b64encode(scene.lab.control_plane.pki.ca.read_bytes()).decode(),
    }
    scene.lab.apply([body])
    until(lambda: said_to_a_canary(scene), f"{name} is asked", 15)


def ask_nobody(scene: Scene) -> None:
    name = configuration(scene)["metadata"]["name"]
    scene.lab.kubectl("delete", "validatingwebhookconfiguration", name)
    until(lambda: not said_to_a_canary(scene), "nobody is asked", 15)


def said_to_a_canary(scene: Scene) -> str:
    """What is said against a pool that only validation knows to be wrong."""
    canary = pool("canary", "192.0.2.0/24")
    canary["metadata"]["annotations"] = {"bellmetal.io/canary": ""}
    return apply(scene, canary, "--dry-run=server")


def pool(name: str, *addresses: str) -> Json:
    return parsed("IPAddressPool", json.dumps({"addresses": addresses}), name)


def peer(name: str, text: str = "", version: str | None = None) -> Json:
    spec = f"{{myASN: 64500, peerASN: 64501, peerAddress: 10.0.0.254, {text}}}"
    return parsed("BGPPeer", spec, name, version=version)


def apply(scene: Scene, body: Json | list[Json], *flags: str) -> str:
    """What kubectl says against it, and its warnings; empty if there is nothing."""
    items = body if isinstance(body, list) else [body]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    return kubectl(scene, "apply", "-f", "-", *flags, input=text)


def kubectl(scene: Scene, *arguments: str, input: str | None = None) -> str:
    """What it says against something."""
    return scene.lab.kubectl(*arguments, check=False, input=input).stderr.strip()


def there(scene: Scene, plural: str) -> set[str]:
    """The names of what is there of a kind."""
    where = [f"{plural}.metallb.io", "-n", NAMESPACE, "-o", "name"]
    return {name.partition("/")[2] for name in scene.lab.kubectl("get", *where).stdout.split()}


# --- a no -----------------------------------------------------------------------------------------

OVERLAP = (
    'IPAddressPool/younger spec.addresses[0]: "10.1.0.0-10.1.0.255" overlaps with'
    " IPAddressPool/older, which is older"
)


def test_of_two_pools_in_one_file_that_overlap_the_second_is_denied(scene: Scene) -> None:
    said = apply(scene, [pool("older", "10.1.0.0/16"), pool("younger", "10.1.0.0/24")])
    assert said == f"{REFUSED}{DENIED}{OVERLAP}"
    assert there(scene, "ipaddresspools") == {"older"}


def test_all_problems_of_an_object_are_told_at_once(scene: Scene) -> None:
    body = pool("younger", "10.1.0.0/24")
    body["metadata"]["annotations"] = {"bellmetal.io/drian": "true"}
    said = apply(scene, [pool("older", "10.1.0.0/16"), body])
    typo = (
        "IPAddressPool/younger metadata.annotations[bellmetal.io/drian]: unknown annotation;"
        ' did you mean "bellmetal.io/drain"?'
    )
    assert said == f"{REFUSED}{DENIED}{OVERLAP}\n{typo}"


def test_an_older_version_of_a_peer_is_judged_too(scene: Scene) -> None:
    said = apply(scene, [peer("one"), peer("two", version="metallb.io/v1beta1")])
    assert said.endswith(
        f"{DENIED}BGPPeer/two spec.peerAddress: peer 10.0.0.254 already exists as BGPPeer/one:"
        " duplicate BGPPeers selecting the same node are not supported"
    )


def test_configuration_in_another_namespace_is_denied(scene: Scene) -> None:
    body = pool("stray", "10.1.0.0/16")
    body["metadata"]["namespace"] = "shop"
    said = apply(scene, body)
    assert said == f"{REFUSED}{DENIED}resource must be created in metallb-system namespace"


def test_a_profile_that_a_peer_names_stays(scene: Scene) -> None:
    assert apply(scene, [parsed("BFDProfile", "{}", "fast"), peer("tor", "bfdProfile: fast")]) == ""
    delete = ("delete", "-n", NAMESPACE)
    said = kubectl(scene, *delete, "bfdprofile/fast")
    sentence = f"{DENIED}failed to delete BFDProfile fast, used by BGPPeer tor"
    assert said.endswith(sentence)
    assert answer(scene.rest, "DELETE", place("BFDProfile"), None) == sentence
    assert kubectl(scene, *delete, "bgppeer/tor") == ""
    assert kubectl(scene, *delete, "bfdprofile/fast") == ""


# --- a yes ----------------------------------------------------------------------------------------


def test_sound_configuration_passes_in_silence(scene: Scene) -> None:
    sound = [
        pool("lan", "10.1.0.0/16"),
        parsed("L2Advertisement", "{ipAddressPools: [lan]}"),
        parsed("BFDProfile", "{}", "fast"),
        peer("tor", "bfdProfile: fast"),
        parsed("Community", "{communities: [{name: vip, value: '64500:1'}]}"),
        parsed("BGPAdvertisement", "{ipAddressPools: [lan], peers: [tor], communities: [vip]}"),
    ]
    assert apply(scene, sound) == ""
    assert apply(scene, sound) == ""
    assert [there(scene, plural) != set() for plural in PLURALS] == [True] * 6


def test_what_comes_before_what_it_names_passes_with_a_warning(scene: Scene) -> None:
    early = [
        parsed("L2Advertisement", "{ipAddressPools: [lan]}", "front"),
        parsed("BGPAdvertisement", "{communities: [vip]}", "up"),
    ]
    assert apply(scene, early).splitlines() == [
        'Warning: L2Advertisement/front spec.ipAddressPools[0]: there is no IPAddressPool "lan";'
        " there is no pool at all",
        'Warning: BGPAdvertisement/up spec.communities[0]: there is no Community alias "vip"; there'
        " is no Community alias at all",
    ]
    assert there(scene, "bgpadvertisements") == {"up"}


def test_a_pool_in_the_place_of_one_just_deleted_passes(scene: Scene) -> None:
    for number in range(5):
        assert apply(scene, pool(f"p{number}", "10.1.0.0/16")) == ""
        scene.rest.request("DELETE", place("IPAddressPool", f"p{number}"))
        scene.rest.post(place("IPAddressPool"), pool(f"q{number}", "10.1.0.0/16"))
        scene.rest.request("DELETE", place("IPAddressPool", f"q{number}"))


def test_what_was_let_in_can_be_labelled_and_deleted(scene: Scene, asked: str) -> None:
    ask_nobody(scene)
    assert apply(scene, [pool("older", "10.1.0.0/16"), pool("younger", "10.1.0.0/24")]) == ""
    ask(scene, asked)
    label = kubectl(scene, "label", "-n", NAMESPACE, "ipaddresspool/younger", "a=b")
    assert label == f"Warning: {OVERLAP}"
    assert kubectl(scene, "delete", "-n", NAMESPACE, "ipaddresspool/younger") == ""


# --- nobody answers -------------------------------------------------------------------------------


def test_when_the_controller_is_killed_all_is_let_in_and_said_afterwards(
    scene: Scene, asked: str
) -> None:
    assert apply(scene, pool("older", "10.1.0.0/16")) == ""
    scene.running[asked].kill()
    time.sleep(1.1)  # pools are as old as their second
    name = f"let-in-without-{asked}"
    assert apply(scene, pool(name, "10.1.0.0/24")) == ""
    sentence = OVERLAP.removeprefix("IPAddressPool/younger ")
    scene.wait_event("IPAddressPool", name, "InvalidConfiguration", sentence)


def test_a_controller_that_hangs_is_waited_for_no_longer_than_three_seconds(
    scene: Scene, asked: str
) -> None:
    scene.running[asked].pause()
    try:
        began = time.monotonic()
        assert apply(scene, pool("lan", "10.1.0.0/16")) == ""
        assert time.monotonic() - began < 6
    finally:
        scene.running[asked].resume()


# --- the chart ------------------------------------------------------------------------------------


def test_the_charts_certificate_stays_over_upgrades_and_nothing_waits_for_pods() -> None:
    with installed() as lab:
        first = upgrade(lab)
        assert upgrade(lab) == first
        lab.kubectl("delete", "secret", "bellmetal-admission", "-n", NAMESPACE)
        assert upgrade(lab) != first
        began = time.monotonic()
        body = pool("lan", "10.1.0.0/16")
        body["metadata"]["annotations"] = {"bellmetal.io/canary": ""}
        lab.rest.post(place("IPAddressPool"), body)
        assert time.monotonic() - began < 6


def upgrade(lab: Bare) -> Json:
    """The Secret's data after helm has upgraded the release; the webhook believes its CA."""
    command = ("upgrade", "bellmetal", CHART, "--namespace", NAMESPACE)
    lab.helm(*command, "--set", "controller.admission.enabled=true")
    secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    data: Json = lab.rest.get(f"{secrets}/bellmetal-admission")["data"]
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    (webhook,) = lab.rest.get(f"{path}/bellmetal-controller-{NAMESPACE}")["webhooks"]
    assert webhook["clientConfig"]["caBundle"] == data["ca.crt"]
    return data
