"""Configuration objects of BGP, and all objects at once: for tests of validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bellmetal import resources
from bellmetal.config import Labelled
from bellmetal.validation import Objects, Validated, validate
from builders import metadata

KINDS: dict[type[resources.Object], str] = {
    resources.IPAddressPool: "pools",
    resources.L2Advertisement: "l2_advertisements",
    resources.BGPAdvertisement: "bgp_advertisements",
    resources.BGPPeer: "peers",
    resources.BFDProfile: "bfd_profiles",
    resources.Community: "communities",
}


def check(*objects: resources.Object | Labelled, **more: Any) -> Validated:
    """Validates objects of all kinds; Labelled ones are Nodes."""
    found: dict[str, Any] = dict.fromkeys(KINDS.values(), ())
    for item in objects:
        if not isinstance(item, Labelled):
            found[KINDS[type(item)]] += (item,)
    nodes = {item.name: item for item in objects if isinstance(item, Labelled)}
    return validate(Objects(**found, nodes=nodes, **more))


def sentences(*objects: resources.Object | Labelled, **more: Any) -> list[str]:
    """The problems of objects of all kinds."""
    return [str(problem) for problem in check(*objects, **more).problems]


def _meta(name: str, meta: Mapping[str, Any] | None) -> resources.Metadata:
    return metadata(f"metallb-system/{name}", **(meta or {}))


def peer_object(
    name: str = "tor", *, meta: Mapping[str, Any] | None = None, **spec: Any
) -> resources.BGPPeer:
    """A BGPPeer at 10.0.0.254 in AS 64501, the nodes in 64500."""
    defaults: dict[str, Any] = {"my_asn": 64500, "peer_asn": 64501, "peer_address": "10.0.0.254"}
    return resources.BGPPeer(
        metadata=_meta(name, meta), spec=resources.BGPPeerSpec(**(defaults | spec))
    )


def bgp_object(
    name: str = "all", *, meta: Mapping[str, Any] | None = None, **spec: Any
) -> resources.BGPAdvertisement:
    """A BGPAdvertisement of everything to everybody."""
    return resources.BGPAdvertisement(
        metadata=_meta(name, meta), spec=resources.BGPAdvertisementSpec(**spec)
    )


def profile_object(
    name: str = "fast", *, meta: Mapping[str, Any] | None = None, **spec: Any
) -> resources.BFDProfile:
    return resources.BFDProfile(metadata=_meta(name, meta), spec=resources.BFDProfileSpec(**spec))


def community_object(
    name: str = "ours", *, meta: Mapping[str, Any] | None = None, **aliases: str
) -> resources.Community:
    """A Community that defines ``aliases`` (with ``_`` for ``-``)."""
    items = [resources.CommunityAlias(k.replace("_", "-"), v) for k, v in aliases.items()]
    return resources.Community(
        metadata=_meta(name, meta), spec=resources.CommunitySpec(items or None)
    )


def node_named(name: str, **labels: str) -> Labelled:
    return Labelled(name, labels, uid=f"uid-{name}")


def younger(day: int) -> dict[str, str]:
    """The metadata of what was made on a later day."""
    return {"creation_timestamp": f"2026-02-{day:02}T00:00:00Z"}
