"""The lab's own hand on the API server: small, synchronous, on the standard library alone.

It spares a kubectl (0.1 s each) where the lab itself creates or reads an object.
"""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from lab.errors import LabError

Json = dict[str, Any]


class ApiError(LabError):
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Rest:
    """Requests to one API server with one token."""

    def __init__(self, host: str, port: int, ca: Path, token: str) -> None:
        self.host = host
        self.port = port
        self.ca = ca
        self._token = token

    def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        kind: str = "application/json",
        timeout: float = 10,
    ) -> Json:
        """One request; the decoded answer. OSError if nobody answers, ApiError if it is a no."""
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection(
            self.host, self.port, context=context, timeout=timeout
        )
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ApiError(answer.status, f"{method} {path}: {text.strip()}")
        return json.loads(text) if text.startswith("{") else {"text": text}

    def get(self, path: str) -> Json:
        """GET."""
        return self.request("GET", path)

    def post(self, path: str, body: Json) -> Json:
        """POST: create."""
        return self.request("POST", path, body)

    def patch(self, path: str, body: Json) -> Json:
        """PATCH, as a strategic merge (built-in kinds only)."""
        return self.request("PATCH", path, body, "application/strategic-merge-patch+json")

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            self.request("GET", "/readyz", timeout=1)
        except (OSError, ApiError, http.client.HTTPException):
            return False
        return True
