"""What a takeover sees of MetalLB's controller: addresses out of pools, written into Services.

Runs in a pod of the lab, with Python's own library alone. Written from what it does.
"""

from __future__ import annotations

import ipaddress
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from api import NAMESPACE, get, patch, shown

POOL = "metallb.io/ip-allocated-from-pool"
PACE = 0.3  # seconds between two looks at the API


def pools() -> dict[str, list[str]]:
    """The addresses of every pool, in order."""
    found = {}
    for item in get(f"/apis/metallb.io/v1beta1/namespaces/{NAMESPACE}/ipaddresspools")["items"]:
        addresses = []
        for entry in item["spec"]["addresses"]:
            first, last = (ipaddress.ip_address(text.strip()) for text in entry.split("-"))
            count = int(last) - int(first) + 1
            addresses += [str(first + n) for n in range(count)]
        found[item["metadata"]["name"]] = addresses
    return found


def decide() -> None:
    """One pass: who has no address gets the first that is free."""
    services = [
        item for item in get("/api/v1/services")["items"] if item["spec"]["type"] == "LoadBalancer"
    ]
    used = {address for item in services for address in shown(item)}
    for item in services:
        if shown(item):
            continue
        for pool, addresses in pools().items():
            free = [address for address in addresses if address not in used]
            if free:
                give(item, pool, free[0])
                used.add(free[0])
                break


def give(item: dict, pool: str, address: str) -> None:
    """Status and annotation, in one write."""
    meta = item["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/services/{meta['name']}/status"
    body = {
        "metadata": {"annotations": {POOL: pool}},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
    }
    patch(path, body)


while True:
    try:
        decide()
    except OSError as error:
        print(error, flush=True)
    time.sleep(PACE)
