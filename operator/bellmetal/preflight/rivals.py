"""Who else gives Services their addresses, or announces them: by what runs, and by its objects.

Whatever an image's registry is, its last words name the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bellmetal.addresses import AddressError, parse_range
from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import POOLS, Check, Finding
from bellmetal.preflight.objects import Container, Workload
from bellmetal.preflight.seen import Seen, program_of

LB_CLASS = "--lb-class"
SERVICE_LB_LABEL = "svccontroller.k3s.cattle.io/svcname"
APART = "tell the Services apart by spec.loadBalancerClass (the chart's loadBalancerClass)"


@dataclass(frozen=True, slots=True)
class _Rival:
    """A program by a part of its image's name; ``switched_by``: an environment variable that must
    be true for it to serve Services, where it does other things too."""

    image: str
    name: str
    code: Code
    todo: str
    switched_by: str = ""


_RIVALS = (
    _Rival("klipper-lb", "k3s' servicelb", Code.SERVICE_LB, "start k3s with --disable=servicelb"),
    _Rival(
        "kube-vip-cloud-provider", "kube-vip's cloud provider", Code.OTHER_BALANCER, "remove it"
    ),
    _Rival(
        "kube-vip/kube-vip",
        "kube-vip",
        Code.OTHER_BALANCER,
        "set its svc_enable to false: it then serves the control plane alone",
        "svc_enable",
    ),
    _Rival("purelb/", "PureLB", Code.OTHER_BALANCER, "remove it"),
    _Rival("openelb", "OpenELB", Code.OTHER_BALANCER, "remove it"),
    _Rival("kube-loxilb", "LoxiLB", Code.OTHER_BALANCER, "remove it"),
    _Rival(
        "cloud-controller-manager",
        "a cloud controller manager",
        Code.CLOUD_CONTROLLER,
        "start it with --controllers=*,-service-lb-controller",
    ),
)


def balancers(seen: Seen) -> Iterator[Finding]:
    """Programs that write the status of Services; they are none of our business where we serve a
    class of our own."""
    if _own_class(seen):
        return
    if (services := _service_lb(seen)) and not any(
        _image_of(one, "klipper-lb") for one in seen.workloads
    ):
        yield _finding(_RIVALS[0], services[0])
    told: set[str] = set()
    for workload in seen.workloads:
        for rival in _RIVALS:
            container = _image_of(workload, rival.image)
            if container and rival.name not in told and _switched_on(rival, container):
                told.add(rival.name)
                yield _finding(rival, workload)
                break


def metallb(seen: Seen) -> Iterator[Finding]:
    """MetalLB: beside us it serves the same Services; without us it is what is to be replaced."""
    found = [one for one in seen.workloads if _is_metallb(one)]
    if not found or (seen.installed and _own_class(seen)):
        return
    names = ", ".join(sorted(_title(one) for one in found))
    if seen.argument("controller", "--takeover") is not None:
        yield Finding(
            Code.METALLB_HERE,
            _title(found[0]),
            f"MetalLB runs ({names}), and is being replaced: the controllers are started with"
            " --takeover",
            "bellmetal migrate takeover status says how far that is",
        )
    elif seen.installed:
        namespace = found[0].metadata.namespace
        yield Finding(
            Code.METALLB,
            _title(found[0]),
            f"MetalLB runs ({names}): it and Bellmetal write the same Services, and both answer"
            " for their addresses",
            f"helm uninstall it, or: kubectl -n {namespace} delete"
            f" {' '.join(_typed(one) for one in found)}",
        )
    else:
        yield Finding(
            Code.METALLB_HERE,
            _title(found[0]),
            f"MetalLB runs ({names}): it is to end before Bellmetal starts",
            "its IPAddressPools and advertisements stay as they are; Services keep their addresses",
        )


def cilium(seen: Seen) -> Iterator[Finding]:
    """Cilium's own pools for Services."""
    active = sorted(item.metadata.name for item in seen.cilium_pools if not item.spec.disabled)
    if active and not _own_class(seen):
        yield Finding(
            Code.CILIUM_POOLS,
            f"CiliumLoadBalancerIPPool/{active[0]}",
            f"Cilium gives Services addresses of {', '.join(active)}, too",
            f"kubectl delete ciliumloadbalancerippools {' '.join(active)}; or {APART}",
        )


def cilium_announces(seen: Seen) -> Iterator[Finding]:
    """A policy of Cilium's takes the addresses of all Services, whoever gave them."""
    names = sorted(
        item.metadata.name for item in seen.cilium_policies if item.spec.load_balancer_ips
    )
    if names and seen.by_layer2:
        yield Finding(
            Code.CILIUM_ANNOUNCES,
            f"CiliumL2AnnouncementPolicy/{names[0]}",
            f"Cilium answers for addresses of Services on layer 2 ({', '.join(names)}), whoever"
            " gave them: two nodes then answer for one address",
            f"kubectl delete ciliuml2announcementpolicies {' '.join(names)}",
        )


def calico(seen: Seen) -> Iterator[Finding]:
    """Calico's announcements of addresses that are ours."""
    for body in seen.calico:
        for block in body.spec.service_load_balancer_ips:
            try:
                announced = parse_range(block.cidr)
            except AddressError:  # Calico's to complain of
                continue
            for pool in seen.config.pools:
                if any(entry.overlaps(announced) for entry in pool.ranges):
                    yield Finding(
                        Code.CALICO_ANNOUNCES,
                        f"BGPConfiguration/{body.metadata.name}",
                        f"spec.serviceLoadBalancerIPs has {block.cidr}, which overlaps with"
                        f" IPAddressPool/{pool.name}: Calico announces these addresses from every"
                        " node, whoever owns them",
                        "take it out there, or have Calico announce alone: no BGPAdvertisement for"
                        f" IPAddressPool/{pool.name}",
                    )


def port_179(seen: Seen) -> Iterator[Finding]:
    """BIRD where a peer of ours is to connect to port 179."""
    passive = sorted(peer.name for peer in seen.config.peers if peer.passive)
    bird = [one for one in seen.daemon_sets if _runs_bird(one)]
    if passive and bird:
        yield Finding(
            Code.PORT_TAKEN,
            f"BGPPeer/{passive[0]}",
            f"it is passive, and on the nodes Calico's BIRD ({_title(bird[0])}) listens on port"
            " 179",
            "take the annotation bellmetal.io/passive away, so that we connect; or run Calico"
            " without BGP",
        )


_NEEDS = ("deployments", "daemon_sets", "static_pods")
CHECKS = (
    Check("nobody else serves the Services", balancers, _NEEDS),
    Check("MetalLB does not run", metallb, ("deployments", "daemon_sets")),
    Check("Cilium gives out no addresses", cilium, ("cilium_pools",)),
    Check("Cilium announces no address on layer 2", cilium_announces, ("cilium_policies",)),
    Check("Calico announces no address of a pool", calico, ("calico", "config"), (POOLS,)),
    Check("port 179 is free where a passive peer is awaited", port_179, ("daemon_sets", "config")),
)


# --- who is who ----------------------------------------------------------------------------------


def runs_metallb(seen: Seen) -> bool:
    """Whether MetalLB's programs are to run somewhere."""
    return any(_is_metallb(one) for one in seen.workloads)


def _is_metallb(workload: Workload) -> bool:
    """By its image, or (mirrored and renamed) by MetalLB's labels and container names."""
    if any(program_of(container) for container in workload.containers):
        return False
    if _image_of(workload, "metallb/controller") or _image_of(workload, "metallb/speaker"):
        return True
    labels = workload.metadata.labels or {}
    names = {labels.get("app"), labels.get("app.kubernetes.io/name")}
    return "metallb" in names and any(
        container.name in ("controller", "speaker") for container in workload.containers
    )


def _own_class(seen: Seen) -> bool:
    return bool(seen.argument("controller", LB_CLASS))


def _service_lb(seen: Seen) -> list[Workload]:
    return [one for one in seen.daemon_sets if SERVICE_LB_LABEL in (one.metadata.labels or {})]


def _image_of(workload: Workload, part: str) -> Container | None:
    """The container whose image's name, without tag, has that part."""
    for container in workload.containers:
        name = container.image.partition("@")[0]
        path, colon, tag = name.rpartition(":")
        if part in (path if colon and "/" not in tag else name):
            return container
    return None


def _switched_on(rival: _Rival, container: Container) -> bool:
    if not rival.switched_by:
        return True
    values = {item.name: item.value for item in container.env}
    return values.get(rival.switched_by, "").lower() == "true"


def _runs_bird(workload: Workload) -> bool:
    container = _image_of(workload, "calico/node")
    if container is None:
        return False
    values = {item.name: item.value for item in container.env}
    return values.get("CALICO_NETWORKING_BACKEND", "bird") in ("bird", "")


def _finding(rival: _Rival, workload: Workload) -> Finding:
    return Finding(
        rival.code,
        _title(workload),
        f"{rival.name} gives Services addresses, too: each writes over what the other has written",
        f"{rival.todo}; or {APART}",
    )


def _title(workload: Workload) -> str:
    kind = workload.kind or "workload"
    return f"{kind}/{workload.metadata.namespace}/{workload.metadata.name}"


def _typed(workload: Workload) -> str:
    return f"{workload.kind.lower()}/{workload.metadata.name}"
