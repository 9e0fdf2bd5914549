"""``bellmetal migrate protect``: an uninstall of MetalLB takes no pool and no peer with it.

Helm keeps a CRD at an *upgrade* that leaves it out if the annotation stands in the cluster, and at
an *uninstall* only if it stands in the release's own manifest: so it is annotated, then left out.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import TextIO

from bellmetal import resources
from bellmetal.api import ApiError, Client, find_access
from bellmetal.cli.migrate.installation import CRDS
from bellmetal.cli.migrate.objects import CRD, Release
from bellmetal.cli.migrate.releases import (
    GROUP,
    KEEP,
    POLICY,
    ReleaseError,
    doomed_crds,
    kept_elsewhere,
    owner,
    read_releases,
)
from bellmetal.cli.owners import NotFoundError
from bellmetal.cli.voice import failed
from bellmetal.moving import MigrateProtectSettings
from bellmetal.settings import SettingsError

VERSION = 1  # of the JSON
DOOMED = 3


@dataclass(frozen=True, slots=True)
class Protection:
    """``annotated``: CRDs that got the annotation now. ``doomed``: releases that would still delete
    some, with the names of these. ``unread``: releases that own CRDs and cannot be read."""

    annotated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    doomed: tuple[tuple[Release, tuple[str, ...]], ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether no uninstall deletes any of them."""
        return not self.doomed and not self.unread


def main(settings: MigrateProtectSettings) -> int:
    """Annotates, looks, and says what is left to do; the exit status is in the help."""
    try:
        found = asyncio.run(_run(settings))
    except NotFoundError as error:
        return failed("migrate protect", error, 2)
    except (SettingsError, ApiError, ReleaseError, OSError) as error:
        return failed("migrate protect", error, 1)
    show(found, settings, sys.stdout)
    return 0 if found.complete else DOOMED


async def _run(settings: MigrateProtectSettings) -> Protection:
    async with Client(find_access()) as client:
        return await protect(client, settings.namespace)


async def protect(client: Client, namespace: str) -> Protection:
    """Annotates what is not; raises NotFoundError, ApiError and ReleaseError."""
    found, _ = await client.list(CRD, CRDS)
    crds = [item for item in found if item.spec.group == GROUP]
    if not crds:
        raise NotFoundError(f"the cluster has no CRD of {GROUP}: there is nothing to protect")
    bare = [item for item in crds if (item.metadata.annotations or {}).get(POLICY) != KEEP]
    for item in bare:
        patch = {"metadata": {"annotations": {POLICY: KEEP}}}
        await client.patch(resources.Object, f"{CRDS}/{item.metadata.name}", patch)
    doomed, unread = await _releases(client, namespace, crds)
    return Protection(
        tuple(item.metadata.name for item in bare),
        tuple(item.metadata.name for item in crds),
        doomed,
        unread,
    )


async def _releases(
    client: Client, namespace: str, crds: list[CRD]
) -> tuple[tuple[tuple[Release, tuple[str, ...]], ...], tuple[str, ...]]:
    owners = {owner(item) for item in crds} - {("", "")}
    releases = []
    for place in sorted({namespace} | {place for place, _ in owners}):
        releases += await read_releases(client, place)
    known = {(item.namespace, item.name) for item in releases}
    doomed = [(item, tuple(names)) for item in releases if (names := doomed_crds(item))]
    return tuple(doomed), tuple(await kept_elsewhere(client, owners - known))


def commands(release: Release, chart: str) -> list[str]:
    """What takes the CRDs out of a release of MetalLB without deleting them."""
    where = f"--namespace {release.namespace}"
    version = f"--version {release.chart.metadata.version}"
    return [
        f"helm upgrade {release.name} {chart} {where} {version} --reuse-values"
        " --set crds.enabled=false",
        "bellmetal migrate protect",
    ]


def show(found: Protection, settings: MigrateProtectSettings, out: TextIO) -> None:
    """For people, or as JSON."""
    if settings.output == "json":
        print(_as_json(found, settings.chart), file=out)
        return
    print(f"{len(found.kept)} CRDs of {GROUP} have {POLICY}: {KEEP}", file=out, end="")
    print(f" ({len(found.annotated)} of them since now)" if found.annotated else "", file=out)
    for release, names in found.doomed:
        place = f"{release.namespace}/{release.name}"
        print(f"release {place} still has {len(names)} of them in its manifest:", file=out)
        print(
            "  `helm uninstall` would delete these, with every object of them. Do first:", file=out
        )
        for line in commands(release, settings.chart):
            print(f"    {line}", file=out)
    for name in found.unread:
        print(f"release {name} owns CRDs, and Helm keeps it in ConfigMaps:", file=out)
        print("  see with `helm get manifest` that it has no CustomResourceDefinition", file=out)
    if found.complete:
        print("PROTECTED: no uninstall deletes a pool or a peer", file=out)


def _as_json(found: Protection, chart: str) -> str:
    body = {
        "version": VERSION,
        "protected": found.complete,
        "crds": list(found.kept),
        "annotated": list(found.annotated),
        "releases": [
            {
                "namespace": release.namespace,
                "name": release.name,
                "deletes": list(names),
                "commands": commands(release, chart),
            }
            for release, names in found.doomed
        ],
        "unread": list(found.unread),
    }
    return json.dumps(body, indent=2)
