"""An API server where helm installed the chart, and what the tests of CRDs say to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from lab.bare import Bare
from lab.fixtures import require
from lab.paths import CHART
from lab.rest import ApiError, Rest
from lab.waiting import until

Json = dict[str, Any]

NAMESPACE = "metallb-system"
MERGE = "application/merge-patch+json"
GROUPS = {
    "IPAddressPool": "metallb.io/v1beta1",
    "L2Advertisement": "metallb.io/v1beta1",
    "BGPAdvertisement": "metallb.io/v1beta1",
    "BGPPeer": "metallb.io/v1beta2",
    "BFDProfile": "metallb.io/v1beta1",
    "Community": "metallb.io/v1beta1",
    "ServiceL2Status": "metallb.io/v1beta1",
    "ServiceBGPStatus": "metallb.io/v1beta1",
    "ConfigurationState": "metallb.io/v1beta1",
    "AnnouncementSlice": "bellmetal.io/v1alpha1",
    "AddressLedger": "bellmetal.io/v1alpha1",
    "SpeakerReport": "bellmetal.io/v1alpha1",
    "BGPSessionStatus": "bellmetal.io/v1alpha1",
}
SPECLESS = {"SpeakerReport", "ConfigurationState", "BGPSessionStatus"}


@contextmanager
def installed() -> Iterator[Bare]:
    """A control plane with two nodes, where helm installed the chart; nothing runs its pods."""
    require()
    with Bare(nodes=2, clients=0, kube_proxy=False, controller_manager=False) as lab:
        install(lab)
        yield lab


def install(lab: Bare) -> str:
    command = ("install", "bellmetal", CHART, "--namespace", NAMESPACE, "--create-namespace")
    said = lab.helm(*command).stdout
    until(lambda: all(_served(lab, kind) for kind in GROUPS), "every kind is served")
    return said


def _served(lab: Bare, kind: str) -> bool:
    """Whether the API server knows a kind; helm does not wait for that."""
    try:
        lab.rest.get(place(kind))
    except ApiError as error:
        if error.status not in (404, 429):  # 429: "storage is (re)initializing"
            raise
        return False
    return True


def manifest(
    kind: str, spec: str, name: str = "x", labels: str = "{}", version: str | None = None
) -> str:
    """An object as people write it; ``spec`` stands under status for what has no spec."""
    part = "status" if kind in SPECLESS else "spec"
    return (
        f"apiVersion: {version or GROUPS[kind]}\nkind: {kind}\n"
        f"metadata: {{name: {name}, namespace: {NAMESPACE}, labels: {labels}}}\n{part}: {spec}\n"
    )


def parsed(
    kind: str, spec: str, name: str = "x", labels: str = "{}", version: str | None = None
) -> Json:
    """The same as JSON."""
    found: Json = yaml.safe_load(manifest(kind, spec, name, labels, version))
    return found


def place(kind: str, name: str = "", version: str | None = None) -> str:
    """Where the objects of a kind are, or one of them."""
    plural = {"Community": "communities", "Status": "statuses"}
    word = kind.lower() + "s"
    for end, ending in plural.items():
        if kind.endswith(end):
            word = kind.removesuffix(end).lower() + ending
    return f"/apis/{version or GROUPS[kind]}/namespaces/{NAMESPACE}/{word}" + (name and f"/{name}")


def hand(api: Bare, node: str | None, account: str = "bellmetal-speaker") -> Rest:
    """The API as a program of the chart sees it."""
    config = api.service_account_kubeconfig(NAMESPACE, account, node)
    token = yaml.safe_load(config.read_text())["users"][0]["user"]["token"]
    admin = api.rest
    return Rest(admin.host, admin.port, admin.ca, token)


def refusal(rest: Rest, method: str, path: str, body: Json | None) -> Json:
    """The API server's Status against a request, with its code; empty if it did it."""
    kind = MERGE if method == "PATCH" else "application/json"
    try:
        rest.request(method, path, body, kind)
    except ApiError as error:
        said: Json = json.loads(str(error).split(": ", 2)[2])
        return said
    return {}


def answer(rest: Rest, method: str, path: str, body: Json | None) -> str:
    """The API server's message against a request; empty if it did it."""
    return str(refusal(rest, method, path, body).get("message", ""))


def sentences(said: Json) -> list[str]:
    """What a Status says, one sentence for each field; nothing if it is a yes."""
    if not said:
        return []
    causes = said.get("details", {}).get("causes", [])
    found = [f"{cause['field']}: {cause['message']}" for cause in causes if "field" in cause]
    # told besides the others: "some validation rules were not checked because …"
    return [text for text in found if not text.startswith("<nil>")] or [said["message"]]
