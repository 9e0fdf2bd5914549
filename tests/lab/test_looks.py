"""What speakers see of their nodes, and looks that are asked of them, on real networks."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from bellmetal import resources
from bellmetal.api import Client, read_kubeconfig
from bellmetal.cli.asking import NotAllowedError, SilentError, ask
from bellmetal.follow import REPORTS
from bellmetal.sight_reports import read_sights
from bellmetal.sights import Look, LookKind, NodeSights, Sight
from lab.asker import Asker
from lab.bare import Bare
from lab.fixtures import require
from lab.programs import NAMESPACE, Programs
from lab.waiting import until

pytestmark = pytest.mark.lab

V4, V6 = pytest.param(4, id="IPv4"), pytest.param(6, id="IPv6")


class Scene:
    """Three nodes with speakers and kube-proxy; a Service of each family, and who owns it."""

    def __init__(self, lab: Bare) -> None:
        self.lab, self.programs = lab, Programs(lab)
        self.running = self.programs.start()
        self.addresses = {4: lab.address(255, 200), 6: lab.address6(0xFFC8)}
        self.programs.pool("lan", *(f"{a}-{a}" for a in self.addresses.values()))
        self.programs.advertise()
        for family, address in self.addresses.items():
            families = {4: ["IPv4"], 6: ["IPv6"]}[family]
            wish = {"metallb.io/loadBalancerIPs": address}
            fields = {"ipFamilyPolicy": "SingleStack", "ipFamilies": families}
            self.programs.service(f"web{family}", lab.node_names, wish, **fields)
        self.owners = {family: self.programs.owner(f"web{family}") for family in self.addresses}

    def other(self, family: int) -> str:
        """A node that does not own the address."""
        return next(name for name in self.lab.node_names if name != self.owners[family])

    def look(self, kind: LookKind, address: str, port: int = 0, seconds: int = 2) -> Look:
        return Look("", kind, ipaddress.ip_address(address), port, seconds)

    async def ask(self, node: str, *looks: Look, timeout: float | None = None) -> tuple[Sight, ...]:
        access = read_kubeconfig(self.lab.control_plane.kubeconfig())
        async with Client(access) as client:
            return await ask(client, NAMESPACE, node, looks, timeout)

    def see(self, node: str, *looks: Look) -> tuple[Sight, ...]:
        return asyncio.run(self.ask(node, *looks))

    def report(self, node: str) -> resources.SpeakerReport:
        async def get() -> resources.SpeakerReport:
            async with Client(read_kubeconfig(self.lab.control_plane.kubeconfig())) as client:
                path = f"{REPORTS.path(NAMESPACE)}/{node}"
                return await client.get(resources.SpeakerReport, path)

        return asyncio.run(get())

    def sights(self, node: str) -> NodeSights:
        found = until(lambda: read_sights(self.report(node)), f"{node} says what it sees", 40)
        assert isinstance(found, NodeSights)
        return found


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    require()
    with Bare(nodes=3, clients=1) as lab:
        yield Scene(lab)


def test_a_speaker_says_what_it_sees_of_its_node(scene: Scene) -> None:
    seen = scene.sights("n1")
    (eth0,) = [item for item in seen.links if item.name == "eth0"]
    assert (eth0.kind, eth0.up, eth0.promiscuous) == ("veth", True, False)
    assert seen.kube_proxy.healthy
    assert seen.kube_proxy.mode in ("iptables", "nftables")
    assert seen.ip_forward
    assert (seen.ipvs_addresses, seen.unheard) == (None, ())
    assert seen.kernel


def test_a_change_of_a_link_is_seen_at_once_and_at_rest_nothing_is_written(scene: Scene) -> None:
    node = scene.lab.node("n2")
    scene.sights("n2")
    node.run(["sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1"])
    node.run(["ip", "addr", "add", "198.18.0.2/24", "dev", "eth0"])  # what netlink tells of
    until(lambda: {i.name: i.rp_filter for i in scene.sights("n2").links}["eth0"] == 1, "seen", 10)
    node.run(["ip", "addr", "del", "198.18.0.2/24", "dev", "eth0"])
    time.sleep(5)
    assert any(unchanged(scene, "n2") for _ in range(3)), "what else it reports may change once"


def unchanged(scene: Scene, node: str) -> bool:
    """Whether a report stays as it is while the speaker looks at its node once more."""
    before = scene.report(node).metadata.resource_version
    time.sleep(35)
    return scene.report(node).metadata.resource_version == before


def test_the_owner_connects_or_says_why_not(scene: Scene) -> None:
    address, owner = scene.addresses[4], scene.owners[4]
    servers = [scene.programs.web(name) for name in scene.lab.node_names]
    nobody = scene.addresses[6]  # no endpoint is of its family: kube-proxy refuses

    def connected() -> bool:
        return scene.see(owner, scene.look(LookKind.CONNECT, address, 80))[0].ok

    until(connected, "kube-proxy leads to a web server", 20)
    well, closed = scene.see(
        owner,
        scene.look(LookKind.CONNECT, address, 80),
        scene.look(LookKind.CONNECT, address, 81, seconds=1),
    )
    assert (well.outcome, well.ok) == ("connected", True)
    assert well.message.startswith(f"{address}:80 takes connections, ")
    assert closed.outcome in ("timeout", "unreachable"), "no rule of kube-proxy's is for it"
    assert "(ETIMEDOUT, " in closed.message or "(EHOSTUNREACH, " in closed.message
    (refused,) = scene.see(scene.owners[6], scene.look(LookKind.CONNECT, nobody, 80))
    assert (refused.outcome, refused.ok) == ("refused", False)
    assert refused.message.startswith(f"[{nobody}]:80 refuses connections (ECONNREFUSED, ")
    for server in servers:
        server.kill()


@pytest.mark.parametrize("family", [V4, V6])
def test_another_node_sees_who_answers(scene: Scene, family: int) -> None:
    address, owner = scene.addresses[family], scene.owners[family]
    (seen,) = scene.see(scene.other(family), scene.look(LookKind.RESOLVE, address))
    mac = scene.lab.node(owner).mac
    assert (seen.outcome, seen.macs, seen.interface) == ("answered", (mac,), "eth0")
    assert seen.message == f"{address} is answered for by {mac} on eth0 ({owner})"
    (own,) = scene.see(owner, scene.look(LookKind.RESOLVE, address))
    assert (own.outcome, own.macs) == ("answered", ())


@pytest.mark.parametrize("family", [V4, V6])
def test_questions_that_arrive_are_counted_and_so_is_their_absence(
    scene: Scene, family: int
) -> None:
    address, owner = scene.addresses[family], scene.owners[family]

    async def while_another_asks() -> Sight:
        listening = asyncio.create_task(
            scene.ask(owner, scene.look(LookKind.LISTEN, address, seconds=5))
        )
        await asyncio.sleep(1.5)
        await scene.ask(scene.other(family), scene.look(LookKind.RESOLVE, address))
        (heard,) = await listening
        return heard

    heard = asyncio.run(while_another_asks())
    assert (heard.outcome, heard.ok) == ("answered", True), heard
    counts = re.search(r": (\d+); answered: (\d+)$", heard.message)
    assert counts, heard.message
    assert int(counts[1]) == int(counts[2]) >= 3, "speakers ask for each other's now and then, too"
    quiet = f"no question for {address} came in within 1 s on eth0"
    until(
        lambda: (
            scene.see(owner, scene.look(LookKind.LISTEN, address, seconds=1))[0].message == quiet
        ),
        "nobody asks",
    )


def test_the_kernels_route(scene: Scene) -> None:
    lab, node = scene.lab, scene.lab.node("n1")
    near = lab.client("c1").address
    node.run(["ip", "route", "add", "203.0.113.0/24", "via", near])
    node.run(["ip", "route", "add", "blackhole", "192.0.2.0/24"])
    one, far, none, own = scene.see(
        "n1",
        scene.look(LookKind.ROUTE, near),
        scene.look(LookKind.ROUTE, "203.0.113.9"),
        scene.look(LookKind.ROUTE, "192.0.2.9"),
        scene.look(LookKind.ROUTE, node.address),
    )
    assert (one.outcome, one.interface) == ("routed", "eth0")
    assert f"{near} is reached on eth0, from {node.address}; rp_filter is " in one.message
    assert f"203.0.113.9 is reached on eth0 by {near}" in far.message
    assert none.outcome == "dropped"
    assert own.outcome == "local"


def test_what_the_slices_do_not_name_is_not_looked_at(scene: Scene) -> None:
    stranger = scene.lab.client("c1").address
    denied = scene.see(
        "n1",
        scene.look(LookKind.CONNECT, stranger, 22),
        scene.look(LookKind.RESOLVE, stranger),
        scene.look(LookKind.LISTEN, stranger),
    )
    assert {item.outcome for item in denied} == {"denied"}
    assert denied[0].message == (
        f"{stranger} is not an address that the slices name: only those are looked at"
    )


def test_answers_take_no_address_away_while_many_look(scene: Scene) -> None:
    address = scene.addresses[4]
    looks = [scene.look(LookKind.RESOLVE, address) for _ in range(12)]
    flood = [scene.look(LookKind.CONNECT, "198.51.100.1", port) for port in (1, 2, 3, 4)]
    with scene.lab.sniff_answers() as capture, Asker(scene.lab, [address]):
        answers = scene.see(scene.owners[4], *looks, *flood)
        times = [one.at for one in capture.answers(address)]
    assert [item.outcome for item in answers] == ["answered"] * 12 + ["denied"] * 4
    assert max(after - before for before, after in pairwise(times)) < 0.5, "0.25 is rule 6's"
    assert scene.programs.owner("web4") == scene.owners[4]


def test_who_may_not_ask_is_told_so(scene: Scene) -> None:
    path = scene.lab.service_account_kubeconfig(NAMESPACE, "bellmetal-controller")

    async def try_it() -> None:
        async with Client(read_kubeconfig(path)) as client:
            look = scene.look(LookKind.ROUTE, "192.0.2.1")
            await ask(client, NAMESPACE, "n1", [look], timeout=5.0)

    with pytest.raises(NotAllowedError, match=r"right to get speakerreports\.bellmetal\.io"):
        asyncio.run(try_it())


def test_a_node_that_is_gone_is_unheard_after_a_while_and_does_not_answer(scene: Scene) -> None:
    gone = scene.other(4)
    scene.lab.kill_node(gone)
    with pytest.raises(SilentError, match="has not answered within 3 s"):
        asyncio.run(scene.ask(gone, scene.look(LookKind.ROUTE, "192.0.2.1"), timeout=3.0))
    until(lambda: scene.sights(scene.owners[4]).unheard == (gone,), "it is named", 75)
