"""`bellmetal preflight` where TLS fails: real handshakes, and one sentence with what to do."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bellmetal.api import Access, ApiError, Client
from bellmetal.cli.inspection import inspect
from bellmetal.cli.preflight import advised


class Authority:
    """A CA of a few minutes, and the certificates that it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.certificate = folder / f"{name}.crt"
        self._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}"),
        )

    def server(self, address: str, days: int = 1) -> ssl.SSLContext:
        """What a server shows; negative ``days``: it has expired."""
        key, request, signed = (self._folder / f"server.{end}" for end in ("key", "csr", "crt"))
        names = self._folder / "names"
        names.write_text(f"subjectAltName=IP:{address}\n")
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(request), "-subj", "/CN=kube-apiserver"),
        )
        self._openssl(
            *("x509", "-req", "-in", str(request), "-out", str(signed), "-days", str(days)),
            *("-CA", f"{self._name}.crt", "-CAkey", f"{self._name}.key", "-CAcreateserial"),
            *("-extfile", str(names)),
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(signed, key)
        return context

    def _openssl(self, *arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self._folder)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    return Authority(tmp_path, "kubernetes")


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server that takes no request; its port."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def said(port: int, authority: Authority) -> str:
    """What a person is told."""
    trusted = authority.certificate.read_bytes()
    with pytest.raises(ApiError) as failed:
        async with Client(Access(f"https://127.0.0.1:{port}", trusted)) as client:
            await inspect(client, "metallb-system")
    return str(advised(failed.value))


async def test_a_certificate_that_has_expired(authority: Authority) -> None:
    async with listening(authority.server("127.0.0.1", days=-1)) as port:
        text = await said(port, authority)
    assert text.endswith("the API server's certificate has expired: kubeadm certs renew all")


async def test_a_certificate_of_another_cluster(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    async with listening(other.server("127.0.0.1")) as port:
        text = await said(port, authority)
    assert text.endswith("that KUBECONFIG names: get the kubeconfig of this cluster anew")


async def test_a_certificate_for_another_address(authority: Authority) -> None:
    async with listening(authority.server("10.0.0.1")) as port:
        text = await said(port, authority)
    assert text.endswith("is called by a name or address that its certificate does not have")


async def test_nobody_listens(authority: Authority) -> None:
    async with listening(None) as port:
        pass
    text = await said(port, authority)
    assert text.endswith(
        "does the server in KUBECONFIG name it? kubectl cluster-info asks the same"
    )
