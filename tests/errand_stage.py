"""A cluster in memory for `bellmetal move` and `drain`: what a controller and speakers would do.

It answers an order after a while; that takes no time, as the event loop's clock is looptime's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bellmetal import resources
from bellmetal.addresses import block_of, parse_address
from bellmetal.config import DRAIN, MOVE_TO
from bellmetal.ledger import shard_name
from builders import LONG_AGO, NOW, metadata, node_object, service_object, slice_object
from small_api import Json, SmallApi

OWN = "metallb-system"
INTERNAL = f"/apis/bellmetal.io/v1alpha1/namespaces/{OWN}"
STATUSES = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/servicel2statuses"
ROWS = f"/apis/metallb.io/v1beta1/namespaces/{OWN}/servicebgpstatuses"
NODES = ("n1", "n2", "n3")


class Stage(SmallApi):
    """Services by key with their addresses; ``owners``: address → node; ``able``: nodes that may
    own. ``works``: a controller is at work; ``silent``: nodes whose speakers say nothing."""

    def __init__(self, **services: Iterable[str]) -> None:
        super().__init__()
        self.owners: dict[str, str] = {}
        self.users: dict[str, list[str]] = {}
        self.able: dict[str, tuple[str, ...]] = {}
        self.prefers = ""  # the node that an order cannot keep an address from
        self.works, self.silent, self.delay = True, frozenset[str](), 0.2
        self.said: list[str] = []
        self.routed: tuple[str, ...] = ()
        self.routers: tuple[str, ...] = ()
        self.gives_way = True  # a node that drains, where others announce too
        for name in NODES:
            self.put(f"/api/v1/nodes/{name}", node_object(name))
        for name, addresses in services.items():
            self.service(f"shop/{name}", *addresses)

    def service(self, key: str, *addresses: str, owner: str = "n1") -> None:
        namespace, name = key.split("/")
        body = service_object(key, ingress=addresses)
        self.put(f"/api/v1/namespaces/{namespace}/services/{name}", body)
        for address in addresses:
            self.users.setdefault(address, []).append(key)
            self.able.setdefault(address, NODES)
            self.owners[address] = owner
        self.publish()

    def publish(self) -> None:
        """Slices and ServiceL2Statuses say what is."""
        items = []
        for address, node in self.owners.items():
            services = [
                resources.ServiceRef(*key.split("/"), f"uid-{key}") for key in self.users[address]
            ]
            fields: Json = {"owner": node, "node_set": f"of-{address}", "services": services}
            items.append(resources.SliceAnnouncement(address, 1, **fields))
        sets = [
            resources.SliceNodeSet(f"of-{address}", [resources.SliceNode(n, "") for n in able])
            for address, able in self.able.items()
        ]
        self.put(
            f"{INTERNAL}/announcementslices/layer2-0",
            slice_object("layer2-0", *items, node_sets=sets),
        )
        for path in [path for path in self.objects if path.startswith(STATUSES)]:
            del self.objects[path]
        for address, node in self.owners.items():
            for key in self.users[address] if node not in self.silent else ():
                namespace, name = key.split("/")
                status = resources.ServiceL2StatusStatus(node, name, namespace)
                body = resources.ServiceL2Status(
                    metadata=metadata(f"{OWN}/{name}-{node}"), status=status
                )
                self.put(f"{STATUSES}/{name}-{node}", body)

    def routes(self, *services: str, nodes: Iterable[str] = NODES) -> None:
        """These nodes announce a route of each Service, and say so."""
        self.routed, self.routers = services, tuple(nodes)
        self._publish_routes()
        for node in self.routers:
            for key in services:
                namespace, name = key.split("/")
                status = resources.ServiceBGPStatusStatus(node, name, namespace, ["tor"])
                meta = metadata(f"{OWN}/{name}-{node}")
                body = resources.ServiceBGPStatus(metadata=meta, status=status)
                self.put(f"{ROWS}/{name}-{node}", body)

    def _publish_routes(self, *draining: str) -> None:
        items = [
            resources.SliceRoute(
                f"198.51.100.{number}/32",
                "bgp-all",
                services=[resources.ServiceRef(*key.split("/"), f"uid-{key}")],
            )
            for number, key in enumerate(self.routed)
        ]
        nodes = [resources.SliceNode(name) for name in self.routers]
        chosen = resources.SliceNodeSet("bgp-all", nodes, draining=list(draining))
        path = f"{INTERNAL}/announcementslices/bgp-0"
        self.put(path, slice_object("bgp-0", node_sets=[chosen], routes=items))

    def _withdraw(self, node: str) -> None:
        """Where others announce too; its speaker withdraws ten seconds later."""
        if self.gives_way and set(self.routers) - {node}:
            self._publish_routes(node)
            asyncio.get_running_loop().call_later(10.0, self._forget, node)

    def _forget(self, node: str) -> None:
        for path in [p for p in self.objects if p.startswith(ROWS) and p.endswith(f"-{node}")]:
            del self.objects[path]

    def ledger(self, address: str, *owners: tuple[str, str, str]) -> None:
        tenures = [resources.LedgerTenure(*item) for item in owners]
        entry = resources.LedgerEntry(1, "main", owners=tenures)
        block = block_of(parse_address(address))
        spec = resources.AddressLedgerSpec(str(block), {address: entry})
        meta = metadata(f"{OWN}/{shard_name(block)}")
        body = resources.AddressLedger(metadata=meta, spec=spec)
        self.put(f"{INTERNAL}/addressledgers/{shard_name(block)}", body)

    def event(self, key: str, reason: str, message: str) -> None:
        namespace, name = key.split("/")
        number = len(self.objects)
        body = resources.Event(
            metadata=metadata(f"{namespace}/{name}.{number}"), reason=reason, message=message
        )
        self.put(f"/api/v1/namespaces/{namespace}/events/{name}.{number}", body)

    # --- the controller ---------------------------------------------------------------------------

    def answer(self, method: str, path: str, data: Any, content_type: str) -> bytes:
        content = super().answer(method, path, data, content_type)
        wishes: Mapping[str, str] = {}
        if method == "PATCH" and isinstance(data, dict):
            wishes = data["metadata"]["annotations"]
        if self.works and wishes.get(MOVE_TO):
            asyncio.get_running_loop().call_later(self.delay, self._move, path, wishes[MOVE_TO])
        if self.works and wishes.get(DRAIN):
            asyncio.get_running_loop().call_later(self.delay, self._drain, path.split("/")[-1])
            asyncio.get_running_loop().call_later(self.delay, self._withdraw, path.split("/")[-1])
        return content

    def _move(self, path: str, node: str) -> None:
        body = msgspec.json.decode(msgspec.json.encode(self.objects[path]))
        if body["metadata"]["annotations"].pop(MOVE_TO, None) is None:
            return
        self.put(path, body)
        key = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
        for address in [item for item, users in self.users.items() if key in users]:
            if node in self.able[address]:
                self.owners[address] = self.prefers or node
            else:
                self.event(key, "MoveRefused", f"not moved to {node}: {address} stays")
        self.publish()

    def _drain(self, node: str) -> None:
        """One address after the other."""
        for address in [item for item, owner in self.owners.items() if owner == node]:
            others = [item for item in self.able[address] if item != node]
            if others:
                self.owners[address] = others[0]
                asyncio.get_running_loop().call_later(self.delay, self._drain, node)
                break
        self.publish()


__all__ = ["LONG_AGO", "NOW", "Stage"]
