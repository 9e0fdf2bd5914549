"""What `preflight` is to find in an installation: others too; one change each where all is well."""

from __future__ import annotations

from typing import Any

from bellmetal import __version__
from bellmetal.preflight import discovery, objects
from bellmetal.preflight.codes import Code
from bellmetal.preflight.seen import Unread
from builders import metadata
from preflight_faults import (
    DEPLOYMENT,
    calico_node,
    changed_crd,
    converted,
    labelled_controllers,
    metallb,
    no_pod_on_n3,
    not_served,
    of_release,
    others,
    refused,
    speaker_on_n3,
    webhook,
    with_field,
    without_field,
)
from preflight_scene import (
    OWN,
    container,
    controllers,
    lease,
    namespace,
    pod,
    well,
    workload,
)

# what is otherwise; what is found: code, object, sentence
CASES: list[tuple[dict[str, Any], Code, str, str]] = [
    # --- the cluster
    (
        {"server": discovery.Version("1", "30+", "v1.30.9+k3s1")},
        Code.SERVER_TOO_OLD,
        "the API server",
        "it is v1.30.9+k3s1; Bellmetal needs 1.31 or newer",
    ),
    (
        {"deployments": (controllers(), controllers(namespace="other"))},
        Code.TWICE,
        "Deployment/other/bellmetal-controller",
        "another Bellmetal serves those without a loadBalancerClass, as this one does",
    ),
    (
        {"unread": {"cilium_pools": Unread("alice may not list x", "x", "list")}},
        Code.NOT_READ,
        "x",
        "alice may not list x",
    ),
    (
        {"unread": {"service_cidrs": Unread("nobody says", "servicecidrs", unknowable=True)}},
        Code.NOT_KNOWN,
        "servicecidrs",
        "nobody says",
    ),
    # --- CRDs
    (
        {"crds": {**well().crds, "communities.metallb.io": None}},
        Code.CRD_MISSING,
        "CustomResourceDefinition/communities.metallb.io",
        "the cluster does not know communities.metallb.io (12 of 13 kinds are there)",
    ),
    (
        without_field("l2advertisements.metallb.io", "preferredNodeSelectors"),
        Code.CRD_INCOMPLETE,
        "CustomResourceDefinition/l2advertisements.metallb.io",
        "v1beta1 lacks spec.preferredNodeSelectors: what is written there is dropped",
    ),
    (
        without_field("ipaddresspools.metallb.io", "serviceAllocation", "priority"),
        Code.CRD_INCOMPLETE,
        "CustomResourceDefinition/ipaddresspools.metallb.io",
        "v1beta1 lacks spec.serviceAllocation.priority: what is written there is dropped",
    ),
    (
        not_served("bgppeers.metallb.io"),
        Code.CRD_NOT_SERVED,
        "CustomResourceDefinition/bgppeers.metallb.io",
        "the version v1beta2 that we use is not served; served: v1",
    ),
    (
        with_field("announcementslices.bellmetal.io", "invented"),
        Code.CRD_NEWER,
        "CustomResourceDefinition/announcementslices.bellmetal.io",
        "it has spec.invented, which this program does not know",
    ),
    (
        changed_crd(
            "bfdprofiles.metallb.io",
            metadata=metadata("x", deletion_timestamp="2026-06-01T11:00:00Z"),
        ),
        Code.CRD_NOT_READY,
        "CustomResourceDefinition/bfdprofiles.metallb.io",
        "it is being deleted since 2026-06-01T11:00:00Z, with all its objects",
    ),
    (
        changed_crd(
            "bfdprofiles.metallb.io",
            status=objects.DefinitionStatus(
                [objects.StatusCondition("NamesAccepted", "False", "", "bfd is taken")]
            ),
        ),
        Code.CRD_NOT_READY,
        "CustomResourceDefinition/bfdprofiles.metallb.io",
        "NamesAccepted is False: bfd is taken",
    ),
    (
        of_release("bgppeers.metallb.io", "metallb"),
        Code.CRD_OF_OTHER,
        "CustomResourceDefinition/bgppeers.metallb.io",
        "Helm release metallb of namespace metallb-system owns bgppeers.metallb.io: another release"
        " may not change them",
    ),
    (
        converted("bgppeers.metallb.io"),
        Code.CRD_CONVERSION,
        "CustomResourceDefinition/bgppeers.metallb.io",
        "its objects are converted by a webhook, Service metallb-system/metallb-webhook-service,"
        " and MetalLB does not run",
    ),
    (
        {"webhook": webhook("Fail")},
        Code.WEBHOOK_LEFT,
        "ValidatingWebhookConfiguration/metallb-webhook-configuration",
        "1 webhooks must agree to every change of configuration, by Service"
        " metallb-system/metallb-webhook-service, and MetalLB does not run: nothing can be applied",
    ),
    # --- rights
    (
        {"refused_user": refused("move", ("patch", "", "services"), ("get", "", "services"))},
        Code.USER_LACKS,
        "User/alice",
        "bellmetal move needs to patch, get services",
    ),
    (
        {"refused_programs": refused("speaker", ("patch", "metallb.io", "bgppeers/status"))},
        Code.PROGRAM_LACKS,
        f"ServiceAccount/{OWN}/bellmetal-speaker",
        "the speaker may not patch bgppeers.metallb.io/status",
    ),
    # --- programs
    (
        {"own_namespace": namespace(enforce="restricted")},
        Code.POD_SECURITY,
        f"Namespace/{OWN}",
        "pod-security.kubernetes.io/enforce is restricted, and speakers use the nodes' network and"
        " NET_RAW: their pods are refused",
    ),
    (
        {"own_namespace": namespace()},
        Code.NO_POD_SECURITY,
        f"Namespace/{OWN}",
        "it has no label pod-security.kubernetes.io/enforce: where the cluster enforces more by"
        " default, speakers are refused",
    ),
    (
        {"deployments": ()},
        Code.NO_CONTROLLER,
        f"Namespace/{OWN}",
        "there is no Deployment of controllers: nobody gives Services addresses",
    ),
    (
        {
            "pods": (
                pod("controller-1", "controller", "n1"),
                pod("controller-2", "controller", ready=False, waiting=("ErrImagePull", "no")),
                *well().pods[2:],
            )
        },
        Code.FEWER_CONTROLLERS,
        DEPLOYMENT,
        "1 of 2 controllers are ready: ErrImagePull (no)",
    ),
    (
        {"lease": None},
        Code.NO_LEADER,
        f"Lease/{OWN}/bellmetal-controller",
        "no controller leads: nothing is decided",
    ),
    (
        {"lease": lease("l", "controller-1", "2026-06-01T11:58:00.123456Z")},
        Code.NO_LEADER,
        f"Lease/{OWN}/bellmetal-controller",
        "controller-1 led it and has not renewed it for 120 s: nothing is decided",
    ),
    (
        {"lease": lease("l", "laptop")},
        Code.STRANGE_LEADER,
        f"Lease/{OWN}/bellmetal-controller",
        "laptop leads, which is no controller pod of this namespace",
    ),
    (
        {"daemon_sets": (), "pods": well().pods[:2]},
        Code.NO_SPEAKERS,
        f"Namespace/{OWN}",
        "there is no DaemonSet of speakers: nobody announces an address",
    ),
    (
        no_pod_on_n3(objects.Taint("gpu", "yes", "NoSchedule")),
        Code.NODE_TAINTED,
        "Node/n3",
        "it has no speaker: nothing tolerates its taint gpu=yes:NoSchedule",
    ),
    (
        no_pod_on_n3(**{"kubernetes.io/os": "windows"}),
        Code.NODE_NOT_SELECTED,
        "Node/n3",
        "it has no speaker: the DaemonSet's nodeSelector wants kubernetes.io/os=linux",
    ),
    (no_pod_on_n3(), Code.NO_SPEAKER, "Node/n3", "it has no speaker, and nothing forbids it"),
    (
        speaker_on_n3(ready=False, waiting=("CrashLoopBackOff", "back-off 40s")),
        Code.SPEAKER_NOT_READY,
        f"Pod/{OWN}/speaker-n3",
        "the speaker of node n3 is not ready: CrashLoopBackOff (back-off 40s)",
    ),
    (
        {"reports": well().reports[:2]},
        Code.NO_REPORT,
        f"Pod/{OWN}/speaker-n3",
        "the speaker of node n3 is ready, and there is no SpeakerReport/n3",
    ),
    (
        speaker_on_n3(image="bellmetal:0.0.9"),
        Code.IMAGES_DIFFER,
        f"Namespace/{OWN}",
        "different images run: bellmetal:0.0.9: 1 speaker; registry.example/bellmetal:0.1.0: 2"
        " controllers and 2 speakers",
    ),
    (
        {"deployments": (labelled_controllers("9.9.9"),)},
        Code.OTHER_VERSION,
        f"Namespace/{OWN}",
        f"9.9.9 is installed, and this program is {__version__}: it may expect other things",
    ),
    (
        {"has_secret": False},
        Code.NO_SECRET,
        f"Secret/{OWN}/memberlist",
        "it is missing: speakers cannot start; the controller makes it as soon as it leads",
    ),
    # --- rivals
    (
        metallb(),
        Code.METALLB,
        "DaemonSet/metallb/speaker",
        "MetalLB runs (DaemonSet/metallb/speaker): it and Bellmetal write the same Services, and"
        " both answer for their addresses",
    ),
    (
        metallb(mirrored=True),
        Code.METALLB,
        "DaemonSet/metallb/speaker",
        "MetalLB runs (DaemonSet/metallb/speaker): it and Bellmetal write the same Services, and"
        " both answer for their addresses",
    ),
    (
        others(
            "DaemonSet",
            "kube-system/svclb-traefik-1a2b3c4d",
            "rancher/klipper-lb:v0.4.9",
            labels={"svccontroller.k3s.cattle.io/svcname": "traefik"},
        ),
        Code.SERVICE_LB,
        "DaemonSet/kube-system/svclb-traefik-1a2b3c4d",
        "k3s' servicelb gives Services addresses, too: each writes over what the other has written",
    ),
    (
        others(
            "DaemonSet",
            "kube-system/svclb-web",
            "mirror.example:5000/lb:1",
            labels={"svccontroller.k3s.cattle.io/svcname": "web"},
        ),
        Code.SERVICE_LB,
        "DaemonSet/kube-system/svclb-web",
        "k3s' servicelb gives Services addresses, too: each writes over what the other has written",
    ),
    (
        others(
            "DaemonSet",
            "kube-system/kube-vip-ds",
            "ghcr.io/kube-vip/kube-vip:v0.8.9",
            env={"cp_enable": "true", "svc_enable": "true"},
        ),
        Code.OTHER_BALANCER,
        "DaemonSet/kube-system/kube-vip-ds",
        "kube-vip gives Services addresses, too: each writes over what the other has written",
    ),
    (
        others(
            "Deployment",
            "kube-system/hcloud-cloud-controller-manager",
            "docker.io/hetznercloud/hcloud-cloud-controller-manager:v1.23.0",
        ),
        Code.CLOUD_CONTROLLER,
        "Deployment/kube-system/hcloud-cloud-controller-manager",
        "a cloud controller manager gives Services addresses, too: each writes over what the other"
        " has written",
    ),
    (
        {
            "cilium_pools": (
                objects.CiliumPool(metadata=metadata("blue")),
                objects.CiliumPool(metadata=metadata("off"), spec=objects.CiliumPoolSpec(True)),
            )
        },
        Code.CILIUM_POOLS,
        "CiliumLoadBalancerIPPool/blue",
        "Cilium gives Services addresses of blue, too",
    ),
    (
        {
            "cilium_policies": (
                objects.CiliumPolicy(metadata=metadata("lan"), spec=objects.CiliumPolicySpec(True)),
            )
        },
        Code.CILIUM_ANNOUNCES,
        "CiliumL2AnnouncementPolicy/lan",
        "Cilium answers for addresses of Services on layer 2 (lan), whoever gave them: two nodes"
        " then answer for one address",
    ),
    (
        {
            "static_pods": (
                workload(
                    "Pod",
                    "kube-system/kube-vip-n1",
                    container("kube-vip", "kube-vip/kube-vip:v1", env={"svc_enable": "true"}),
                ),
            )
        },
        Code.OTHER_BALANCER,
        "Pod/kube-system/kube-vip-n1",
        "kube-vip gives Services addresses, too: each writes over what the other has written",
    ),
    (
        {
            "calico": (
                objects.CalicoBGP(
                    metadata=metadata("default"),
                    spec=objects.CalicoBGPSpec([objects.CalicoBlock("10.0.0.192/26")]),
                ),
            )
        },
        Code.CALICO_ANNOUNCES,
        "BGPConfiguration/default",
        "spec.serviceLoadBalancerIPs has 10.0.0.192/26, which overlaps with IPAddressPool/main:"
        " Calico announces these addresses from every node, whoever owns them",
    ),
    (
        calico_node(CALICO_NETWORKING_BACKEND="bird"),
        Code.PORT_TAKEN,
        "BGPPeer/tor",
        "it is passive, and on the nodes Calico's BIRD (DaemonSet/calico-system/calico-node)"
        " listens on port 179",
    ),
]
