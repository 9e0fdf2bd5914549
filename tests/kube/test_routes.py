"""BGP as the controller decides it: routes, peers and passwords on a real API server."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kube.scene import ANNOUNCED, CONFIGURATION, INTERNAL, MERGE, NAMESPACE, Scene
from lab.rest import ApiError, Json
from lab.waiting import until

pytestmark = pytest.mark.kube

SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
PASSWORDS = "bellmetal-bgp-passwords"
PLURALS = {
    "BGPPeer": "bgppeers",
    "BGPAdvertisement": "bgpadvertisements",
    "BFDProfile": "bfdprofiles",
    "Community": "communities",
}


class Desk:
    """What an administrator of BGP does, and sees."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.secrets: set[str] = set()

    def apply(
        self, kind: str, name: str, annotations: Mapping[str, str | None] | None = None, **spec: Any
    ) -> None:
        """Creates an object, or changes the one of that name."""
        named = {f"bellmetal.io/{key}": text for key, text in (annotations or {}).items()}
        self.scene.configure(PLURALS[kind], kind, name, spec, named)

    def peer(
        self, name: str = "tor", annotations: Mapping[str, str] | None = None, **spec: Any
    ) -> None:
        defaults = {"myASN": 64512, "peerASN": 64513, "peerAddress": "10.0.9.1"}
        self.apply("BGPPeer", name, annotations, **(defaults | spec))

    def secret(self, name: str, kind: str, **values: str) -> None:
        body = {"metadata": {"name": name}, "type": kind, "stringData": values}
        self.scene.rest.post(SECRETS, body)
        self.secrets.add(name)

    def change_secret(self, name: str, **values: str) -> None:
        self.scene.rest.request("PATCH", f"{SECRETS}/{name}", {"stringData": values}, MERGE)

    def label(self, node: str, **labels: str | None) -> None:
        self.scene.rest.request(
            "PATCH", f"/api/v1/nodes/{node}", {"metadata": {"labels": labels}}, MERGE
        )

    def passwords(self) -> dict[str, str]:
        try:
            found = self.scene.rest.get(f"{SECRETS}/{PASSWORDS}").get("data") or {}
        except ApiError as error:
            if error.status != 404:
                raise
            return {}
        return {name: base64.b64decode(text).decode() for name, text in found.items()}

    def items(self, field: str) -> list[Json]:
        """What all slices say of one kind."""
        slices = self.scene.slices().values()
        return [entry for item in slices for entry in item["spec"].get(field, [])]

    def routes(self) -> list[Json]:
        return self.items("routes")

    def node_set(self, name: str) -> Json:
        [found] = [item for item in self.items("nodeSets") if item["name"] == name]
        return found

    def nodes(self, item: Json) -> list[str]:
        return sorted(one["name"] for one in self.node_set(item["nodeSet"])["nodes"])

    def route_of(self, service: str) -> Json | None:
        for route in self.routes():
            if any(item["name"] == service for item in route["services"]):
                return route
        return None

    def web(self, **spec: Any) -> None:
        """A pool, and a Service that serves on n1 and n2."""
        self.scene.pool("lan", "LAN.200-LAN.209")
        self.scene.service("web", **spec)
        self.scene.endpoints("web", "n1", "n2")
        self.scene.wait_shown("web", "LAN.200")

    def clear(self) -> None:
        for plural in PLURALS.values():
            self.scene.rest.request("DELETE", f"{CONFIGURATION}/{plural}", timeout=60)
        for name in self.secrets:
            self.scene.rest.request("DELETE", f"{SECRETS}/{name}")
        until(lambda: not self.routes() and not self.items("peers"), "no route and no peer is left")


@pytest.fixture
def desk(scene: Scene) -> Iterator[Desk]:
    desk = Desk(scene)
    for node in ("n1", "n2"):
        scene.report(node, eth0=["LAN.1/24"])
    yield desk
    desk.clear()


def test_a_service_becomes_a_route_and_a_peer_a_plan(desk: Desk) -> None:
    desk.apply("BFDProfile", "fast", transmitInterval=50, receiveInterval=60)
    desk.apply("Community", "aliases", communities=[{"name": "vip", "value": "65000:7"}])
    asked = {"ttl-security": "2", "max-prefixes": "100", "drain-time": "30s"}
    desk.peer("tor", asked, holdTime="9s", bfdProfile="fast", ebgpMultiHop=True)
    desk.apply(
        "BGPAdvertisement",
        "all",
        {"med": "5", "as-path-prepend": "2", "communities": "no-export"},
        communities=["vip"],
        localPref=200,
        peers=["tor"],
    )
    desk.web()
    route = until(lambda: desk.route_of("web"), "the route is in a slice")
    assert route["prefix"] == desk.scene.text("LAN.200/32")
    assert (route["localPref"], route["med"], route["prepend"]) == (200, 5, 2)
    assert route["communities"] == ["65000:7", "65535:65281"]
    assert (route["peers"], desk.nodes(route)) == (["tor"], ["n1", "n2"])
    [peer] = desk.items("peers")
    assert (peer["name"], peer["address"], peer["holdTime"]) == ("tor", "10.0.9.1", 9)
    assert (peer["keepaliveTime"], peer["multiHop"], peer["ttlSecurity"]) == (3, True, 2)
    assert (peer["maxPrefixes"], peer["drainTime"]) == (100, 30)
    assert peer["bfd"] == {"name": "fast", "transmitInterval": 50, "receiveInterval": 60}
    assert desk.nodes(peer) == ["n1", "n2"]
    assert {"bgp-0", "peers-0", "nodes"} <= desk.scene.slices().keys()
    assert ANNOUNCED not in desk.scene.conditions("web")
    desk.scene.delete("web")
    until(lambda: not desk.routes(), "the route is withdrawn")
    assert "bgp-0" not in desk.scene.slices()


def test_a_drain_writes_the_sets_and_no_route(desk: Desk) -> None:
    desk.peer()
    desk.apply("BGPAdvertisement", "all")
    desk.web()
    route = until(lambda: desk.route_of("web"), "the route is in a slice")
    before = desk.scene.slices()
    desk.scene.node("n1", {"bellmetal.io/drain": "true"})
    try:
        name = route["nodeSet"]
        until(lambda: desk.node_set(name).get("draining") == ["n1"], "n1 gives way")
        after = desk.scene.slices()
        changed = {key for key in after if after[key]["metadata"] != before[key]["metadata"]}
        assert changed == {"nodes"}
        assert desk.nodes(route) == ["n1", "n2"]
    finally:
        desk.scene.node("n1", {"bellmetal.io/drain": None})
    until(lambda: "draining" not in desk.node_set(name), "n1 is back")


def test_local_traffic_is_led_to_nodes_with_endpoints(desk: Desk) -> None:
    desk.peer()
    desk.apply("BGPAdvertisement", "all")
    desk.scene.pool("lan", "LAN.200-LAN.209")
    desk.scene.service("web", externalTrafficPolicy="Local")
    desk.scene.endpoints("web", "n2")
    route = until(lambda: desk.route_of("web"), "the route is in a slice")
    assert desk.nodes(route) == ["n2"]


def test_two_local_preferences_for_one_service_are_withheld_and_told(desk: Desk) -> None:
    desk.peer()
    desk.apply("BGPAdvertisement", "a", localPref=100)
    web = [{"matchLabels": {"app": "web"}}]
    desk.apply("BGPAdvertisement", "b", localPref=200, serviceSelectors=web)
    desk.web(labels={"app": "web"})
    sentence = (
        "LAN.200 is not announced: BGPAdvertisement a gives it the local preference 100, and"
        " BGPAdvertisement b 200, on n1, n2"
    )
    reason = "conflictingAdvertisements"
    desk.scene.wait_condition("web", ANNOUNCED, reason, sentence)
    desk.scene.wait_event("Service", "web", "notAnnounced", f"{sentence} ({reason})")
    assert desk.routes() == []
    desk.apply("BGPAdvertisement", "b", localPref=100, serviceSelectors=web)
    until(lambda: desk.route_of("web"), "the route is in a slice")
    until(lambda: ANNOUNCED not in desk.scene.conditions("web"), "nothing is wrong any more")


def test_what_no_peer_hears_is_told(desk: Desk) -> None:
    desk.apply("BGPAdvertisement", "all")
    desk.web()
    sentence = "LAN.200 is not announced: no BGPPeer hears of it from a node that may announce it"
    desk.scene.wait_condition("web", ANNOUNCED, "noPeers", sentence)


def test_what_neither_kind_selects_is_told_with_both(desk: Desk) -> None:
    desk.web()
    sentence = (
        'LAN.200 is not announced: no L2Advertisement or BGPAdvertisement selects pool "lan" and'
        " this Service"
    )
    desk.scene.wait_condition("web", ANNOUNCED, "noMatchingAdvertisement", sentence)


def test_a_typo_is_told_on_the_object(desk: Desk) -> None:
    desk.peer("tor", {"drain-time": "soon"})
    sentence = (
        'metadata.annotations[bellmetal.io/drain-time]: "soon" is not a duration such as 5s, 90s or'
        " 2m"
    )
    desk.scene.wait_event("BGPPeer", "tor", "InvalidConfiguration", sentence)
    until(lambda: [item["name"] for item in desk.items("peers")] == ["tor"], "it is in force")


def test_passwords_reach_speakers_by_one_secret_and_nothing_else(desk: Desk) -> None:
    scene = desk.scene
    desk.peer("tor", password="in the spec")
    until(lambda: desk.passwords() == {"tor": "in the spec"}, "the Secret has it")
    desk.peer("core", peerAddress="10.0.9.2", passwordSecret={"name": "core-password"})
    missing = (
        f'spec.passwordSecret: secret ref not found for peer config "{NAMESPACE}/core": there is no'
        f' Secret "core-password" of type kubernetes.io/basic-auth in namespace {NAMESPACE}'
    )
    scene.wait_event("BGPPeer", "core", "InvalidConfiguration", missing)
    desk.secret("core-password", "kubernetes.io/basic-auth", username="u", password="sesame-1")
    until(lambda: desk.passwords().get("core") == "sesame-1", "the Secret has both")
    desk.change_secret("core-password", password="sesame-2")
    until(lambda: desk.passwords().get("core") == "sesame-2", "it is rotated")
    desk.change_secret("core-password", password="x" * 81)
    too_long = "spec.passwordSecret: the password has 81 bytes, and TCP takes 80"
    stays = f"{too_long}; the last one stays in force"
    scene.wait_event("BGPPeer", "core", "InvalidConfiguration", stays)
    assert desk.passwords() == {"tor": "in the spec", "core": "sesame-2"}
    peers = {item["name"]: item for item in desk.items("peers")}
    assert (peers["tor"]["signed"], peers["core"]["signed"]) == (True, True)
    events = scene.rest.get(f"/api/v1/namespaces/{NAMESPACE}/events")
    for said in (str(scene.slices()), str(events), str(scene.log())):
        assert "sesame" not in said
        assert "in the spec" not in said
    scene.rest.request("DELETE", f"{CONFIGURATION}/bgppeers/tor")
    until(lambda: desk.passwords() == {"core": "sesame-2"}, "what nobody needs is forgotten")


def test_a_secret_of_another_type_is_none(desk: Desk) -> None:
    desk.secret("opaque", "Opaque", password="sesame")
    desk.peer("tor", passwordSecret={"name": "opaque"})
    sentence = (
        f'spec.passwordSecret: secret ref not found for peer config "{NAMESPACE}/tor": there is no'
        f' Secret "opaque" of type kubernetes.io/basic-auth in namespace {NAMESPACE}'
    )
    desk.scene.wait_event("BGPPeer", "tor", "InvalidConfiguration", sentence)
    assert desk.passwords() == {}


def test_a_peer_that_nodes_know_by_their_labels(desk: Desk) -> None:
    desk.label("n1", **{"example.org/tor": "10.0.9.1"})
    asked = {"peer-address-from": "node-label/example.org/tor"}
    desk.peer("tor", asked, peerAddress="0.0.0.0")
    try:
        sentence = (
            "metadata.annotations[bellmetal.io/peer-address-from]: node n2 has no label"
            ' "example.org/tor"; it has no session'
        )
        desk.scene.wait_event("BGPPeer", "tor", "InvalidConfiguration", sentence)

        def plans() -> list[tuple[str, list[str]]]:
            return [(item["address"], desk.nodes(item)) for item in desk.items("peers")]

        until(lambda: plans() == [("10.0.9.1", ["n1"])], "n1 has a session")
        desk.label("n2", **{"example.org/tor": "10.0.9.2"})
        both = [("10.0.9.1", ["n1"]), ("10.0.9.2", ["n2"])]
        until(lambda: plans() == both, "each has its own")
    finally:
        for node in ("n1", "n2"):
            desk.label(node, **{"example.org/tor": None})


def test_the_slices_of_routes_are_whole_again_after_damage(desk: Desk) -> None:
    desk.peer()
    desk.apply("BGPAdvertisement", "all")
    desk.web()
    until(lambda: desk.route_of("web"), "the route is in a slice")
    specs = {name: item["spec"] for name, item in desk.scene.slices().items()}
    for name in ("bgp-0", "peers-0"):
        desk.scene.rest.request("DELETE", f"{INTERNAL}/announcementslices/{name}")
    until(
        lambda: {name: item["spec"] for name, item in desk.scene.slices().items()} == specs,
        "all is as it was",
    )
