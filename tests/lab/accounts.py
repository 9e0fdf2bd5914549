"""Kubeconfigs of ServiceAccounts, so that no program in the lab has more rights than its chart."""

from __future__ import annotations

from pathlib import Path

from lab.controlplane import ControlPlane


def token(plane: ControlPlane, namespace: str, name: str, node: str | None, hours: float) -> str:
    """A token made by the API server; with a node, one that dies with its Node object."""
    spec: dict[str, object] = {"expirationSeconds": int(hours * 3600)}
    rest = plane.rest()
    if node is not None:
        uid = rest.get(f"/api/v1/nodes/{node}")["metadata"]["uid"]
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return str(rest.post(path, body)["status"]["token"])


def kubeconfig(
    plane: ControlPlane, namespace: str, name: str, node: str | None, hours: float
) -> Path:
    """The kubeconfig that holds such a token."""
    file = "-".join(["sa", namespace, name, *([node] if node else [])])
    value = token(plane, namespace, name, node, hours)
    return plane.write_kubeconfig(plane.kubeconfig().with_name(file), value, namespace)
