"""``bellmetal preflight``: is this cluster fit for Bellmetal, is this installation whole?

Only reads. What is looked at is read in `inspection`, and judged in `bellmetal.preflight`.
"""

from __future__ import annotations

import asyncio
import sys

from bellmetal import __version__
from bellmetal.api import ApiError, Client, KubeconfigError, find_access
from bellmetal.cli.finding_table import as_json, print_report
from bellmetal.cli.inspection import NothingAllowedError, inspect
from bellmetal.cli.voice import failed
from bellmetal.inquiries import PreflightSettings
from bellmetal.preflight import CHECKS
from bellmetal.preflight.findings import Report, examine
from bellmetal.preflight.seen import Seen
from bellmetal.preflight.words import few
from bellmetal.settings import SettingsError

# What an unreachable API server's error has in it, and what that usually comes from.
_ADVICE = {
    "certificate has expired": "the API server's certificate has expired: kubeadm certs renew all",
    "certificate is not valid for": "the server in KUBECONFIG is called by a name or"
    " address that its certificate does not have",
    "certificate verify failed": "the API server's certificate is not of the CA that KUBECONFIG"
    " names: get the kubeconfig of this cluster anew",
    "Cannot connect to host": "is the cluster running, and does the server in KUBECONFIG name it?"
    " kubectl cluster-info asks the same",
    "imeout": "something between here and the API server drops packets, or it is overloaded",
}
ANONYMOUS = "system:anonymous"
_NOBODY = (
    "KUBECONFIG has no token, tokenFile or client certificate for this cluster; programs that get"
    " one (exec) are not started here: put a token into it, as of kubectl create token"
)
_WHO = (
    "the API server does not accept the token or client certificate of KUBECONFIG: expired,"
    " revoked, or of another cluster; get a new kubeconfig (kubectl auth whoami asks the same)"
)


def main(settings: PreflightSettings) -> int:
    """Prints what was found; the exit status is in the help."""
    try:
        report = asyncio.run(_look(settings.namespace))
    except BrokenPipeError:  # of our own output: nobody reads it any more
        raise
    except ApiError as error:
        return failed("preflight", advised(error), 1)
    except KubeconfigError as error:
        return failed("preflight", SettingsError(f"{error}{_which(error)}"), 1)
    except (SettingsError, NothingAllowedError, OSError) as error:
        return failed("preflight", error, 1)
    except KeyboardInterrupt:
        return 130
    if settings.output == "json":
        print(as_json(report))
    else:
        print_report(report, sys.stdout)
    return report.exit_status


async def _look(namespace: str) -> Report:
    async with Client(find_access()) as client:
        return judge(await inspect(client, namespace))


def judge(seen: Seen) -> Report:
    """All checks on what was read."""
    return examine(seen, CHECKS, about(seen))


def about(seen: Seen) -> dict[str, str]:
    """What was looked at, in a few words each; ``?``: it is not known."""
    proxy = seen.kube_proxy
    mode = (proxy.replaced_by or proxy.mode) if proxy else ""
    kernels = dict.fromkeys(node.status.node_info.kernel_version for node in seen.nodes)
    return {
        "apiServer": seen.server.git_version or "?",
        "namespace": seen.namespace,
        "user": seen.user or "?",
        "nodes": str(len(seen.nodes)) if "nodes" not in seen.unread else "?",
        "kernels": few(filter(None, kernels)) or "?",
        "kubeProxy": mode or "?",
        "bellmetal": __version__,
    }


def _which(error: KubeconfigError) -> str:
    """What to do, unless it says so itself."""
    said = "KUBECONFIG" in str(error)
    return "" if said else "; let KUBECONFIG name one that kubectl get nodes works with"


def advised(error: ApiError) -> Exception:
    """The same, with what to do about it."""
    if error.code == 401:
        return ApiError(0, "", _WHO)
    text = str(error)
    if ANONYMOUS in text:
        return ApiError(0, "", _NOBODY)
    for sign, advice in _ADVICE.items():
        if sign in text and not error.code:
            return ApiError(0, "", f"{text}; {advice}")
    return error
