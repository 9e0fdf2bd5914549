"""The CustomResourceDefinitions: all there, complete, served, and in whose hands.

What is complete is what our structs of `resources.py` read and write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import inspect

from bellmetal import resources
from bellmetal.preflight import objects
from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import INSTALLED, Check, Finding, Given
from bellmetal.preflight.rivals import runs_metallb
from bellmetal.preflight.seen import Seen
from bellmetal.preflight.words import few

OURS_ALONE = ".bellmetal.io"  # how the names of kinds end that nobody else defines
RELEASE = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
# Server-side: a CRD is too large for the annotation that plain `kubectl apply` keeps.
APPLY = "kubectl apply --server-side --force-conflicts -f crds/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A kind of ours: the version that we use, and the struct that we read it into."""

    version: str
    struct: type[resources.Object]


KINDS: Mapping[str, Wanted] = {
    "ipaddresspools.metallb.io": Wanted("v1beta1", resources.IPAddressPool),
    "l2advertisements.metallb.io": Wanted("v1beta1", resources.L2Advertisement),
    "bgpadvertisements.metallb.io": Wanted("v1beta1", resources.BGPAdvertisement),
    "bgppeers.metallb.io": Wanted("v1beta2", resources.BGPPeer),
    "bfdprofiles.metallb.io": Wanted("v1beta1", resources.BFDProfile),
    "communities.metallb.io": Wanted("v1beta1", resources.Community),
    "servicel2statuses.metallb.io": Wanted("v1beta1", resources.ServiceL2Status),
    "servicebgpstatuses.metallb.io": Wanted("v1beta1", resources.ServiceBGPStatus),
    "configurationstates.metallb.io": Wanted("v1beta1", resources.ConfigurationState),
    "announcementslices.bellmetal.io": Wanted("v1alpha1", resources.AnnouncementSlice),
    "addressledgers.bellmetal.io": Wanted("v1alpha1", resources.AddressLedger),
    "speakerreports.bellmetal.io": Wanted("v1alpha1", resources.SpeakerReport),
    "bgpsessionstatuses.bellmetal.io": Wanted("v1alpha1", resources.BGPSessionStatus),
}


def missing(seen: Seen) -> Iterator[Finding]:
    """Kinds that are not defined; before an installation none need be."""
    total = sum(body is not None for body in seen.crds.values())
    for name, body in seen.crds.items():
        if body is None:
            yield Finding(
                Code.CRD_MISSING,
                _about(name),
                f"the cluster does not know {name} ({total} of {len(seen.crds)} kinds are there)",
                f"helm upgrade with crds.enabled=true, or: {APPLY}",
            )


def incomplete(seen: Seen) -> Iterator[Finding]:
    """Versions that are not served, and fields that are not there."""
    for name, body in _there(seen):
        wanted = KINDS[name]
        served = {item.name: item for item in body.spec.versions if item.served}
        if wanted.version not in served:
            has = ", ".join(served) or "none"
            sentence = f"the version {wanted.version} that we use is not served; served: {has}"
            yield Finding(Code.CRD_NOT_SERVED, _about(name), sentence, APPLY)
            continue
        lacking = list(lacking_fields(served[wanted.version].schema.open_api, wanted.struct))
        if lacking:
            sentence = f"{wanted.version} lacks {few(lacking)}: what is written there is dropped"
            yield Finding(Code.CRD_INCOMPLETE, _about(name), sentence, APPLY)


def newer(seen: Seen) -> Iterator[Finding]:
    """Fields of our own kinds that this program does not know."""
    for name, body in _there(seen):
        wanted = KINDS[name]
        for item in body.spec.versions:
            if name.endswith(OURS_ALONE) and item.name == wanted.version:
                unknown = list(unknown_fields(item.schema.open_api, wanted.struct))
                if unknown:
                    sentence = f"it has {few(unknown)}, which this program does not know"
                    todo = "use a bellmetal of the version that is installed"
                    yield Finding(Code.CRD_NEWER, _about(name), sentence, todo)


def unready(seen: Seen) -> Iterator[Finding]:
    """Kinds that are being deleted, or that the API server has not accepted."""
    for name, body in _there(seen):
        if body.metadata.deletion_timestamp:
            yield Finding(
                Code.CRD_NOT_READY,
                _about(name),
                f"it is being deleted since {body.metadata.deletion_timestamp}, with all its"
                " objects",
                f"wait until it is gone, then: {APPLY}",
            )
            continue
        for condition in body.status.conditions or ():
            if condition.type in ("Established", "NamesAccepted") and condition.status != "True":
                sentence = f"{condition.type} is {condition.status}: {condition.message}"
                todo = f"kubectl describe crd {name}"
                yield Finding(Code.CRD_NOT_READY, _about(name), sentence, todo)
                break


def foreign_owner(seen: Seen) -> Iterator[Finding]:
    """CRDs of another Helm release than the one that our programs are of."""
    ours = {
        (notes.get(RELEASE_NAMESPACE, ""), notes[RELEASE])
        for program in ("controller", "speaker")
        for one in seen.ours(program)
        if RELEASE in (notes := one.metadata.annotations or {})
    }
    found: dict[tuple[str, str], list[str]] = {}
    for name, body in _there(seen):
        notes = body.metadata.annotations or {}
        if RELEASE in notes:
            owner = (notes.get(RELEASE_NAMESPACE, ""), notes[RELEASE])
            if owner not in ours:
                found.setdefault(owner, []).append(name)
    for (namespace, release), names in found.items():
        yield Finding(
            Code.CRD_OF_OTHER,
            _about(names[0]) if len(names) == 1 else f"{len(names)} CustomResourceDefinitions",
            f"Helm release {release} of namespace {namespace or '?'} owns {few(names)}: another"
            " release may not change them",
            "helm upgrade --install with --take-ownership, or crds.enabled=false and: " + APPLY,
        )


def converted(seen: Seen) -> Iterator[Finding]:
    """CRDs whose objects go through a webhook of MetalLB's that is gone."""
    if runs_metallb(seen):
        return
    for name, body in _there(seen):
        conversion = body.spec.conversion
        if conversion.strategy == "Webhook":
            client = conversion.webhook.client_config if conversion.webhook else None
            yield Finding(
                Code.CRD_CONVERSION,
                _about(name),
                f"its objects are converted by a webhook, {_where(client)}, and MetalLB does not"
                " run",
                APPLY,
            )


def left_webhook(seen: Seen) -> Iterator[Finding]:
    """MetalLB's validating webhook without MetalLB."""
    if seen.webhook is None or runs_metallb(seen):
        return
    name = seen.webhook.metadata.name
    strict = [item for item in seen.webhook.webhooks if item.failure_policy != "Ignore"]
    if strict:
        yield Finding(
            Code.WEBHOOK_LEFT,
            f"ValidatingWebhookConfiguration/{name}",
            f"{len(strict)} webhooks must agree to every change of configuration, by"
            f" {_where(strict[0].client_config)}, and MetalLB does not run: nothing can be applied",
            f"kubectl delete validatingwebhookconfiguration {name}",
        )


_NEEDS = ("crds", "deployments", "daemon_sets")
THERE = Given(lambda seen: any(seen.crds.values()), "no CRD of ours is there yet")
CHECKS = (
    Check("all CRDs are there", missing, _NEEDS, (INSTALLED,)),
    Check("the CRDs have all fields", incomplete, _NEEDS, (INSTALLED,)),
    Check("no CRD is newer than this program", newer, ("crds",), (THERE,)),
    Check("the CRDs are established", unready, ("crds",), (THERE,)),
    Check("no other Helm release owns the CRDs", foreign_owner, _NEEDS, (THERE,)),
    Check("no CRD needs MetalLB's webhook", converted, _NEEDS, (THERE,)),
    Check(
        "no webhook of MetalLB's is left", left_webhook, ("webhook", "deployments", "daemon_sets")
    ),
)


# --- fields --------------------------------------------------------------------------------------


def lacking_fields(schema: Mapping[str, Any], struct: type[resources.Object]) -> Iterator[str]:
    """Paths of fields that our struct has and the schema has not."""
    return _differences(schema, inspect.type_info(struct), "", lacking=True)


def unknown_fields(schema: Mapping[str, Any], struct: type[resources.Object]) -> Iterator[str]:
    """Paths of fields that the schema has and our struct has not."""
    return _differences(schema, inspect.type_info(struct), "", lacking=False)


def _differences(
    schema: Mapping[str, Any], info: inspect.Type, path: str, lacking: bool
) -> Iterator[str]:
    if isinstance(info, inspect.UnionType):
        for option in info.types:
            yield from _differences(schema, option, path, lacking)
    elif isinstance(info, inspect.ListType):
        yield from _differences(schema.get("items", {}), info.item_type, path, lacking)
    elif isinstance(info, inspect.DictType):
        values = schema.get("additionalProperties", {})
        yield from _differences(values, info.value_type, path, lacking)
    elif isinstance(info, inspect.StructType) and "properties" in schema:
        yield from _of_struct(schema["properties"], info, path, lacking)


def _of_struct(
    properties: Mapping[str, Any], info: inspect.StructType, path: str, lacking: bool
) -> Iterator[str]:
    fields = {item.encode_name: item.type for item in info.fields}
    if not path:  # of any object
        fields = {name: kind for name, kind in fields.items() if name in ("spec", "status")}
        properties = {name: item for name, item in properties.items() if name in fields}
    for name in sorted(fields.keys() | properties.keys()):
        here = f"{path}.{name}" if path else name
        if name in fields and name in properties:
            yield from _differences(properties[name], fields[name], here, lacking)
        elif (name in fields) is lacking:
            yield here


# --- words ---------------------------------------------------------------------------------------


def _there(seen: Seen) -> Iterator[tuple[str, objects.Definition]]:
    for name, body in seen.crds.items():
        if body is not None:
            yield name, body


def _about(name: str) -> str:
    return f"CustomResourceDefinition/{name}"


def _where(client: objects.WebhookClient | None) -> str:
    if client is None or client.service is None:
        return (client and client.url) or "which is not named"
    return f"Service {client.service.namespace}/{client.service.name}"
