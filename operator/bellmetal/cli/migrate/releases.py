"""Helm's releases out of their Secrets: which of them would delete CRDs when it is uninstalled.

May live here: how Helm keeps them. May not: what to do about it (`protect.py`).
Seen with Helm 3 and 4: `sh.helm.release.v1.NAME.vN`, base64 of gzip of JSON, in base64 once more.
An uninstall reads resource-policy out of that manifest, never out of the cluster.
"""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterable

import msgspec
import yaml

from bellmetal import resources
from bellmetal.api import Client
from bellmetal.cli.migrate.objects import Release, ReleaseSecret

TYPE = "helm.sh/release.v1"
POLICY, KEEP = "helm.sh/resource-policy", "keep"
OWNER = "meta.helm.sh/release-name"
OWNER_NAMESPACE = "meta.helm.sh/release-namespace"
GROUP = "metallb.io"
GZIP = b"\x1f\x8b\x08"
GONE = ("uninstalled", "superseded")


class ReleaseError(Exception):
    """A release that cannot be read, with the name of its Secret."""


async def read_releases(client: Client, namespace: str) -> list[Release]:
    """The latest revision of each release of a namespace; raises ApiError and ReleaseError."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    secrets, _ = await client.list(ReleaseSecret, path, "owner=helm")
    return latest(decode(item) for item in secrets if item.type == TYPE)


async def kept_elsewhere(client: Client, owners: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the releases (namespace, name) that Helm keeps in ConfigMaps, whose manifest is not
    looked at here. One that is kept nowhere is uninstalled: it deletes nothing any more."""
    found = []
    for namespace, name in sorted(owners):
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        maps, _ = await client.list(resources.Object, path, f"owner=helm,name={name}")
        labels = [item.metadata.labels or {} for item in maps]
        if any((item.get("owner"), item.get("name")) == ("helm", name) for item in labels):
            found.append(f"{namespace}/{name}")
    return found


def owner(body: resources.Object) -> tuple[str, str]:
    """Namespace and name of the Helm release that says it owns an object."""
    found = body.metadata.annotations or {}
    return found.get(OWNER_NAMESPACE, ""), found.get(OWNER, "")


def decode(secret: ReleaseSecret) -> Release:
    """The release in a Secret; raises ReleaseError."""
    try:
        packed = base64.b64decode(secret.data.release if secret.data else "")
        content = base64.b64decode(packed)
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        return msgspec.json.decode(content, type=Release)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        meta = secret.metadata
        raise ReleaseError(
            f"Secret {meta.namespace}/{meta.name}: cannot be read as a release of Helm"
        ) from error


def latest(releases: Iterable[Release]) -> list[Release]:
    """The latest revision of each name, without those that are uninstalled."""
    found: dict[str, Release] = {}
    for item in releases:
        if item.name not in found or item.version > found[item.name].version:
            found[item.name] = item
    return [item for item in found.values() if item.info.status not in GONE]


def doomed_crds(release: Release) -> list[str]:
    """The CRDs of metallb.io that an uninstall of the release would delete, by name.

    Those of its manifest whose policy in that manifest is not to keep them.
    """
    found = []
    for body in yaml.load_all(release.manifest, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if not isinstance(body, dict) or body.get("kind") != "CustomResourceDefinition":
            continue
        meta = body.get("metadata") or {}
        group = (body.get("spec") or {}).get("group")
        policy = str((meta.get("annotations") or {}).get(POLICY, "")).strip().lower()
        if group == GROUP and policy != KEEP:
            found.append(str(meta.get("name")))
    return sorted(found)
