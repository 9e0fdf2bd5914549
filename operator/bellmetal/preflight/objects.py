"""Objects of the cluster around us, as typed structs: what `preflight` alone looks at.

May live here: structs that mirror JSON, as in `resources.py`; controllers and speakers never load
them. May not: judgement.
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from bellmetal.resources import Json, Object

# --- CustomResourceDefinitions -------------------------------------------------------------------


class Schema(Json, frozen=True):
    """apiextensions.k8s.io/v1 CustomResourceValidation; the schema itself stays as it came."""

    open_api: dict[str, Any] = field(name="openAPIV3Schema", default_factory=dict)


class DefinedVersion(Json, frozen=True):
    """CustomResourceDefinition spec.versions[]."""

    name: str = ""
    served: bool = False
    schema: Schema = Schema()


class ServiceOf(Json, frozen=True):
    """A webhook's Service."""

    namespace: str = ""
    name: str = ""


class WebhookClient(Json, frozen=True):
    """WebhookClientConfig."""

    service: ServiceOf | None = None
    url: str = ""


class ConversionWebhook(Json, frozen=True):
    """CustomResourceDefinition spec.conversion.webhook."""

    client_config: WebhookClient = WebhookClient()


class Conversion(Json, frozen=True):
    """CustomResourceDefinition spec.conversion."""

    strategy: str = "None"
    webhook: ConversionWebhook | None = None


class DefinitionSpec(Json, frozen=True):
    """CustomResourceDefinitionSpec."""

    versions: list[DefinedVersion] = field(default_factory=list)
    conversion: Conversion = Conversion()


class StatusCondition(Json, frozen=True):
    """A condition, as most kinds have them."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class DefinitionStatus(Json, frozen=True):
    """CustomResourceDefinitionStatus; null until somebody has looked at it."""

    conditions: list[StatusCondition] | None = None


class Definition(Object, frozen=True):
    """apiextensions.k8s.io/v1 CustomResourceDefinition."""

    spec: DefinitionSpec = DefinitionSpec()
    status: DefinitionStatus = DefinitionStatus()


class Webhook(Json, frozen=True):
    """ValidatingWebhookConfiguration webhooks[]."""

    name: str = ""
    failure_policy: str = ""
    client_config: WebhookClient = WebhookClient()


class WebhookConfiguration(Object, frozen=True):
    """admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration."""

    webhooks: list[Webhook] = field(default_factory=list)


# --- workloads -----------------------------------------------------------------------------------


class EnvVar(Json, frozen=True):
    """v1.EnvVar, with a plain value."""

    name: str = ""
    value: str = ""


class Container(Json, frozen=True):
    """v1.Container."""

    name: str = ""
    image: str = ""
    command: list[str] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    env: list[EnvVar] = field(default_factory=list)


class Toleration(Json, frozen=True):
    """v1.Toleration."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


class PodSpec(Json, frozen=True):
    """v1.PodSpec."""

    node_name: str = ""
    service_account_name: str = "default"
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: list[Toleration] = field(default_factory=list)
    affinity: dict[str, Any] | None = None
    containers: list[Container] = field(default_factory=list)


class Waiting(Json, frozen=True):
    """v1.ContainerStateWaiting."""

    reason: str = ""
    message: str = ""


class ContainerState(Json, frozen=True):
    """v1.ContainerState."""

    waiting: Waiting | None = None


class ContainerStatus(Json, frozen=True):
    """v1.ContainerStatus."""

    name: str = ""
    restart_count: int = 0
    state: ContainerState = ContainerState()


class PodStatus(Json, frozen=True):
    """v1.PodStatus."""

    phase: str = ""
    conditions: list[StatusCondition] = field(default_factory=list)
    container_statuses: list[ContainerStatus] = field(default_factory=list)


class Pod(Object, frozen=True):
    """v1.Pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ready(self) -> bool:
        """Whether its condition Ready is true."""
        return any(one.type == "Ready" and one.status == "True" for one in self.status.conditions)


class Template(Json, frozen=True):
    """v1.PodTemplateSpec."""

    spec: PodSpec = PodSpec()


class WorkloadSpec(Json, frozen=True):
    """DeploymentSpec and DaemonSetSpec."""

    replicas: int = 1
    template: Template = Template()


class WorkloadStatus(Json, frozen=True):
    """DeploymentStatus and DaemonSetStatus."""

    ready_replicas: int = 0
    conditions: list[StatusCondition] = field(default_factory=list)


class Workload(Object, frozen=True):
    """apps/v1 Deployment or DaemonSet; or a pod that a node's own manifest made (`of_pod`)."""

    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    @property
    def containers(self) -> list[Container]:
        """Those of its pods."""
        return self.spec.template.spec.containers


def of_pod(pod: Pod) -> Workload:
    """What runs it, as far as anybody knows: itself."""
    template = Template(pod.spec)
    return Workload(kind="Pod", metadata=pod.metadata, spec=WorkloadSpec(1, template))


# --- nodes ---------------------------------------------------------------------------------------


class Taint(Json, frozen=True):
    """v1.Taint."""

    key: str = ""
    value: str = ""
    effect: str = ""

    def __str__(self) -> str:
        return f"{self.key}{'=' + self.value if self.value else ''}:{self.effect}"


class NodeSpec(Json, frozen=True):
    """v1.NodeSpec."""

    pod_cidr: str = field(name="podCIDR", default="")
    pod_cidrs: list[str] = field(name="podCIDRs", default_factory=list)
    taints: list[Taint] = field(default_factory=list)


class NodeAddress(Json, frozen=True):
    """v1.NodeAddress."""

    type: str = ""
    address: str = ""


class NodeInfo(Json, frozen=True):
    """v1.NodeSystemInfo."""

    kernel_version: str = ""


class NodeStatus(Json, frozen=True):
    """v1.NodeStatus."""

    conditions: list[StatusCondition] = field(default_factory=list)
    addresses: list[NodeAddress] = field(default_factory=list)
    node_info: NodeInfo = NodeInfo()


class Node(Object, frozen=True):
    """v1.Node."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    @property
    def ready(self) -> bool:
        """Whether its condition Ready is true; unknown is not."""
        return any(one.type == "Ready" and one.status == "True" for one in self.status.conditions)


# --- networks ------------------------------------------------------------------------------------


class ConfigMap(Object, frozen=True):
    """v1.ConfigMap."""

    data: dict[str, str] = field(default_factory=dict)


class CIDRsSpec(Json, frozen=True):
    """networking.k8s.io/v1 ServiceCIDRSpec."""

    cidrs: list[str] = field(default_factory=list)


class ServiceCIDR(Object, frozen=True):
    """networking.k8s.io/v1 ServiceCIDR."""

    spec: CIDRsSpec = CIDRsSpec()


class CiliumPoolSpec(Json, frozen=True):
    """cilium.io CiliumLoadBalancerIPPool spec."""

    disabled: bool = False


class CiliumPool(Object, frozen=True):
    """cilium.io CiliumLoadBalancerIPPool."""

    spec: CiliumPoolSpec = CiliumPoolSpec()


class CiliumPolicySpec(Json, frozen=True):
    """cilium.io CiliumL2AnnouncementPolicy spec."""

    load_balancer_ips: bool = field(name="loadBalancerIPs", default=False)


class CiliumPolicy(Object, frozen=True):
    """cilium.io CiliumL2AnnouncementPolicy."""

    spec: CiliumPolicySpec = CiliumPolicySpec()


class CalicoBlock(Json, frozen=True):
    """BGPConfiguration spec.serviceLoadBalancerIPs[]."""

    cidr: str = ""


class CalicoBGPSpec(Json, frozen=True):
    """Calico's BGPConfiguration spec."""

    service_load_balancer_ips: list[CalicoBlock] = field(
        name="serviceLoadBalancerIPs", default_factory=list
    )


class CalicoBGP(Object, frozen=True):
    """crd.projectcalico.org BGPConfiguration."""

    spec: CalicoBGPSpec = CalicoBGPSpec()
