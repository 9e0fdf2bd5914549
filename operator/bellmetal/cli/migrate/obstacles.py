"""What is in the way of a change-over, and what is good to know before: each with what to do.

May live here: the list, as pure functions of what was read. May not: reading, printing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bellmetal.cli.migrate.installation import Installation
from bellmetal.cli.migrate.objects import CRD
from bellmetal.cli.migrate.outlook import Outlook
from bellmetal.cli.migrate.ports import taken
from bellmetal.cli.migrate.releases import GROUP, doomed_crds
from bellmetal.cli.report import sentence
from bellmetal.comparison import Outcome

KINDS = (
    "bfdprofiles",
    "bgpadvertisements",
    "bgppeers",
    "communities",
    "configurationstates",
    "ipaddresspools",
    "l2advertisements",
    "servicebgpstatuses",
    "servicel2statuses",
)
OLD_VERSION = "v1beta1"  # of BGPPeer, whose newer one is stored since 0.13
MOST = 5  # Services that one sentence names


class Weight(enum.Enum):
    """How much a finding matters."""

    STOP = "stop"  # to be done first
    KNOW = "know"  # to be known, no more


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: a word for it, what it is about, a sentence, and what to do."""

    weight: Weight
    code: str
    subject: str
    message: str
    remedy: str = ""


def findings(found: Installation, outlook: Outlook, lb_class: str) -> list[Finding]:
    """All of them, what has to be done first before the rest."""
    everything = [
        *_crds(found),
        *_configuration(outlook),
        *_services(outlook),
        *_frr(found),
        *_peers(found, outlook),
        *_programs(found, lb_class),
        *_names(found),
    ]
    return sorted(everything, key=lambda item: item.weight is not Weight.STOP)


def stop(code: str, subject: str, message: str, remedy: str) -> Finding:
    """Something to be done first."""
    return Finding(Weight.STOP, code, subject, message, remedy)


def know(code: str, subject: str, message: str, remedy: str = "") -> Finding:
    """Something to be known."""
    return Finding(Weight.KNOW, code, subject, message, remedy)


# --- CRDs ----------------------------------------------------------------------------------------


def _crds(found: Installation) -> Iterator[Finding]:
    there = {item.spec.names.plural: item for item in found.crds}
    if missing := [kind for kind in KINDS if kind not in there]:
        message = f"there is no {', '.join(missing)} of {GROUP}: this MetalLB is older than 0.15.3"
        yield stop("missingCRDs", "CRDs", message, "upgrade MetalLB to 0.15.3 or later first")
    for item in found.crds:
        if item.spec.names.plural == "bgppeers":
            yield from _stored(item)
    for release in found.releases:
        if names := doomed_crds(release):
            message = f"`helm uninstall {release.name}` would delete {len(names)} CRDs of {GROUP}"
            message += ", with every object of them"
            subject = f"release {release.namespace}/{release.name}"
            yield stop("unprotectedCRDs", subject, message, "bellmetal migrate protect")
    for name in found.strays:
        message = "owns CRDs, and cannot be read: nobody can say whether an uninstall deletes them"
        remedy = (
            "run this with the right to read Secrets there; or see by `helm get manifest` yourself"
        )
        yield stop("unreadableRelease", f"release {name}", message, remedy)


def _stored(crd: CRD) -> Iterator[Finding]:
    if OLD_VERSION not in (crd.status.stored_versions or []):
        return
    message = (
        f"some may still be stored as {OLD_VERSION}: they are read through MetalLB's conversion"
        " webhook, which goes with its controller"
    )
    remedy = (
        "write them anew: kubectl get bgppeers.v1beta2.metallb.io -A -o json | kubectl replace"
        " -f -; then: kubectl patch crd bgppeers.metallb.io --subresource=status --type=merge"
        ' -p \'{"status":{"storedVersions":["v1beta2"]}}\''
    )
    yield stop("oldStoredVersion", "BGPPeers", message, remedy)


# --- configuration and Services ------------------------------------------------------------------


def _configuration(outlook: Outlook) -> Iterator[Finding]:
    for problem in outlook.problems:
        subject = f"{problem.kind}/{problem.name}"
        yield stop("invalid", subject, f"{problem.path}: {problem.message}", "mend it")


def _services(outlook: Outlook) -> Iterator[Finding]:
    for row in outlook.rows:
        if row.hurts:
            texts = (", ".join(map(str, one.addresses)) or "none" for one in (row.now, row.then))
            message = "{} → {}".format(*texts)
            if said := sentence(row):
                message += f": {said}"
            remedy = "change the pool or the Service so that it may keep what it has"
            yield stop("addressChanges", f"Service {row.service}", message, remedy)
    orphans = [row.service for row in outlook.rows if row.outcome is Outcome.ORPHANED]
    if orphans:
        message = f"{_some(orphans)} keep an address that no pool allows them"
        yield know("orphans", "Services", message, "bellmetal plan says why")
    if outlook.written:
        message = f"the status of {_some(outlook.written)} would be written to, once"
        yield know("written", "Services", message)


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - MOST} more" if len(found) > MOST else ""
    return ", ".join(found[:MOST]) + more


# --- FRR and peers -------------------------------------------------------------------------------


def _frr(found: Installation) -> Iterator[Finding]:
    for item in found.frr:
        if item.metadata.name.startswith("metallb-") and item.spec.raw is None:
            continue  # MetalLB's own, one for each node
        what = "has raw FRR configuration" if item.spec.raw else "configures FRR besides MetalLB"
        message = f"{what}: Bellmetal runs no FRR, and does nothing of it"
        remedy = "docs/bgp.md says what there is instead; delete it, if you can do without"
        yield stop("frrConfiguration", f"FRRConfiguration/{item.metadata.name}", message, remedy)
    extras = (found.config_maps or {}).get("bgpextras")
    if extras is not None and (extras.data or {}).get("extras", "").strip():
        message = "has raw FRR configuration: Bellmetal runs no FRR, and does nothing of it"
        remedy = "docs/bgp.md says what there is instead; then delete it"
        yield stop("bgpExtras", "ConfigMap/bgpextras", message, remedy)


def _peers(found: Installation, outlook: Outlook) -> Iterator[Finding]:
    bodies = list(outlook.world.peers.nouns.values())
    if found.mode == "frr-k8s":
        for body in bodies:
            ignored = {"sourceAddress": body.spec.source_address, "localASN": body.spec.local_asn}
            if names := [name for name, value in ignored.items() if value]:
                message = (
                    f"MetalLB's frr-k8s mode ignores {' and '.join(names)}; Bellmetal does not"
                )
                yield know("comesIntoForce", f"BGPPeer/{body.metadata.name}", message)
    inside = [b.metadata.name for b in bodies if b.spec.my_asn == b.spec.peer_asn]
    bare = [
        body.metadata.name
        for body in outlook.world.bgp_advertisements.nouns.values()
        if not body.spec.local_pref
    ]
    if found.mode == "native" and inside and bare:
        message = "MetalLB's native mode tells them a local preference of 0, Bellmetal 100"
        yield know("localPreference", f"BGPPeers {_some(inside)}", message)


# --- programs and names --------------------------------------------------------------------------


def _programs(found: Installation, lb_class: str) -> Iterator[Finding]:
    if found.controller is not None:
        theirs = found.controller.flag("lb-class")
        if theirs != lb_class:
            message = f'serves the class "{theirs}"; "{lb_class}" was asked about'
            yield stop("lbClass", "MetalLB", message, f"--lb-class={theirs}")
    for what, port in taken(found).items():
        message = f"port {port} of the nodes is taken ({what})"
        yield know("port", "MetalLB", message, "bellmetal migrate takeover prepare chooses others")
    if found.webhook:
        message = (
            "while its controller is stopped, its webhook refuses every change of configuration"
        )
        yield know("webhook", "MetalLB", message, "it goes with MetalLB's release")
    if found.speaker is not None and found.speaker.flag("ml-wan-config") == "true":
        message = "--ml-wan-config has no counterpart: who lives is judged on the LAN itself"
        yield know("wanConfig", "MetalLB", message)


def _names(found: Installation) -> Iterator[Finding]:
    maps = found.config_maps or {}
    if "metallb-memberlist-config" in maps:
        message = "has no counterpart: Bellmetal's times are its own"
        yield know("memberlistConfig", "ConfigMap/metallb-memberlist-config", message)
    if "metallb-excludel2" in maps:
        message = "both read it; beside MetalLB, Bellmetal's chart leaves it as it is"
        yield know("excludel2", "ConfigMap/metallb-excludel2", message)
    for program in filter(None, (found.controller, found.speaker)):
        if program.labels.get("app") == "metallb" and found.our_controller is not None:
            message = "`-l app=metallb` names the pods of both"
            yield know("labels", program.name, message, "helm.sh/chart tells them apart")
            return
