"""Checks the pinned Python packages against known vulnerabilities, by pip-audit and its service.

    python -m lab.audit PIP-AUDIT

Nothing is said to be well that was not asked: where no service answers, it fails and says so.
"""

from __future__ import annotations

import json
import subprocess
import sys

from lab.paths import REPOSITORY

CHECKED = "constraints-runtime.txt"
SERVICES = ("pypi", "osv")


def main(program: str) -> int:
    """The exit status: 0 only if all was checked and nothing is known."""
    for service in SERVICES:
        found, trouble = _ask(program, service)
        if found is not None:
            return _tell(found)
        print(f"{service} did not answer: {trouble}", file=sys.stderr)
    print("nothing was audited: no service for known vulnerabilities answered", file=sys.stderr)
    return 2


def _ask(program: str, service: str) -> tuple[list[dict[str, object]] | None, str]:
    """What a service says of each package; None, and why, if it says nothing."""
    flags = ["--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off"]
    where = [f"--vulnerability-service={service}", f"--requirement={REPOSITORY / CHECKED}"]
    done = subprocess.run([program, *flags, *where], capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, object]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None, (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
    unchecked = [str(item["skip_reason"]) for item in found if "skip_reason" in item]
    if len(unchecked) == len(found):
        return None, (unchecked or ["it checked nothing"])[0]
    return found, ""


def _tell(found: list[dict[str, object]]) -> int:
    """Says what is known; packages that the service skipped count as not checked."""
    known = [item for item in found if item.get("vulns")]
    skipped = [item for item in found if "skip_reason" in item]
    for item in known:
        print(f"{item['name']} {item['version']}: {json.dumps(item['vulns'])}")
    for item in skipped:
        print(f"{item['name']} was not checked: {item['skip_reason']}")
    checked = len(found) - len(skipped)
    print(f"{checked} of {len(found)} packages checked: {len(known)} with known vulnerabilities")
    return 1 if known or skipped else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m lab.audit PIP-AUDIT")
    sys.exit(main(sys.argv[1]))
