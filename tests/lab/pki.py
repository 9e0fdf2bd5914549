"""The lab's keys, certificates and tokens, made by the openssl command line, valid for days."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterable
from pathlib import Path

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Pki:
    """A certificate authority in a directory, and what it has signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.crt"
        self.account_key = folder / "sa.key"  # signs the tokens of ServiceAccounts
        self.account_public_key = folder / "sa.pub"
        self.tokens = folder / "tokens.csv"

    def create(self, addresses: Iterable[str]) -> None:
        """Make the authority and what the control plane needs, for these addresses of it."""
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o700)
        _openssl(
            "req", "-x509", *CURVE, "-days", "30", "-subj", "/CN=lab-ca",
            "-keyout", self.key("ca"), "-out", self.ca,
        )  # fmt: skip
        names = ["DNS:kubernetes.default.svc", "DNS:localhost"]
        names += [f"IP:{address}" for address in addresses]
        self.sign("apiserver", "/CN=kube-apiserver", "serverAuth", ",".join(names))
        self.sign("kubelet-client", "/O=system:masters/CN=kube-apiserver", "clientAuth")
        _openssl(
            "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-out", self.account_key,
        )  # fmt: skip
        _openssl("pkey", "-in", self.account_key, "-pubout", "-out", self.account_public_key)

    def key(self, name: str) -> Path:
        """The private key of that name."""
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """The certificate of that name."""
        return self.folder / f"{name}.crt"

    def sign(self, name: str, subject: str, usage: str, names: str = "") -> None:
        """Make a key and a certificate for it."""
        extensions = ["-addext", f"extendedKeyUsage={usage}"]
        extensions += ["-addext", f"subjectAltName={names}"] if names else []
        _openssl(
            "req", "-x509", *CURVE, "-days", "30", "-subj", subject, *extensions,
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", self.ca, "-CAkey", self.key("ca"),
            "-keyout", self.key(name), "-out", self.certificate(name),
        )  # fmt: skip

    def create_tokens(self, users: dict[str, str]) -> dict[str, str]:
        """Random tokens for users (name → group, or ""); token by name, also for the API server."""
        made = {name: secrets.token_hex(16) for name in users}
        lines = [
            f'{made[name]},{name},{name},"{group}"' if group else f"{made[name]},{name},{name}"
            for name, group in users.items()
        ]
        self.tokens.write_text("\n".join(lines) + "\n")
        return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
