"""What is installed: MetalLB's programs and ours, CRDs, releases, and what lies around. Only reads.

May live here: which object is whose. May not: what is in the way (`obstacles.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bellmetal import resources
from bellmetal.api import ApiError, Client
from bellmetal.cli.migrate.objects import (
    CRD,
    Container,
    FRRConfiguration,
    Release,
    Workload,
)
from bellmetal.cli.migrate.releases import (
    GROUP,
    ReleaseError,
    kept_elsewhere,
    owner,
    read_releases,
)

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
WEBHOOK = "metallb-webhook-configuration"
FRR = "/apis/frrk8s.metallb.io/v1beta1/frrconfigurations"
OURS = ("controller", "speaker")  # the first argument of our programs; MetalLB's have flags alone
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
FLAG = re.compile(r"--?([a-z0-9-]+)(?:=(.*))?$", re.DOTALL)

O = TypeVar("O", bound=resources.Object)  # noqa: E741 - any object


@dataclass(frozen=True, slots=True)
class Program:
    """A Deployment or DaemonSet, and the container in it that counts."""

    workload: Workload
    container: Container
    path: str  # in the API

    @property
    def name(self) -> str:
        """The workload's name."""
        return self.workload.metadata.name

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its pods, as it selects them."""
        return self.workload.spec.selector.match_labels or {}

    @property
    def release(self) -> tuple[str, str]:
        """Namespace and name of the Helm release that it belongs to, or nothing."""
        return owner(self.workload)

    def flag(self, name: str, default: str = "") -> str:
        """What a flag says; one without a value says ``true``."""
        words = [*(self.container.command or ()), *(self.container.args or ())]
        for number, word in enumerate(words):
            match = FLAG.match(word)
            if match and match[1] == name:
                if match[2] is not None:
                    return match[2]
                after = words[number + 1] if number + 1 < len(words) else "-"
                return "true" if after.startswith("-") else after
        return default

    def variable(self, name: str) -> str:
        """What a variable of its environment says."""
        return next((item.value for item in self.container.env or () if item.name == name), "")


@dataclass(frozen=True, slots=True)
class Installation:
    """All of it. ``unread``: what could not be looked at, each in a sentence. ``strays``: releases
    (namespace/name) that own CRDs, and of which nobody can say whether they would delete them."""

    namespace: str
    controller: Program | None = None
    speaker: Program | None = None
    our_controller: Program | None = None
    our_speaker: Program | None = None
    crds: tuple[CRD, ...] = ()
    releases: tuple[Release, ...] = ()
    config_maps: Mapping[str, resources.ConfigMap] | None = None
    frr: tuple[FRRConfiguration, ...] = ()
    webhook: bool = False
    unread: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def mode(self) -> str:
        """How MetalLB speaks BGP: native, frr or frr-k8s."""
        program = self.speaker or self.controller
        return (program.variable("METALLB_BGP_TYPE") if program else "") or "native"

    @property
    def release(self) -> Release | None:
        """The release that MetalLB's programs belong to."""
        names = {item.release for item in (self.controller, self.speaker) if item is not None}
        return next((one for one in self.releases if (one.namespace, one.name) in names), None)


async def read_installation(client: Client, namespace: str) -> Installation:
    """All that there is; raises ApiError where there is no right to read what is needed."""
    apps = f"/apis/apps/v1/namespaces/{namespace}"
    deployments, _ = await client.list(Workload, f"{apps}/deployments")
    daemons, _ = await client.list(Workload, f"{apps}/daemonsets")
    programs = [
        *(_program(item, f"{apps}/deployments", "controller") for item in deployments),
        *(_program(item, f"{apps}/daemonsets", "speaker") for item in daemons),
    ]
    crds, _ = await client.list(CRD, CRDS)
    maps, _ = await client.list(resources.ConfigMap, f"/api/v1/namespaces/{namespace}/configmaps")
    crds = [item for item in crds if item.spec.group == GROUP]
    releases, unread = await _releases(client, namespace, crds)
    known = {(item.namespace, item.name) for item in releases}
    owners = {owner(item) for item in crds} - known - {("", "")}
    strays = [f"{place}/{name}" for place, name in sorted(owners)]
    if not unread:
        strays = await kept_elsewhere(client, owners)
    return Installation(
        namespace,
        controller=_one(programs, "controller", ours=False),
        speaker=_one(programs, "speaker", ours=False),
        our_controller=_one(programs, "controller", ours=True),
        our_speaker=_one(programs, "speaker", ours=True),
        crds=tuple(crds),
        releases=tuple(releases),
        config_maps={item.metadata.name: item for item in maps},
        frr=tuple(await _optional(client, FRRConfiguration, FRR)),
        webhook=await _exists(client, f"{WEBHOOKS}/{WEBHOOK}"),
        unread=tuple(unread),
        strays=tuple(strays),
    )


async def _releases(
    client: Client, namespace: str, crds: Iterable[CRD]
) -> tuple[list[Release], list[str]]:
    """The releases of the namespace and of those that own CRDs."""
    found, unread = [], []
    names = {namespace} | {place for place, _ in map(owner, crds) if place}
    for name in sorted(names):
        try:
            found += await read_releases(client, name)
        except ReleaseError as error:
            unread.append(str(error))
        except ApiError as error:
            if error.code != 403:
                raise
            unread.append(f"Helm's releases in {name} may not be read: {error}")
    return found, unread


async def _optional(client: Client, kind: type[O], path: str) -> list[O]:
    try:
        return (await client.list(kind, path))[0]
    except ApiError as error:
        if error.gone:
            return []
        raise


async def _exists(client: Client, path: str) -> bool:
    try:
        await client.get(resources.Object, path)
    except ApiError as error:
        if error.gone:
            return False
        raise
    return True


def _program(body: Workload, path: str, word: str) -> tuple[str, bool, Program] | None:
    """What it is, whether it is ours, and itself; None for what is neither MetalLB's nor ours."""
    containers = body.spec.template.spec.containers
    for item in containers:
        if (item.args or [""])[0] == word:
            return word, True, Program(body, item, f"{path}/{body.metadata.name}")
    labels = body.metadata.labels or {}
    is_metallb = labels.get("app") == "metallb" or "metallb" in labels.get(NAME, "")
    if not is_metallb or word not in (labels.get(COMPONENT), labels.get("component")):
        return None
    named = [item for item in containers if item.name == word] or containers
    return (word, False, Program(body, named[0], f"{path}/{body.metadata.name}")) if named else None


def _one(
    programs: Sequence[tuple[str, bool, Program] | None], word: str, *, ours: bool
) -> Program | None:
    return next((item[2] for item in programs if item and item[:2] == (word, ours)), None)
