"""A cluster in memory, and what `bellmetal plan` says of files for it."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest

from bellmetal.cli.files import Document, FileError
from bellmetal.cli.plan import plan
from bellmetal.cli.report import Report, print_table
from bellmetal.config import OnOrphan
from bellmetal.kube import SERVICE_NAME_LABEL
from bellmetal.settings import PlanSettings
from builders import NOW, node_object, pool_object, service_object
from small_api import SmallApi

OWN = "/apis/metallb.io/v1beta1/namespaces/metallb-system"

Json = dict[str, Any]


def raw(body: object) -> Json:
    found: Json = msgspec.json.decode(msgspec.json.encode(body))
    return found


class Stage:
    """A cluster with a namespace, and what is planned in it."""

    def __init__(self) -> None:
        self.api = SmallApi()
        self.namespace("metallb-system")
        self.namespace("shop")

    def namespace(self, name: str, **annotations: str) -> None:
        body = {"metadata": {"name": name, "annotations": annotations}}
        self.api.put(f"/api/v1/namespaces/{name}", body)

    def pool(self, name: str, *entries: str, **fields: Any) -> None:
        self.api.put(f"{OWN}/ipaddresspools/{name}", raw(pool_object(name, *entries, **fields)))

    def service(self, name: str, *shown: str, pool: str = "main", **fields: Any) -> None:
        """A Service that shows addresses out of a pool (which is adopted)."""
        marks = {"metallb.io/ip-allocated-from-pool": pool} if shown else {}
        meta = {"annotations": marks} | fields.pop("meta", {})
        body = service_object(f"shop/{name}", ingress=shown, meta=meta, **fields)
        self.api.put(f"/api/v1/namespaces/shop/services/{name}", raw(body))

    def advertise(self, name: str) -> None:
        self.api.put(
            f"{OWN}/l2advertisements/{name}",
            {"metadata": {"name": name, "namespace": "metallb-system"}, "spec": {}},
        )

    def serves(self, name: str, node: str) -> None:
        """A node, and an endpoint of a Service there."""
        self.api.put(f"/api/v1/nodes/{node}", raw(node_object(node)))
        path = f"/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/{name}"
        meta = {"name": name, "namespace": "shop", "labels": {SERVICE_NAME_LABEL: name}}
        ready = {"addresses": ["10.0.0.5"], "nodeName": node, "conditions": {"ready": True}}
        self.api.put(path, {"metadata": meta, "endpoints": [ready]})

    async def plan(self, *bodies: Json, **fields: Any) -> Report:
        documents = [
            Document(f"new.yaml, document {n}", {"metadata": {}, **body})
            for n, body in enumerate(bodies, 1)
        ]
        defaults: Json = {
            "namespace": "metallb-system",
            "lb_class": "",
            "on_orphan": OnOrphan.KEEP,
            "files": (),
            "delete": (),
            "replace": False,
            "all": False,
            "output": "table",
        }
        return await plan(self.api, PlanSettings(**(defaults | fields)), documents, NOW)

    async def rows(self, *bodies: Json, **fields: Any) -> dict[str, str]:
        report = await self.plan(*bodies, **fields)
        return {
            row.service.removeprefix("shop/"): " ".join(
                [row.outcome.value, *map(str, row.then.addresses)]
            )
            for row in report.rows
        }

    async def fault(self, *bodies: Json, **fields: Any) -> str:
        with pytest.raises(FileError) as error:
            await self.plan(*bodies, **fields)
        return str(error.value)


def given(kind: str, name: str, version: str = "metallb.io/v1beta1", **parts: Any) -> Json:
    """A document; ``meta`` are further metadata."""
    metadata = {"name": name, **parts.pop("meta", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def pool_file(name: str, *entries: str, **meta: Any) -> Json:
    return given("IPAddressPool", name, meta=meta, spec={"addresses": list(entries)})


def service_file(name: str, version: str = "v1", meta: Json | None = None, **spec: Any) -> Json:
    body = {"type": "LoadBalancer"} | spec
    return given("Service", name, version, meta={"namespace": "shop"} | (meta or {}), spec=body)


def table(report: Report, everything: bool = False) -> str:
    out = io.StringIO()
    print_table(report, everything, out)
    return out.getvalue()
