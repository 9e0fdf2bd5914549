"""The page itself: HTML, style and script, put together once; and the policy that allows just that.

The browser runs and applies what has these hashes, loads nothing from anywhere else, and lets
nothing be made of text (Trusted Types): names and messages out of a cluster are shown, never read
as HTML.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("base.js", "maps.js", "lists.js", "details.js", "main.js")


@dataclass(frozen=True, slots=True)
class Document:
    """What is served at ``/``, the ``policy`` that goes with it, and the ``icon``."""

    html: bytes
    policy: str
    icon: bytes


def load() -> Document:
    """Reads and joins the files; raises OSError if one is missing."""
    style = (ASSETS / "page.css").read_text()
    script = '"use strict";\n' + "".join((ASSETS / name).read_text() for name in SCRIPTS)
    html = (ASSETS / "page.html").read_text()
    html = html.replace("<style></style>", f"<style>{style}</style>")
    html = html.replace("<script></script>", f"<script>{script}</script>")
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {_source(script)}",
            f"style-src {_source(style)}",
            "connect-src 'self'",
            "img-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
    return Document(html.encode(), policy, (ASSETS / "icon.svg").read_bytes())


def _source(text: str) -> str:
    """What a Content-Security-Policy calls an inline text by."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
