"""What kube-proxy says of itself on this node: its mode, and whether it is well. Only asks."""

from __future__ import annotations

import aiohttp

from bellmetal.addresses import printable
from bellmetal.sights import KubeProxy

METRICS, HEALTH = "http://127.0.0.1:10249", "http://127.0.0.1:10256"  # its defaults
PATIENCE = 1.0  # seconds
MODES = frozenset(["iptables", "nftables", "ipvs"])
LONGEST = 1024  # bytes of an answer that are read


async def ask(metrics: str = METRICS, health: str = HEALTH) -> KubeProxy:
    """Never raises: that it does not answer is an answer."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        mode = await _mode(session, f"{metrics}/proxyMode")
        url = f"{health}/healthz"
        try:
            async with session.get(url) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return KubeProxy(mode, None, f"kube-proxy does not answer at {url}: {_why(error)}")
    if status == 200:
        return KubeProxy(mode, True)
    return KubeProxy(mode, False, f"kube-proxy is not healthy: {url} answers {status}")


async def _mode(session: aiohttp.ClientSession, url: str) -> str:
    """Empty if nobody says, or what nobody knows."""
    try:
        async with session.get(url) as answer:
            text = (await answer.content.read(LONGEST)).decode("ascii", "replace").strip()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return ""  # that it does not answer is said by its health
    return text if text in MODES else ""


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return printable(error.strerror or "connection refused")
    return "no answer in time" if isinstance(error, TimeoutError) else printable(str(error))
