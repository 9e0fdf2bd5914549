"""Every example on every page is taken by the API server and by the controller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from documents import manifests, pages
from kube.scene import CONDITION, MERGE, NAMESPACE, SHOP, Scene
from lab.rest import ApiError
from lab.waiting import until

pytestmark = pytest.mark.kube

PAGES = [page for page in pages() if manifests(page)]
PLURALS = {
    "BGPAdvertisement": "bgpadvertisements",
    "BGPPeer": "bgppeers",
    "BFDProfile": "bfdprofiles",
    "Community": "communities",
    "IPAddressPool": "ipaddresspools",
    "L2Advertisement": "l2advertisements",
}


def examples(page: str) -> list[dict[str, Any]]:
    """All objects in the YAML blocks of a page."""
    return [body for block in manifests(page) for body in yaml.safe_load_all(block.text)]


@pytest.fixture
def applied(scene: Scene) -> Iterator[Any]:
    """Applies objects, and removes those that the scene does not clear."""
    paths: list[str] = []

    def apply(body: dict[str, Any]) -> None:
        kind = body["kind"]
        if kind == "Service":
            scene.rest.post(f"/api/v1/namespaces/{SHOP}/services", body)
        elif kind == "Secret":
            path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
            scene.rest.post(path, body)
            paths.append(f"{path}/{body['metadata']['name']}")
        elif kind == "Namespace":
            changes = {"metadata": {"annotations": body["metadata"]["annotations"]}}
            scene.rest.patch(f"/api/v1/namespaces/{body['metadata']['name']}", changes)
        elif kind == "ClusterRole":
            path = f"/apis/{body['apiVersion']}/clusterroles"
            scene.rest.post(path, body)
            paths.append(f"{path}/{body['metadata']['name']}")
        else:
            path = f"/apis/{body['apiVersion']}/namespaces/{NAMESPACE}/{PLURALS[kind]}"
            one = f"{path}/{body['metadata']['name']}"
            try:
                scene.rest.post(path, body)
            except ApiError as error:
                if error.status != 409:
                    raise
                scene.rest.request("PATCH", one, body, MERGE)  # the page says it anew
            if kind not in ("IPAddressPool", "L2Advertisement"):
                paths.append(one)

    yield apply
    for path in paths:
        try:
            scene.rest.request("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise
    nothing = {"metadata": {"annotations": {"bellmetal.io/address-quota": None}}}
    scene.rest.patch(f"/api/v1/namespaces/{SHOP}", nothing)


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_work_together(scene: Scene, applied: Any, page: str) -> None:
    bodies = examples(page)
    assert bodies, "the page has examples"
    for body in bodies:
        applied(body)
    services = [body["metadata"]["name"] for body in bodies if body["kind"] == "Service"]
    for name in services:
        until(lambda name=name: scene.shown(name), f"{name} has an address")
        assert CONDITION not in scene.conditions(name)
    path = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/configurationstates"

    def results() -> list[str]:
        try:
            items = scene.rest.get(path)["items"]
        except ApiError as error:
            if error.status != 429:  # the API server is still making room for the new kind
                raise
            return []
        return [item.get("status", {}).get("errorSummary", "?") for item in items]

    until(lambda: results() == [""], "the configuration is valid")
    if "dns-tcp" in services:
        assert scene.shown("dns-tcp") == scene.shown("dns-udp")
        assert scene.shown("web") == ["192.0.2.130", "2001:db8:0:1::110"]
