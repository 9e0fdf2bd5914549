"""Devices that have our addresses, on real networks: the kernels of clients are the strangers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address

import pytest

from bellmetal_layer2 import arp, ndp
from lab.bare import Bare
from lab.capture import Capture
from lab.fixtures import require
from lab.host import Host
from lab.processes import Process
from lab.programs import NAMESPACE, Programs
from lab.waiting import until

pytestmark = pytest.mark.lab

V4, V6 = pytest.param(4, id="IPv4"), pytest.param(6, id="IPv6")

# Answers every question for addresses of the pool's /24, used or not, as some routers do (the
# kernel's own proxy does not answer probes at all).
PROXY = """
import socket, sys
mac = bytes.fromhex(sys.argv[1])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
link.bind(("eth0", 0x0806))
print("listening", flush=True)
while True:
    frame = link.recv(2048)
    if frame[20:22] == b"\\0\\1" and frame[28:32] != frame[38:42] and frame[40] == 255:
        head = frame[6:12] + mac + frame[12:20] + b"\\0\\2"
        link.send(head + mac + frame[38:42] + frame[22:28] + frame[28:32] + bytes(18))
"""


class Scene:
    """Two nodes with speakers; c1 is the stranger."""

    def __init__(self, lab: Bare) -> None:
        self.lab, self.programs = lab, Programs(lab)
        self.running: dict[str, Process] = self.programs.start()
        v4 = f"{lab.address(255, 200)}-{lab.address(255, 250)}"
        v6 = f"{lab.address6(0xFF00)}-{lab.address6(0xFFFF)}"
        self.programs.pool("lan", v4, v6)
        self.programs.advertise()
        self._last = 200

    @property
    def stranger(self) -> Host:
        return self.lab.client("c1")

    def address(self, family: int) -> str:
        """An address that no test has had before."""
        self._last += 1
        return (
            self.lab.address(255, self._last)
            if family == 4
            else self.lab.address6(0xFF00 + self._last)
        )

    def service(self, name: str, address: str) -> None:
        family = ["IPv6"] if ":" in address else ["IPv4"]
        wish = {"metallb.io/loadBalancerIPs": address}
        fields = {"ipFamilyPolicy": "SingleStack", "ipFamilies": family}
        self.programs.service(name, self.lab.node_names, wish, **fields)

    def take(self, address: str) -> None:
        """The stranger gets the address, and says nothing."""
        flags = ["nodad"] if ":" in address else []
        width = "128" if ":" in address else "32"
        where = ["dev", "eth0", *flags]
        self.stranger.run(["ip", "addr", "replace", f"{address}/{width}", *where])

    def give_up(self, address: str) -> None:
        width = "128" if ":" in address else "32"
        self.stranger.run(["ip", "addr", "del", f"{address}/{width}", "dev", "eth0"])

    def ask(self, address: str) -> None:
        """c2 asks who has it."""
        if ":" in address:
            command = ["ndisc6", "-n", "-m", "-r", "2", "-w", "300", address, "eth0"]
        else:
            command = ["arping", "-I", "eth0", "-c", "2", "-w", "1", address]
        self.lab.client("c2").run(command, check=False)

    def answerers(self, address: str) -> set[str]:
        """Who answers for it now."""
        with self.lab.sniff_answers() as capture:
            since = time.monotonic()
            self.ask(address)
            return {self.lab.name_of(mac) for mac in capture.answerers(address, since=since)}

    def condition(self, name: str) -> str:
        path = '{.status.conditions[?(@.type=="bellmetal.io/SeenOnLAN")].message}'
        flags = ["-n", "default", "-o", f"jsonpath={path}"]
        return self.lab.kubectl("get", f"service/{name}", *flags).stdout

    def reasons(self, name: str) -> set[str]:
        return {reason for reason, _ in self.programs.events("Service", name)}

    def report(self, node: str) -> dict[str, object]:
        flags = ["-n", NAMESPACE, "-o", "json"]
        body = json.loads(self.lab.kubectl("get", f"speakerreport/{node}", *flags).stdout)
        return dict(body["status"])

    def hush(self, drop: bool) -> None:
        """The LAN loses every answer of the nodes, and only those."""
        ports = ", ".join(f'"{self.lab.node(name).link}"' for name in self.lab.node_names)
        lines = [
            "table bridge hush",
            "delete table bridge hush",
            "table bridge hush {",
            "chain forward {",
            "type filter hook forward priority 0;",
            f"iifname {{{ports}}} ether type arp arp operation reply drop;",
            f"iifname {{{ports}}} icmpv6 type nd-neighbor-advert drop;",
            "}",
            "}",
        ]
        text = "\n".join(lines if drop else lines[:2])
        lan = self.stranger.namespace.removesuffix("c1") + "lan"
        command = ["ip", "netns", "exec", lan, "nft", "-f", "-"]
        subprocess.run(command, input=text, text=True, check=True)

    def loud(self, capture: Capture, address: str) -> list[float]:
        """When nodes told everybody that they have the address, in order."""
        nodes = {self.lab.node(name).mac for name in self.lab.node_names}
        if ":" in address:
            said = [one for one in capture.advertisements(address) if not one.solicited]
            return [one.at for one in said if one.source_mac in nodes]
        told = [one for one in capture.answers(address) if one.frame.target == "ff:ff:ff:ff:ff:ff"]
        return [one.at for one in told if one.sender_mac in nodes]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    with Bare(nodes=2, clients=2, kube_proxy=False) as lab:
        yield Scene(lab)


@pytest.mark.parametrize("family", [V4, V6])
def test_an_address_that_a_stranger_has_is_given_up_until_it_is_free(
    scene: Scene, family: int
) -> None:
    address, name = scene.address(family), f"taken-{family}"
    scene.take(address)
    with scene.lab.sniff_answers() as capture:
        scene.service(name, address)
        message = scene.programs.wait_event("Service", name, "AddressConflict")
        time.sleep(2.0)
        said = scene.loud(capture, address)
    who = f"{address} is held by {scene.stranger.mac} on eth0, which is no node of this cluster"
    assert message == f"{who}: not announcing it"
    assert said, "it was announced at once"
    assert said[-1] - said[0] < 1.0
    assert scene.answerers(address) == {"c1"}
    until(lambda: message in scene.condition(name), "the Service has the condition")
    assert scene.programs.owners(name) == []
    scene.give_up(address)
    until(lambda: scene.programs.owners(name), "it is announced again", 25)
    assert len(scene.answerers(address)) == 1
    until(lambda: not scene.condition(name), "the condition is gone")


@pytest.mark.parametrize("family", [V4, V6])
def test_a_stranger_that_comes_later_is_reported_and_defended_against(
    scene: Scene, family: int
) -> None:
    address, name = scene.address(family), f"later-{family}"
    scene.service(name, address)
    owner = scene.programs.owner(name)
    time.sleep(5.0)  # the announcements of the beginning are over
    scene.take(address)
    with scene.lab.sniff_answers() as capture:
        began = time.monotonic()
        while time.monotonic() < began + 8.0:  # it insists
            insist(scene.stranger, address)
            time.sleep(0.2)
        told_all = [at for at in scene.loud(capture, address) if at >= began]
    who = f"{address} is claimed by {scene.stranger.mac} on eth0, which is no node of this cluster"
    message = f"{who}: {owner} goes on announcing it"
    told = ("AddressConflict", message)
    until(lambda: told in scene.programs.events("Service", name), "an event tells of it")
    assert told_all, "it is defended"
    assert told_all[-1] - told_all[0] < 0.1, "once in ten seconds"
    assert {owner} < scene.answerers(address) | {"c1", ""}
    until(lambda: message in scene.condition(name), "the Service has the condition")
    assert scene.programs.owners(name) == [owner]
    scene.give_up(address)
    until(lambda: not scene.condition(name), "the condition is gone", 30)
    assert scene.answerers(address) == {owner}


def insist(host: Host, address: str) -> None:
    """A host tells the LAN that it has an address: gratuitous ARP, an unsolicited NA."""
    mac, said = bytes.fromhex(host.mac.replace(":", "")), ip_address(address)
    frame = (
        arp.gratuitous(said, mac, arp.REQUEST).encode()
        if isinstance(said, IPv4Address)
        else ndp.unsolicited(said, mac).encode()
    )
    with host.socket(17, 3) as raw:  # AF_PACKET, SOCK_RAW
        raw.bind(("eth0", 0))
        raw.send(frame)


def test_a_router_that_answers_for_everybody_is_no_holder(scene: Scene) -> None:
    mac = scene.stranger.mac
    for setting in ("proxy_arp", "forwarding"):
        scene.stranger.run(["sysctl", "-qw", f"net.ipv4.conf.eth0.{setting}=1"])
    script = [sys.executable, "-c", PROXY, mac.replace(":", "")]
    proxy = scene.stranger.spawn(script, log="proxy")
    until(lambda: "listening" in proxy.log(), "the proxy listens")
    address = scene.address(4)
    scene.service("routed", address)
    owner = scene.programs.owner("routed")
    until(
        lambda: "proxyArp" in json.dumps([scene.report(n) for n in scene.lab.node_names]),
        "a report names the proxy",
    )
    time.sleep(6.0)  # the other node has asked, too
    assert scene.programs.owners("routed") == [owner]
    assert "AddressConflict" not in scene.reasons("routed")
    assert scene.condition("routed") == ""
    proxy.kill()
    proxy.wait()


@pytest.mark.parametrize("family", [V4, V6])
def test_an_address_that_the_lan_does_not_see_is_reported_by_another_node(
    scene: Scene, family: int
) -> None:
    address, name = scene.address(family), f"unseen-{family}"
    scene.hush(True)
    try:
        scene.service(name, address)
        owner = scene.programs.owner(name)
        message = scene.programs.wait_event("Service", name, "AddressNotSeen")
        said = f"{address} is announced by {owner}, but asked for on eth0 nobody answers"
        assert message == said
        (other,) = {*scene.lab.node_names} - {owner}
        doubts = scene.report(other)["doubts"]
        assert isinstance(doubts, list)
        assert [d["kind"] for d in doubts if d["address"] == address] == ["unseen"]
        until(lambda: message in scene.condition(name), "the Service has the condition")
    finally:
        scene.hush(False)
    until(lambda: not scene.condition(name), "it is seen again", 25)
    assert address not in json.dumps(scene.report(other)["doubts"])


def test_what_is_as_it_should_be_is_counted_and_writes_nothing(scene: Scene) -> None:
    address = scene.address(4)
    scene.service("fine", address)
    owner = scene.programs.owner("fine")
    (other,) = {*scene.lab.node_names} - {owner}

    time.sleep(8.0)
    before = scene.report(other)
    time.sleep(12.0)
    after = scene.report(other)
    assert before | {"proved": after["proved"]} == after
    assert scene.reasons("fine") <= {"IPAllocated", "nodeAssigned"}
