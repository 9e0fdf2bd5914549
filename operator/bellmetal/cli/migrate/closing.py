"""``takeover finish``: all is done; MetalLB is removed by these commands; nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator

from bellmetal.beside import Stage
from bellmetal.cli.migrate.installation import WEBHOOK, Installation
from bellmetal.cli.migrate.protect import commands, protect
from bellmetal.cli.migrate.scene import NotYetError, Scene
from bellmetal.cli.owners import Say
from bellmetal.moving import TakeoverSettings

UPGRADE = (
    "helm upgrade bellmetal helm/bellmetal --namespace {namespace} --values FILE"
    " --set takeover=false --set speaker.gratuitousARPInterval=0"
    " --take-ownership --force-conflicts --set crds.takeOwnership=true"
)
UNCONVERTED = (  # its webhook has gone with MetalLB
    "kubectl patch crd {name} --type=merge --patch"
    ' \'{{"spec":{{"conversion":{{"strategy":"None","webhook":null}}}}}}\''
)


async def closing(scene: Scene, settings: TakeoverSettings, say: Say) -> int:
    """Refuses while a step is missing, with the commands."""
    if scene.record is None and not scene.beside and not _is_there(scene.found):
        say("FINISHED: there is no MetalLB, and no takeover under way")
        return 0
    if scene.known.stage is not Stage.COMPLETE or await scene.metallb.speakers():
        raise NotYetError("MetalLB's speakers are there still: `takeover node --all`", 2)
    await _protected(scene, settings)
    if _is_there(scene.found):
        message = "MetalLB is installed still; remove it, and repeat this"
        raise NotYetError(message, commands=removal(scene.found))
    if scene.beside:
        message = (
            "Bellmetal still looks out for MetalLB; FILE is that of `prepare`, whose ports and"
        )
        message += " names stay; helm 3 knows no --force-conflicts, and needs none"
        raise NotYetError(message, commands=settlement(scene.found))
    await scene.records.delete()
    say("FINISHED: MetalLB is gone, and every object is where it was")
    return 0


async def _protected(scene: Scene, settings: TakeoverSettings) -> None:
    found = await protect(scene.client, scene.namespace)
    for release, names in found.doomed:
        message = f"an uninstall of the release {release.name} would delete {len(names)} CRDs"
        message += ", and every pool and peer with them; do first"
        raise NotYetError(message, commands=commands(release, settings.chart))
    if found.unread:
        unknown = ", ".join(found.unread)
        raise NotYetError(f"nobody can say whether the release {unknown} would delete its CRDs")


def _is_there(found: Installation) -> bool:
    return found.controller is not None or found.speaker is not None


def removal(found: Installation) -> Iterator[str]:
    """The commands that remove MetalLB and nothing else."""
    if found.release is not None:
        yield f"helm uninstall {found.release.name} --namespace {found.release.namespace}"
        return
    # never its manifests as a whole: the namespace and the CRDs are in them
    where = f"kubectl --namespace {found.namespace} delete --ignore-not-found"
    for kind, program in (("deployment", found.controller), ("daemonset", found.speaker)):
        if program is not None:
            yield f"{where} {kind}/{program.name}"
    yield f"{where} service/metallb-webhook-service secret/metallb-webhook-cert"
    yield f"kubectl delete --ignore-not-found validatingwebhookconfiguration/{WEBHOOK}"


def settlement(found: Installation) -> Iterator[str]:
    """The commands after which Bellmetal is installed as if there had been no other one."""
    for crd in found.crds:
        if crd.spec.conversion is not None and crd.spec.conversion.strategy == "Webhook":
            yield UNCONVERTED.format(name=crd.metadata.name)
    yield UPGRADE.format(namespace=found.namespace)
