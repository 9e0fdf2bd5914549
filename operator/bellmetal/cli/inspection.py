"""Reads what `preflight` judges. Only reads: of what is POSTed (reviews of rights) nothing is kept.

What may not be read is said so and left out; only a server that does not answer, or does not know
who asks, ends it. May not live here: judgement (`bellmetal.preflight`).
"""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from bellmetal import resources
from bellmetal.api import UNREADABLE, ApiError, Client
from bellmetal.cli.system_maps import kube_proxy_of_flags, read_kube_proxy, read_networks
from bellmetal.follow import Collection
from bellmetal.leadership import NAME as LEASE
from bellmetal.preflight import discovery, objects
from bellmetal.preflight.crds import KINDS
from bellmetal.preflight.rights import PROGRAM_WANTS, SYSTEM_ACCOUNT, USER_WANTS, account
from bellmetal.preflight.seen import PROGRAMS, Seen, Unread, Want
from bellmetal.world import (
    BGP_ADVERTISEMENTS,
    L2_ADVERTISEMENTS,
    NODES,
    PEERS,
    POOLS,
    World,
)

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METALLB_WEBHOOK = "metallb-webhook-configuration"
CILIUM, CALICO = "cilium.io", "crd.projectcalico.org"
CILIUM_KINDS = ("ciliumloadbalancerippools", "ciliuml2announcementpolicies")
SYSTEM = "kube-system"
MIRROR = "kubernetes.io/config.mirror"  # on pods that a kubelet made of a file
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

T = TypeVar("T")


class NothingAllowedError(Exception):
    """Whoever asks may read nothing of what there is to judge; a sentence."""


@dataclass(frozen=True, slots=True)
class _Right:
    """What is needed to know a field of `Seen`. ``place``: a namespace, if it is of one alone;
    ``excuse``: what is said where it is missing and nobody is to blame."""

    field: str
    resource: str
    verb: str = "list"
    place: str = ""
    excuse: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    """A list that becomes a field of `Seen`; ``versions``: where it may be, the first one first."""

    right: _Right
    struct: type[resources.Object]
    versions: tuple[str, ...] = ("v1",)

    @property
    def paths(self) -> Iterable[str]:
        """The collection's in each version."""
        plural, _, group = self.right.resource.partition(".")
        inside = f"/namespaces/{self.right.place}" if self.right.place else ""
        for version in self.versions:
            root = f"/apis/{group}/{version}" if group else f"/api/{version}"
            yield f"{root}{inside}/{plural}"


async def inspect(client: Client, namespace: str) -> Seen:
    """Everything at once; raises ApiError and NothingAllowedError."""
    return await _Inspection(client, namespace).read()


class _Inspection:
    """One look at a cluster; ``found`` and ``unread`` are fields of `Seen`."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client, self._namespace = client, namespace
        self.found: dict[str, Any] = {}
        self.unread: dict[str, Unread] = {}

    async def read(self) -> Seen:
        """All of it: first who asks whom, then the rest, at last what depends on it."""
        client = self._client
        self.found["server"] = await client.get(discovery.Version, "/version")
        self.found["now"] = _instant(client.date)
        self.found["user"] = await self._who()
        groups = await client.get(discovery.Groups, "/apis")
        versions = {one.name: [item.version for item in one.versions] for one in groups.groups}
        await asyncio.gather(
            *(self._list(source) for source in self._sources(versions)),
            self._crds(),
            self._strays(),
            self._single(),
            self._networks(),
            self._configuration(),
        )
        self._must_have_read_something()
        if self.found["kube_proxy"] is None:
            self.found["kube_proxy"] = kube_proxy_of_flags(self._seen().workloads)
        await asyncio.gather(
            self._secret(self._seen().member_secret),
            self._rights_of_user(),
            self._rights_of_programs(),
        )
        return self._seen()

    def _seen(self) -> Seen:
        return Seen(self._namespace, self.unread, **self.found)

    async def _who(self) -> str:
        """Who asks, as the API server calls them; empty on servers that do not tell."""
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = await self._client.create(discovery.SelfReview, path, body)
        except ApiError as error:
            if error.code in (0, 401):
                raise
            return ""
        return answer.status.user_info.username

    # --- lists -----------------------------------------------------------------------------------

    def _sources(self, groups: dict[str, list[str]]) -> Iterable[_Source]:
        own = self._namespace
        metallb, ours, lease = ("v1beta1",), ("v1alpha1",), "leases.coordination.k8s.io"

        def source(
            field: str, resource: str, struct: type[resources.Object], place: str = "", **more: Any
        ) -> _Source:
            return _Source(_Right(field, resource, place=place), struct, **more)

        yield source("deployments", "deployments.apps", objects.Workload)
        yield source("daemon_sets", "daemonsets.apps", objects.Workload)
        yield source("pods", "pods", objects.Pod, own)
        yield source("static_pods", "pods", objects.Pod, SYSTEM)
        yield source("node_leases", lease, resources.Lease, "kube-node-lease")
        reports, states = "speakerreports.bellmetal.io", "configurationstates.metallb.io"
        yield source("reports", reports, resources.SpeakerReport, own, versions=ours)
        yield source("states", states, resources.ConfigurationState, own, versions=metallb)
        pools = "ipaddresspools.metallb.io"
        yield source("pools", pools, resources.IPAddressPool, own, versions=metallb)
        if versions := tuple(groups.get(CILIUM, ())):
            pools, policies = (f"{name}.{CILIUM}" for name in CILIUM_KINDS)
            yield source("cilium_pools", pools, objects.CiliumPool, versions=versions)
            yield source("cilium_policies", policies, objects.CiliumPolicy, versions=versions)
        if versions := tuple(groups.get(CALICO, ())):
            name = f"bgpconfigurations.{CALICO}"
            yield source("calico", name, objects.CalicoBGP, versions=versions)

    async def _list(self, source: _Source) -> None:
        for path in source.paths:
            answer = await self._allowed(source.right, self._client.list(source.struct, path))
            if answer is not None:
                self.found[source.right.field] = tuple(_named(source.right.field, answer[0]))
                return

    async def _allowed(self, right: _Right, answer: Awaitable[T]) -> T | None:
        """An answer; None if there is no such thing, or it may not be read, which is kept."""
        try:
            return await answer
        except ApiError as error:
            if error.gone:
                return None
            unreadable = isinstance(error.__cause__, UNREADABLE)
            if error.code == 401 or (error.code == 0 and not unreadable):
                raise
            unread = self._unread(right, error)
            self.unread.setdefault(right.field, unread)
            self.unread[f"{right.field}: {right.resource}"] = unread  # each of several is told
            return None

    def _unread(self, right: _Right, error: ApiError) -> Unread:
        resource, verb, place = right.resource, right.verb, right.place
        if error.code != 403:
            return Unread(f"{resource} could not be read: {error}", resource)
        if right.excuse:
            return Unread(right.excuse, resource, unknowable=True)
        where = f" in namespace {place}" if place else ""
        why = f"{self.found['user'] or 'you'} may not {verb} {resource}{where}"
        return Unread(why, resource, verb, place)

    # --- single objects --------------------------------------------------------------------------

    async def _single(self) -> None:
        own, get = self._namespace, self._client.get
        lease = f"/apis/coordination.k8s.io/v1/namespaces/{own}/leases/{LEASE}"
        place, webhook = f"/api/v1/namespaces/{own}", f"{WEBHOOKS}/{METALLB_WEBHOOK}"
        hooks = "validatingwebhookconfigurations.admissionregistration.k8s.io"
        wanted: tuple[tuple[_Right, Any], ...] = (
            (
                _Right("lease", "leases.coordination.k8s.io", "get", own),
                get(resources.Lease, lease),
            ),
            (_Right("own_namespace", "namespaces", "get"), get(resources.Namespace, place)),
            (_Right("webhook", hooks, "get"), get(objects.WebhookConfiguration, webhook)),
        )
        answers = await asyncio.gather(*(self._allowed(right, answer) for right, answer in wanted))
        for (right, _), answer in zip(wanted, answers, strict=True):
            self.found[right.field] = answer

    async def _secret(self, name: str) -> None:
        """Whether it is there; of what is in it nothing is asked for."""
        if not name:
            return
        excuse = f"whether there is a Secret {name} is not seen without the right to read it"
        path = f"/api/v1/namespaces/{self._namespace}/secrets/{name}"
        asked = self._client.request("GET", path, accept=METADATA_ONLY)
        right = _Right("has_secret", "secrets", "get", self._namespace, excuse)
        self.found["has_secret"] = await self._allowed(right, asked) is not None

    async def _crds(self) -> None:
        right = _Right("crds", "customresourcedefinitions.apiextensions.k8s.io", "get")
        bodies = await asyncio.gather(
            *(
                self._allowed(right, self._client.get(objects.Definition, f"{CRDS}/{name}"))
                for name in KINDS
            )
        )
        self.found["crds"] = dict(zip(KINDS, bodies, strict=True))

    async def _networks(self) -> None:
        client, place = self._client, SYSTEM
        right = _Right("kube_proxy", "configmaps", "get", place)
        self.found["kube_proxy"] = await self._allowed(right, read_kube_proxy(client))
        right = _Right("service_cidrs", "configmaps", "get", place)
        networks = await self._allowed(right, read_networks(client))
        if networks is not None:
            self.found["pod_cidrs"], self.found["service_cidrs"] = networks
            if not networks[1]:
                why = (
                    "which cluster IPs Services have is said neither by ServiceCIDRs nor by kubeadm"
                )
                self.unread["service_cidrs"] = Unread(why, "servicecidrs", unknowable=True)

    # --- the configuration -----------------------------------------------------------------------

    async def _configuration(self) -> None:
        """What is validated is read by the controller's own collections, whatever is in it."""
        world, own = World("", False), self._namespace
        configured = (
            world.pools,
            world.l2_advertisements,
            world.bgp_advertisements,
            world.peers,
            world.bfd_profiles,
            world.communities,
        )
        await asyncio.gather(
            *(self._take(collection, own) for collection in configured),
            self._take(world.namespaces),
            self._nodes(world),
        )
        validated = world.validated()
        self.found["config"], self.found["problems"] = validated.config, validated.problems

    async def _take(self, collection: Collection[Any, Any], place: str = "") -> None:
        kind = collection.kind
        name = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
        listed = self._client.list(msgspec.Raw, kind.path(place))
        answer = await self._allowed(_Right("config", name, place=place), listed)
        if answer is not None:
            collection.take_all([collection.decode(raw) for raw in answer[0]], answer[1])

    async def _strays(self) -> None:
        """Of the kinds without which nothing is announced, what is in other namespaces."""
        found: list[resources.Object] = []
        for kind in (POOLS, L2_ADVERTISEMENTS, BGP_ADVERTISEMENTS, PEERS):
            right = _Right("strays", f"{kind.plural}.{kind.group}")
            answer = await self._allowed(right, self._client.list(resources.Object, kind.path()))
            found += [
                msgspec.structs.replace(body, kind=kind.struct.__name__)
                for body in (answer[0] if answer else ())
                if body.metadata.namespace != self._namespace
            ]
        self.found["strays"] = tuple(found)

    async def _nodes(self, world: World) -> None:
        """Read once, as two things: the controller's, and ours."""
        listed = self._client.list(msgspec.Raw, NODES.path())
        answer = await self._allowed(_Right("nodes", "nodes"), listed)
        if answer is None:
            self.unread.setdefault("config", self.unread["nodes"])
            return
        bodies = answer[0]
        world.nodes.take_all([world.nodes.decode(raw) for raw in bodies], answer[1])
        self.found["nodes"] = tuple(msgspec.json.decode(raw, type=objects.Node) for raw in bodies)

    # --- rights ----------------------------------------------------------------------------------

    async def _rights_of_user(self) -> None:
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._refused("SelfSubjectAccessReview", path, USER_WANTS, {})
        what = "selfsubjectaccessreviews.authorization.k8s.io"
        refused = await self._allowed(_Right("refused_user", what, "create"), answer)
        self.found["refused_user"] = refused or ()

    async def _rights_of_programs(self) -> None:
        seen, what = self._seen(), "subjectaccessreviews.authorization.k8s.io"
        excuse = f"whether the programs have their rights is seen with create of {what} alone"
        right = _Right("refused_programs", what, "create", excuse=excuse)
        found: list[Want] = []
        for program in PROGRAMS:
            if name := account(seen, program):
                found += await self._allowed(right, self._rights_of(program, name)) or ()
        self.found["refused_programs"] = tuple(found)

    async def _rights_of(self, program: str, name: str) -> tuple[Want, ...]:
        """What a program's ServiceAccount would be refused."""
        own = self._namespace
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{own}"]
        who = {
            "user": f"{SYSTEM_ACCOUNT}{own}:{name}",
            "groups": [*groups, "system:authenticated"],
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        wants = tuple(want for want in PROGRAM_WANTS if want.who == program)
        return await self._refused("SubjectAccessReview", path, wants, who)

    async def _refused(
        self, kind: str, path: str, wants: tuple[Want, ...], who: dict[str, Any]
    ) -> tuple[Want, ...]:
        """Those that would be refused."""

        async def ask(want: Want) -> bool:
            resource, _, sub = want.resource.partition("/")
            attributes = {
                "namespace": self._namespace if want.namespaced else "",
                "verb": want.verb,
                "group": want.group,
                "resource": resource,
                "subresource": sub,
                "name": want.name,
            }
            spec = {"resourceAttributes": {k: v for k, v in attributes.items() if v}, **who}
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
            answer = await self._client.create(discovery.AccessReview, path, body)
            return answer.status.allowed

        allowed = await asyncio.gather(*map(ask, wants))
        return tuple(want for want, yes in zip(wants, allowed, strict=True) if not yes)

    def _must_have_read_something(self) -> None:
        main = ("deployments", "daemon_sets", "pods", "nodes", "crds", "config")
        if all(name in self.unread for name in main):
            raise NothingAllowedError(
                f"{self.found['user'] or 'who asks'} may read nothing of this cluster that there is"
                " to judge: use the KUBECONFIG of an administrator (kubectl auth can-i --list says"
                " what yours may)"
            )


def _named(field: str, bodies: list[Any]) -> Iterable[Any]:
    """As `Seen` has them: a list does not say of each what it is."""
    if field == "static_pods":
        return [objects.of_pod(pod) for pod in bodies if MIRROR in (pod.metadata.annotations or {})]
    kinds = {"deployments": "Deployment", "daemon_sets": "DaemonSet"}
    if kind := kinds.get(field):
        return [msgspec.structs.replace(body, kind=kind) for body in bodies]
    return bodies


def _instant(date: str) -> Any:
    """The API server's clock, as it told it with its last answer (RFC 9110 §6.6.1)."""
    try:
        return email.utils.parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
