"""The API server, for the stand-ins: Python's own library alone."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAMESPACE = "metallb-system"
CONTEXT = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))


def ask(method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
    """One request; raises OSError."""
    host, port = (os.environ[f"KUBERNETES_SERVICE_{word}"] for word in ("HOST", "PORT"))
    request = urllib.request.Request(
        f"https://{host}:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": kind,
            "User-Agent": "metallb-stand-in",
        },
    )
    with urllib.request.urlopen(request, context=CONTEXT, timeout=5) as answer:
        return json.load(answer)


def get(path: str) -> Any:
    """GET."""
    return ask("GET", path)


def patch(path: str, body: Any) -> Any:
    """A merge patch."""
    return ask("PATCH", path, body, "application/merge-patch+json")


def delete(path: str) -> None:
    """DELETE; what is gone is fine."""
    try:
        ask("DELETE", path)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise


def shown(service: Any) -> list[str]:
    """The addresses in its status."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [item["ip"] for item in ingress]
