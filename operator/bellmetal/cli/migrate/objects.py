"""The objects of an installation that only a move-in looks at, as typed structs.

May live here: structs that mirror JSON. May not: what they mean (`installation.py`, `releases.py`).
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from bellmetal.resources import Json, LabelSelector, Object


class EnvVar(Json, frozen=True):
    """v1.EnvVar, where it has a value."""

    name: str = ""
    value: str = ""


class Container(Json, frozen=True):
    """v1.Container, as far as we look at it."""

    name: str = ""
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvVar] | None = None


class PodSpec(Json, frozen=True):
    """v1.PodSpec of a template; its affinity stays as it came."""

    containers: list[Container] = field(default_factory=list)
    affinity: dict[str, Any] | None = None


class PodTemplate(Json, frozen=True):
    """v1.PodTemplateSpec."""

    spec: PodSpec = PodSpec()


class WorkloadSpec(Json, frozen=True):
    """The spec of a Deployment or DaemonSet."""

    replicas: int | None = None
    selector: LabelSelector = LabelSelector()
    update_strategy: dict[str, Any] | None = None
    template: PodTemplate = PodTemplate()


class WorkloadStatus(Json, frozen=True):
    """The status of either."""

    observed_generation: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0


class Workload(Object, frozen=True):
    """apps/v1 Deployment or DaemonSet."""

    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class CRDVersion(Json, frozen=True):
    """A version of a CustomResourceDefinition."""

    name: str = ""
    served: bool = False


class CRDNames(Json, frozen=True):
    """The names of its kind."""

    kind: str = ""
    plural: str = ""


class CRDConversion(Json, frozen=True):
    """How its versions become each other."""

    strategy: str = ""


class CRDSpec(Json, frozen=True):
    """apiextensions.k8s.io/v1 CustomResourceDefinitionSpec."""

    group: str = ""
    names: CRDNames = CRDNames()
    versions: list[CRDVersion] = field(default_factory=list)
    conversion: CRDConversion | None = None


class CRDStatus(Json, frozen=True):
    """Its status."""

    stored_versions: list[str] | None = None


class CRD(Object, frozen=True):
    """apiextensions.k8s.io/v1 CustomResourceDefinition."""

    spec: CRDSpec = CRDSpec()
    status: CRDStatus = CRDStatus()


class ReleaseData(Json, frozen=True):
    """Helm's own data of a release; it may have passwords in it, so it is never shown."""

    release: str = ""

    def __repr__(self) -> str:
        return "ReleaseData(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class ReleaseSecret(Object, frozen=True):
    """v1.Secret sh.helm.release.v1.NAME.vN."""

    type: str = ""
    data: ReleaseData | None = None


class ChartMetadata(Json, frozen=True):
    """Chart.yaml, as a release has it."""

    name: str = ""
    version: str = ""


class ReleaseChart(Json, frozen=True):
    """The chart of a release."""

    metadata: ChartMetadata = ChartMetadata()


class ReleaseInfo(Json, frozen=True):
    """How a release is."""

    status: str = ""


class Release(Json, frozen=True, rename=None):
    """A decoded release of Helm: its manifest is what an uninstall deletes."""

    name: str = ""
    namespace: str = ""
    version: int = 0
    chart: ReleaseChart = ReleaseChart()
    info: ReleaseInfo = ReleaseInfo()
    manifest: str = ""

    def __repr__(self) -> str:
        return f"Release({self.namespace}/{self.name} v{self.version})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name)]


class FRRRaw(Json, frozen=True):
    """frrk8s.metallb.io FRRConfiguration spec.raw."""

    raw_config: str = ""


class FRRSpec(Json, frozen=True):
    """FRRConfiguration spec, as far as we look at it."""

    raw: FRRRaw | None = None


class FRRConfiguration(Object, frozen=True):
    """frrk8s.metallb.io/v1beta1 FRRConfiguration."""

    spec: FRRSpec = FRRSpec()
