"""The bare floor: what a test may rely on, tried."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
from pathlib import Path

import pytest

from lab.asker import Asker
from lab.bare import Bare
from lab.errors import LabError
from lab.host import Failed, Host
from lab.rest import ApiError, Rest
from lab.waiting import until

pytestmark = pytest.mark.lab
TESTS = Path(__file__).parents[1]
NOBODY = "02:00:00:00:00:99"

SERVE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(sys.argv[2].encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((sys.argv[1], 8080), Handler).serve_forever()
"""


def ping(host: Host, address: str, count: int = 1) -> int:
    """How many of `count` pings were answered; by `arping`, as no host need have `ping`."""
    done = host.run(
        ["arping", "-q", "-i", "eth0", "-c", str(count), "-W", "0.05", address], check=False
    )
    return 0 if done.returncode else 1


def answered(host: Host, address: str, count: int) -> int:
    """How many of `count` ARP questions got an answer."""
    done = host.run(
        ["arping", "-i", "eth0", "-c", str(count), "-W", "0.02", "-r", address], check=False
    )
    return len(done.stdout.split())


def fetch(host: Host, address: str, port: int, timeout: float = 1) -> str:
    """The body of a page, asked for from that host."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with host.socket(family, socket.SOCK_STREAM) as asked:
        asked.settimeout(timeout)
        asked.connect((address, port))
        asked.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := asked.recv(4096):
            answer += part
    return answer.partition(b"\r\n\r\n")[2].decode()


def test_it_is_up_within_seconds_with_nodes_that_are_ready(bare: Bare) -> None:
    assert bare.times["up"] < 10  # 3 s on an idle machine with two cores
    nodes = json.loads(bare.kubectl("get", "nodes", "-o", "json").stdout)["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["n1", "n2", "n3"]
    assert not any(node["spec"].get("taints") for node in nodes)
    assert bare.node("n1").address in json.dumps(nodes[0]["status"]["addresses"])


def test_the_api_answers_on_the_host_and_in_every_namespace(bare: Bare) -> None:
    assert bare.rest.ready()
    config = {"KUBECONFIG": str(bare.kubeconfig()), "HOME": str(bare.run.path)}
    for name in ("cp", "n1", "c1"):
        done = bare.host(name).run([bare.binaries / "kubectl", "version"], env=config)
        assert "v1.36" in done.stdout


def test_a_refused_command_says_why(bare: Bare) -> None:
    with pytest.raises(Failed, match=r"namespaces .nowhere. not found"):
        bare.kubectl("get", "namespace", "nowhere")


def account(bare: Bare) -> None:
    bare.apply(
        """
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
"""
    )


def test_a_service_account_has_its_own_rights_and_its_node(bare: Bare) -> None:
    account(bare)
    path = bare.service_account_kubeconfig("default", "reader", node="n2")
    token = json.loads(path.read_text())["users"][0]["user"]["token"]
    hand = Rest(bare.host("cp").address, 6443, bare.control_plane.pki.ca, token)
    assert len(hand.get("/api/v1/nodes")["items"]) == 3
    with pytest.raises(ApiError, match="403"):
        hand.get("/api/v1/secrets")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    who = hand.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    extra = who["status"]["userInfo"]["extra"]
    assert extra["authentication.kubernetes.io/node-name"] == ["n2"]


def test_a_programs_life(bare: Bare) -> None:
    node = bare.node("n1")
    program = node.spawn(["sh", "-c", "echo $GREETING; sleep 60"], {"GREETING": "hello"}, "greeter")
    until(lambda: program.log() == "hello\n", "its greeting", 5)
    assert program.alive
    assert program.pid in node.pids()
    program.pause()
    status = Path(f"/proc/{program.pid}/status")
    until(lambda: "State:\tT" in status.read_text(), "it to stop", 5)
    program.resume()
    program.terminate()
    assert program.wait(5) == -15
    assert not program.alive


def test_traffic_to_a_services_address_reaches_programs_that_stand_for_pods(bare: Bare) -> None:
    addresses = [bare.pod_address("n1", 5), bare.pod_address("n2", 5)]
    for node, address in zip(("n1", "n2"), addresses, strict=True):
        bare.node(node).spawn(["python3", "-c", SERVE, address, node], log="web")
    vip = bare.address(255, 200)
    bare.apply(SERVICE % tuple(addresses))
    bare.rest.patch("/api/v1/namespaces/default/services/web/status",
                    {"status": {"loadBalancer": {"ingress": [{"ip": vip}]}}})  # fmt: skip
    client, seen = bare.client(), set()
    client.run(["ip", "route", "replace", f"{vip}/32", "via", bare.node("n3").address])

    def both() -> bool:
        try:
            seen.add(fetch(client, vip, 80))
        except OSError:
            time.sleep(0.05)
        return seen == {"n1", "n2"}

    until(both, "an answer from both", 15)
    with pytest.raises(OSError, match=r"unreachable|timed out"):  # no way to pods for a client
        fetch(client, addresses[0], 8080, timeout=0.5)


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080, protocol: TCP}]
endpoints: [{addresses: [%s]}, {addresses: [%s]}]
"""


def test_a_killed_node_is_silent_at_once_and_boots_again(bare: Bare) -> None:
    node, client = bare.node("n3"), bare.client()
    program = node.spawn(["sleep", "60"])
    assert ping(client, node.address)
    before = time.monotonic()
    cut = bare.kill_node("n3")
    assert before <= cut <= time.monotonic()
    assert node.pids() == []
    assert not program.alive
    assert not ping(client, node.address)
    bare.boot_node("n3")
    until(lambda: ping(client, node.address), "an answer after boot", 5)
    assert node.process("kube-proxy").alive


def test_a_cable_pulled_and_put_back(bare: Bare) -> None:
    node, client = bare.node("n1"), bare.client()
    bare.cut("n1")
    assert "NO-CARRIER" in node.run(["ip", "link", "show", "eth0"]).stdout
    assert not ping(client, node.address)
    bare.join("n1")
    until(lambda: ping(client, node.address), "an answer", 5)


def test_a_partition_stops_arp_between_the_chosen_alone(bare: Bare) -> None:
    n1, n2, n3 = (bare.node(name) for name in ("n1", "n2", "n3"))
    bare.partition({"n1"}, {"n2"})
    assert [ping(n1, n2.address), ping(n2, n1.address), ping(n1, n3.address)] == [0, 0, 1]
    bare.heal()
    assert ping(n1, n2.address)


def test_a_partition_one_way(bare: Bare) -> None:
    with bare.sniff_arp() as seen:
        bare.partition({"n1"}, {"n2"}, oneway=True)
        with bare.capture("n2", "arp") as arrived:
            assert not ping(bare.node("n2"), bare.node("n1").address)  # asked, answer is lost
        bare.heal()
    asked = [arp for arp in arrived.arps() if arp.target == bare.node("n1").address]
    assert asked
    assert not any(arp.reply for arp in arrived.arps())
    assert seen.answerers(bare.node("n1").address) == {bare.node("n1").mac}


def heard(bare: Bare, port: int) -> bool:
    """Whether a datagram gets from n1 to a port of n2, whose MAC n1 knows."""
    n1, n2 = bare.node("n1"), bare.node("n2")
    n1.run(["ip", "neigh", "replace", n2.address, "lladdr", n2.mac, "dev", "eth0"])
    with (
        n2.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        n1.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
    ):
        there.bind((n2.address, port))
        there.settimeout(0.2)
        here.sendto(b"?", (n2.address, port))
        try:
            return there.recv(16) == b"?"
        except TimeoutError:
            return False


@pytest.mark.parametrize(
    ("only", "gossip", "beacons", "arp"), [("gossip", 0, 1, 1), ("neighbours", 1, 0, 0)]
)
def test_a_partition_of_some_frames_alone(
    bare: Bare, only: str, gossip: int, beacons: int, arp: int
) -> None:
    n1, n2 = bare.node("n1"), bare.node("n2")
    bare.partition({"n1"}, {"n2"}, only=only)
    try:
        assert (heard(bare, 7946), heard(bare, 7947)) == (gossip, beacons)
        assert (ping(n1, n2.address), heard(bare, 9)) == (arp, True)
    finally:
        bare.heal()
    assert (heard(bare, 7946), heard(bare, 7947), ping(n1, n2.address)) == (True, True, 1)
    with pytest.raises(LabError, match="gossip, neighbours"):
        bare.partition({"n1"}, {"n2"}, only="everything")


def test_an_asker_is_answered_and_a_neighbour_is_forgotten(bare: Bare) -> None:
    asked = [bare.node("n1").address, bare.node("n2").address6]
    with bare.sniff_answers() as seen, Asker(bare, asked):
        until(lambda: all(seen.said(address) for address in asked), "both are answered", 5)
    assert {bare.name_of(word.mac) for word in seen.said(asked[1])} == {"n2"}
    client, script = bare.client(), "from lab.neighbours import Neighbours as N; N().forget('%s')"
    for address in asked:
        client.run(
            ["ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", "eth0"]
        )
        client.run([sys.executable, "-c", script % address], env={"PYTHONPATH": str(TESTS)})
        client.run([sys.executable, "-c", script % address], env={"PYTHONPATH": str(TESTS)})
        assert NOBODY not in client.run(["ip", "neigh", "show", address]).stdout


@pytest.mark.parametrize("direction", ["in", "out", "both"])
def test_loss_takes_about_the_fraction(bare: Bare, direction: str) -> None:
    bare.loss("n1", 0.5, direction)
    got = answered(bare.client(), bare.node("n1").address, 60)
    bare.loss("n1", 0)
    assert (3 <= got <= 30) if direction == "both" else (15 <= got <= 45)
    assert answered(bare.client(), bare.node("n1").address, 5) == 5


def test_loss_of_what_cannot_be_is_refused(bare: Bare) -> None:
    with pytest.raises(LabError, match="0 to 1"):
        bare.loss("n1", 30)
    with pytest.raises(LabError, match="no host 'n9'"):
        bare.loss("n9", 0.1)


@pytest.mark.parametrize("hang", [False, True])
def test_an_api_outage(bare: Bare, hang: bool) -> None:
    bare.api_down(hang)
    context = ssl.create_default_context(cafile=str(bare.control_plane.pki.ca))
    asked = http.client.HTTPSConnection(bare.host("cp").address, 6443, timeout=0.3, context=context)
    try:
        with pytest.raises(TimeoutError if hang else ConnectionRefusedError):
            asked.request("GET", "/readyz")
    finally:
        asked.close()
        bare.api_up()
    assert bare.rest.get("/api/v1/nodes/n1")["metadata"]["name"] == "n1"


def test_a_capture_knows_when_and_who(bare: Bare) -> None:
    client, node = bare.client(), bare.node("n2")
    with bare.sniff_arp() as seen:
        before = time.monotonic()
        assert ping(client, node.address)
        after = time.monotonic()
    answer = seen.answers(node.address)[0]
    assert before <= answer.at <= after
    assert bare.name_of(answer.sender_mac) == "n2"
    assert answer.target == client.address


def test_an_ipv6_answer_is_seen(bare: Bare) -> None:
    client, node = bare.client(), bare.node("n2")
    client.run(["ip", "-6", "neigh", "flush", "all"])
    with bare.sniff_answers() as seen:
        with client.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
            asking.sendto(b"?", (node.address6, 9))
        until(lambda: seen.answerers(node.address6), "an advertisement", 5)
    answer = seen.advertisements(node.address6)[0]
    assert answer.solicited
    assert bare.name_of(answer.source_mac) == "n2"


def test_a_node_is_said_to_be_dead(bare: Bare) -> None:
    for ready, word in ((False, "Unknown"), (True, "True")):
        bare.set_node_ready("n2", ready)
        conditions = bare.rest.get("/api/v1/nodes/n2")["status"]["conditions"]
        assert [c["status"] for c in conditions if c["type"] == "Ready"] == [word]
