"""What a takeover sees of MetalLB's speaker on a LAN: who answers ARP, and for how long.

The node whose hash of node and address is lowest among those that live answers; who lives is told
by datagrams to port 7946, and who ends says so. Runs in a pod on the node's network, with Python's
own library alone. Written from what it does.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import struct
import sys
import threading
import time
import urllib.error
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from api import NAMESPACE, ask, delete, get, patch, shown

NODE = os.environ["METALLB_NODE_NAME"]
MINE = os.environ["METALLB_HOST"]
PORT = 7946
LINK = "eth0"
BEAT, SILENCE = 0.2, 5.0  # seconds: it says that it lives so often; after the other it is dead
PACE = 0.3  # seconds between two looks at the API
AGAIN, WINDOW = 1.1, 5.0  # seconds: gratuitous ARP is repeated for a while
STATUSES = f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/servicel2statuses"
EVERYBODY = b"\xff" * 6

mac = bytes.fromhex(Path(f"/sys/class/net/{LINK}/address").read_text().strip().replace(":", ""))
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
link.bind((LINK, 0x0806))
gossip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gossip.bind((MINE, PORT))

nodes: dict[str, str] = {}  # every node and its address
heard: dict[str, float] = {NODE: float("inf")}  # when a node was heard last
owned: dict[str, float] = {}  # address → since when it is announced
lock = threading.Lock()
ending = threading.Event()


def frame(op: int, target_mac: bytes, sender: str, target_hw: bytes, target: str) -> bytes:
    """An ARP packet in Ethernet, from this node."""
    head = target_mac + mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    return head + mac + socket.inet_aton(sender) + target_hw + socket.inet_aton(target)


def answer() -> None:
    """ARP requests for what this node owns."""
    while True:
        data = link.recv(256)  # also what another program of this node sends
        if data[20:22] != b"\x00\x01":
            continue
        target = socket.inet_ntoa(data[38:42])
        with lock:
            mine = target in owned
        if mine and data[:6] in (EVERYBODY, mac):
            asker, address = data[22:28], socket.inet_ntoa(data[28:32])
            link.send(frame(2, asker, target, asker, address))


def proclaim() -> None:
    """Gratuitous ARP, request and reply, for a while after an address has come."""
    while True:
        now = time.monotonic()
        with lock:
            fresh = [address for address, since in owned.items() if now - since < WINDOW]
        for address in fresh:
            for op in (1, 2):
                link.send(frame(op, EVERYBODY, address, EVERYBODY, address))
        time.sleep(AGAIN)


def listen() -> None:
    """Who lives, and who leaves."""
    while True:
        data, _ = gossip.recvfrom(256)
        word, _, name = data.decode().partition(" ")
        with lock:
            if word == "here":
                heard[name] = time.monotonic()
            else:
                heard.pop(name, None)
        if word == "left":
            elect()


def tell(word: str) -> None:
    """To every other node."""
    for name, address in nodes.items():
        if name != NODE:
            gossip.sendto(f"{word} {NODE}".encode(), (address, PORT))


def beat() -> None:
    while not ending.is_set():
        tell("here")
        time.sleep(BEAT)


services: list[dict] = []


def elect() -> None:
    """Which addresses are this node's now."""
    now = time.monotonic()
    with lock:
        living = [name for name, at in heard.items() if now - at < SILENCE]
    mine = {
        address
        for item in services
        for address in shown(item)[:1]
        if min(living, key=lambda name: _rank(name, address)) == NODE
    }
    new = []
    with lock:
        for address in list(owned):
            if address not in mine:
                del owned[address]
        for address in mine:
            if address not in owned:
                owned[address] = now
                new.append(address)
    for address in new:
        for op in (1, 2):
            link.send(frame(op, EVERYBODY, address, EVERYBODY, address))


def _rank(name: str, address: str) -> bytes:
    return hashlib.sha256(f"{name}#{address}".encode()).digest()


def show() -> None:
    """One ServiceL2Status for each Service that this node announces, and none of other nodes."""
    rows = get(STATUSES)["items"]
    for item in services:
        meta, addresses = item["metadata"], shown(item)
        if not addresses:
            continue
        about = [
            row
            for row in rows
            if row["metadata"].get("labels", {}).get("metallb.io/service-name") == meta["name"]
        ]
        ours = [row for row in about if row.get("status", {}).get("node") == NODE]
        with lock:
            mine = addresses[0] in owned
        gone = [row for row in about if row not in ours] + ours[1:] if mine else ours
        for row in gone:
            delete(f"{STATUSES}/{row['metadata']['name']}")
        if mine and not ours:
            write(meta)


def write(meta: dict) -> None:
    labels = {
        "metallb.io/node": NODE,
        "metallb.io/service-name": meta["name"],
        "metallb.io/service-namespace": meta["namespace"],
    }
    body = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "ServiceL2Status",
        "metadata": {"generateName": "l2-", "labels": labels},
    }
    made = ask("POST", STATUSES, body)
    status = {"node": NODE, "serviceName": meta["name"], "serviceNamespace": meta["namespace"]}
    patch(f"{STATUSES}/{made['metadata']['name']}/status", {"status": status})


def leave(*_: object) -> None:
    """Says so, and ends."""
    ending.set()
    tell("left")
    os._exit(0)


signal.signal(signal.SIGTERM, leave)
for work in (answer, proclaim, listen, beat):
    threading.Thread(target=work, daemon=True).start()
started = time.monotonic()
while True:
    try:
        known = {}
        for node in get("/api/v1/nodes")["items"]:
            inside = [
                a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"
            ]
            known[node["metadata"]["name"]] = next(a for a in inside if ":" not in a)
        nodes = known  # as one: another thread is going through them
        services = [
            item
            for item in get("/api/v1/services")["items"]
            if item["spec"]["type"] == "LoadBalancer"
        ]
        if time.monotonic() - started > 1.0:  # the others are known by then
            elect()
            show()
    except (OSError, urllib.error.HTTPError) as error:
        print(error, flush=True)
    time.sleep(PACE)
