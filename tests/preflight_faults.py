"""Changes of a cluster in which all is well (`preflight_scene`): what is seen otherwise."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from bellmetal import resources
from bellmetal.preflight import objects
from bellmetal.preflight.seen import Want
from builders import metadata, peer
from preflight_scene import (
    OWN,
    config,
    container,
    controllers,
    crd,
    link,
    node,
    pod,
    report,
    speakers,
    well,
    workload,
)

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
POOL = "IPAddressPool/main"
DEPLOYMENT = f"Deployment/{OWN}/bellmetal-controller"


def changed_crd(name: str, **changes: Any) -> dict[str, Any]:
    """The CRDs, one of them otherwise."""
    body = msgspec.structs.replace(crd(name), **changes)
    return {"crds": {**well().crds, name: body}}


def of_release(name: str, release: str) -> dict[str, Any]:
    marks = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": OWN}
    return changed_crd(name, metadata=metadata(name, annotations=marks))


def without_field(name: str, *path: str) -> dict[str, Any]:
    """The CRDs, one of them without a field of its spec."""
    body = copy.deepcopy(crd(name))
    properties = body.spec.versions[0].schema.open_api["properties"]["spec"]["properties"]
    for part in path[:-1]:
        properties = properties[part]["properties"]
    del properties[path[-1]]
    return {"crds": {**well().crds, name: body}}


def with_field(name: str, field: str) -> dict[str, Any]:
    body = copy.deepcopy(crd(name))
    properties = body.spec.versions[0].schema.open_api["properties"]["spec"]["properties"]
    properties[field] = {"type": "string"}
    return {"crds": {**well().crds, name: body}}


def not_served(name: str) -> dict[str, Any]:
    versions = [msgspec.structs.replace(crd(name).spec.versions[0], name="v1")]
    return changed_crd(name, spec=objects.DefinitionSpec(versions))


def converted(name: str) -> dict[str, Any]:
    service = objects.ServiceOf(OWN, "metallb-webhook-service")
    webhook = objects.ConversionWebhook(objects.WebhookClient(service))
    spec = crd(name).spec
    conversion = objects.Conversion("Webhook", webhook)
    return changed_crd(name, spec=msgspec.structs.replace(spec, conversion=conversion))


def webhook(policy: str) -> objects.WebhookConfiguration:
    client = objects.WebhookClient(objects.ServiceOf(OWN, "metallb-webhook-service"))
    hook = objects.Webhook("ipaddresspoolvalidationwebhook.metallb.io", policy, client)
    return objects.WebhookConfiguration(
        metadata=metadata("metallb-webhook-configuration"), webhooks=[hook]
    )


def metallb(*, here: bool = True, mirrored: bool = False) -> dict[str, Any]:
    """MetalLB's speakers beside ours, or alone."""
    image = "mirror.example/x/y" if mirrored else "quay.io/metallb/speaker:v0.15.3"
    labels = {"app": "metallb", "component": "speaker"}
    theirs = workload(
        "DaemonSet", "metallb/speaker", container("speaker", image, "--port=7472"), labels=labels
    )
    return {"daemon_sets": (speakers(), theirs) if here else (theirs,)}


def others(kind: str, key: str, image: str, **fields: Any) -> dict[str, Any]:
    """Another program's workload beside ours."""
    env = fields.pop("env", None)
    theirs = workload(kind, key, container("main", image, env=env), **fields)
    if kind == "Deployment":
        return {"deployments": (controllers(), theirs)}
    return {"daemon_sets": (speakers(), theirs)}


def calico_node(**env: str) -> dict[str, Any]:
    image = "docker.io/calico/node:v3.30.0"
    passive = config(peers=(peer(passive=True),))
    return {**others("DaemonSet", "calico-system/calico-node", image, env=env), "config": passive}


def seen_on_n1(**view: Any) -> dict[str, Any]:
    """What one speaker sees of its node otherwise than the others."""
    return {"reports": (report("n1", **view), *well().reports[1:])}


def two_links(**fields: Any) -> dict[str, Any]:
    """Two interfaces of node n1, the second one with a network of its own."""
    body = report("n1", links=[link(**fields), link("eth1", **fields)])
    second = resources.ReportedInterface("eth1", up=True, subnets=["192.0.2.1/24"])
    status = msgspec.structs.replace(body.status, interfaces=[*body.status.interfaces, second])
    return {"reports": (msgspec.structs.replace(body, status=status), *well().reports[1:])}


def no_pod_on_n3(*taints: objects.Taint, **labels: str) -> dict[str, Any]:
    seen = well()
    nodes = (*seen.nodes[:2], node("n3", *taints, **labels))
    return {"nodes": nodes, "pods": seen.pods[:-1]}


def speaker_on_n3(**fields: Any) -> dict[str, Any]:
    return {"pods": (*well().pods[:-1], pod("speaker-n3", "speaker", "n3", **fields))}


def labelled_controllers(version: str) -> objects.Workload:
    marks = {"app.kubernetes.io/version": version}
    body = controllers()
    meta = msgspec.structs.replace(body.metadata, labels=marks)
    return msgspec.structs.replace(body, metadata=meta)


def refused(program: str, *wants: tuple[str, str, str]) -> tuple[Want, ...]:
    return tuple(Want(program, *want) for want in wants)
