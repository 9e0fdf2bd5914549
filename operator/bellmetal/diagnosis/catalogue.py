"""What each cause means, which object to edit, what to type. docs/troubleshooting.md is made of it.

A code is the reason in a Service's condition wherever there is one, so that what `explain` says
and what a condition says are one word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bellmetal.explanation import Cause
from bellmetal.facts import DoubtKind
from bellmetal.intents import RefusedReason, WithheldReason

OTHER_CLASS = "OtherClass"
NOT_LOAD_BALANCER = "NotLoadBalancer"
ENDING = "ServiceEnding"
NO_LEADER = "NoLeader"
BEHIND = "ControllerBehind"
RIVAL = "RivalController"
ORPHANED = "AddressOrphaned"
INVALID = "InvalidConfiguration"
ODD_ANNOTATION = "UnknownAnnotation"
NO_SPEAKER = "SpeakerMissing"
NOT_READY = "NodeNotReady"
NOT_CLAIMED = "NotAnswering"
OWNER_INTERFACE = "OwnerWithoutInterface"
SPLIT = "MembersUnheard"
NOT_STRICT = "StrictARPOff"
MOVES = "OwnerMovesOften"
NO_PROXY = "KubeProxyUnhealthy"
NOT_SERVED = "NotServedOnNode"
NOT_FORWARDING = "ForwardingOff"
STRICT_RETURN = "ReversePathFilter"
NOT_SENT = "RouteNotSent"
NODE_EXCLUDED = "NodeExcluded"
CONFLICT = DoubtKind.HELD.reason
OTHER_NODE = DoubtKind.OTHER_NODE.reason
UNSEEN = DoubtKind.UNSEEN.reason


@dataclass(frozen=True, slots=True)
class Advice:
    """A cause in general. Names in braces are filled in where they are known."""

    title: str
    meaning: str
    edit: str = ""
    command: str = ""


_POOLS = "kubectl get ipaddresspools -n {system} -o yaml"
_DESCRIBE = "kubectl describe service -n {namespace} {name}"
_SPEAKER_LOGS = (
    "kubectl logs -n {system} --tail=50 $(kubectl get pods -n {system} -l component=speaker"
    " --field-selector spec.nodeName={node} -o name)"
)
_R, _W = RefusedReason, WithheldReason

CATALOGUE: Mapping[str, Advice] = {
    # --- the claim -------------------------------------------------------------------------------
    NOT_LOAD_BALANCER: Advice(
        "The Service is of another type",
        "Only Services of type LoadBalancer get an address.",
        "Service/{name} spec.type",
        'kubectl patch service -n {namespace} {name} -p \'{"spec":{"type":"LoadBalancer"}}\'',
    ),
    OTHER_CLASS: Advice(
        "The Service is for another load balancer",
        "The Service's spec.loadBalancerClass and the class that this installation serves differ:"
        " whoever serves that class has to act. The field cannot be changed: the Service has to be"
        " made anew, or the chart's value loadBalancerClass set.",
        "Service/{name} spec.loadBalancerClass, or the chart's value loadBalancerClass",
        "kubectl get service -n {namespace} {name} -o jsonpath='{.spec.loadBalancerClass}'",
    ),
    ENDING: Advice(
        "The Service is being deleted",
        "Somebody has deleted the Service, and one of its finalizers waits: its addresses are"
        " given back already.",
        "Service/{name} metadata.finalizers",
        "kubectl get service -n {namespace} {name} -o jsonpath='{.metadata.finalizers}'",
    ),
    NO_LEADER: Advice(
        "No controller decides",
        "No controller has renewed its Lease: none runs, none reaches the API server, or none has"
        " the right to. What speakers announce stays as it is; nothing new gets an address.",
        "Deployment of the controller",
        "kubectl get pods -n {system} -l component=controller; kubectl get lease -n {system}"
        " bellmetal-controller",
    ),
    BEHIND: Advice(
        "The Service does not show what is decided",
        "What the controller would decide now is not in the Service's status. For a moment after a"
        " change that is as it should be; if it stays, the controller has an error (its log says"
        " which), or somebody else writes the status.",
        "",
        "kubectl logs -n {system} -l component=controller --tail=50",
    ),
    INVALID: Advice(
        "Configuration is invalid",
        "An object does not mean anything that can be done, so it counts for no new decision; what"
        " stands on it stays.",
        "{object}",
        "kubectl get configurationstates -n {system} -o yaml",
    ),
    ODD_ANNOTATION: Advice(
        "An annotation of the Service means nothing",
        "It is unknown or its value cannot be read: it counts for nothing, and the rest of the"
        " Service is served.",
        "{object}",
        _DESCRIBE,
    ),
    RIVAL: Advice(
        "Another controller writes the Service's status",
        "Two load balancers want the same Service (k3s' ServiceLB, a cloud's controller, kube-vip,"
        " MetalLB, Cilium). The address flips between them until one is switched off, or Services"
        " are told apart by their class.",
        "the other controller, or Service/{name} spec.loadBalancerClass",
        "kubectl get service -n {namespace} {name} -o yaml --show-managed-fields",
    ),
    ORPHANED: Advice(
        "The address is in no pool any more",
        "A pool was changed, and what was given out of it stays with its Service until somebody"
        " renumbers it. It is announced as long as an advertisement selects its pool.",
        "the IPAddressPool, or the Service: an annotation metallb.io/loadBalancerIPs",
        "bellmetal explain pool {pool}",
    ),
    # --- the pool --------------------------------------------------------------------------------
    _R.NO_POOL.value: Advice(
        "There is no pool",
        "No IPAddressPool is in the namespace of the controller. Objects of other namespaces do"
        " not count.",
        "an IPAddressPool in {system}",
        "kubectl get ipaddresspools --all-namespaces",
    ),
    _R.NO_POOL_OPEN.value: Advice(
        "No pool gives addresses to this Service by itself",
        "Every pool has autoAssign false, is for other namespaces or labels"
        " (spec.serviceAllocation), is invalid or draining.",
        "IPAddressPool spec.autoAssign or spec.serviceAllocation; or the Service: the annotation"
        " metallb.io/address-pool",
        _POOLS,
    ),
    _R.NO_FAMILY.value: Advice(
        "No pool has addresses of that family",
        "The Service wants IPv4 or IPv6 (spec.ipFamilies, spec.ipFamilyPolicy) and no pool that is"
        " open to it has any. With RequireDualStack it waits until both are there; PreferDualStack"
        " takes what there is.",
        "IPAddressPool spec.addresses, or Service/{name} spec.ipFamilyPolicy",
        _POOLS,
    ),
    _R.NO_ADDRESS_LEFT.value: Advice(
        "The pool is used up",
        "Every address that the Service may have is in use, reserved or cooling down. It gets one"
        " as soon as one is free, the oldest Service first.",
        "IPAddressPool spec.addresses, or a Service that needs its address no more",
        "bellmetal status addresses --pool {pool}",
    ),
    _R.UNKNOWN_POOL.value: Advice(
        "It asks for a pool that does not exist",
        "The annotation metallb.io/address-pool names no IPAddressPool.",
        "Service/{name} metadata.annotations, or the IPAddressPool",
        "kubectl get ipaddresspools -n {system}",
    ),
    _R.POOL_NOT_COMPATIBLE.value: Advice(
        "It asks for a pool that is for others",
        "The pool's spec.serviceAllocation has other namespaces or labels. An explicit request"
        " does not open it.",
        "IPAddressPool spec.serviceAllocation, or Service/{name} metadata.annotations",
        _POOLS,
    ),
    _R.ADDRESS_NOT_IN_POOLS.value: Advice(
        "It asks for an address of no pool",
        "The requested address is in no IPAddressPool, or excluded there.",
        "Service/{name} metadata.annotations or spec.loadBalancerIP; or IPAddressPool"
        " spec.addresses",
        _POOLS,
    ),
    _R.ADDRESS_TAKEN.value: Advice(
        "It asks for an address that another has",
        "An address is for one Service, unless all of its Services have the same annotation"
        " metallb.io/allow-shared-ip.",
        "Service/{name} metadata.annotations",
        "bellmetal status addresses",
    ),
    _R.SHARING.value: Advice(
        "It may not share that address",
        "Services share an address if they have the same key (annotation"
        " metallb.io/allow-shared-ip), other ports, and either all externalTrafficPolicy Cluster or"
        " all the same selector.",
        "Service/{name} metadata.annotations and spec.externalTrafficPolicy",
        _DESCRIBE,
    ),
    _R.PORT_IN_USE.value: Advice(
        "A port of the shared address is taken",
        "Services that share an address need different ports (protocol and number).",
        "Service/{name} spec.ports",
        _DESCRIBE,
    ),
    _R.RESERVED.value: Advice(
        "The address is reserved for another Service",
        "The pool's annotation bellmetal.io/reserve keeps it.",
        "IPAddressPool/{pool} metadata.annotations",
        _POOLS,
    ),
    _R.QUOTA.value: Advice(
        "The namespace has as many addresses as it may",
        "The namespace's annotation bellmetal.io/address-quota says how many it may have.",
        "Namespace/{namespace} metadata.annotations",
        "kubectl get services -n {namespace}",
    ),
    _R.BAD_REQUEST.value: Advice(
        "What the Service asks for cannot be understood",
        "An annotation or field of the Service is malformed or contradicts another one.",
        "Service/{name} metadata.annotations and spec.loadBalancerIP",
        _DESCRIBE,
    ),
    _R.FAMILY_MISMATCH.value: Advice(
        "The requested addresses are not of the Service's families",
        "A Service with IPv4 cluster IPs needs an IPv4 address, and so on.",
        "Service/{name} metadata.annotations or spec.ipFamilies",
        _DESCRIBE,
    ),
    _R.NOT_ENOUGH_CLUSTER_IPS.value: Advice(
        "The Service requires two families and the cluster gave it one",
        "spec.ipFamilyPolicy is RequireDualStack, but the cluster is not dual stack: it has one"
        " cluster IP.",
        "Service/{name} spec.ipFamilyPolicy",
        "kubectl get service -n {namespace} {name} -o jsonpath='{.spec.clusterIPs}'",
    ),
    _R.POOL_INVALID.value: Advice(
        "The pool is invalid",
        "Its object has an error, so it gives nothing new; what was given out of it stays.",
        "IPAddressPool/{pool}",
        "kubectl describe ipaddresspool -n {system} {pool}",
    ),
    _R.POOL_DRAINING.value: Advice(
        "The pool is draining",
        "The annotation bellmetal.io/drain on the pool: it gives no new addresses.",
        "IPAddressPool/{pool} metadata.annotations",
        "kubectl annotate ipaddresspool -n {system} {pool} bellmetal.io/drain-",
    ),
    # --- the advertisement, the nodes, the endpoints ---------------------------------------------
    _W.NO_ADVERTISEMENT.value: Advice(
        "No advertisement selects the address",
        "An address is announced only if an L2Advertisement or a BGPAdvertisement in the"
        " controller's namespace selects its pool (by name or label; none named: all) and the"
        " Service's labels.",
        "L2Advertisement or BGPAdvertisement spec.ipAddressPools, spec.ipAddressPoolSelectors,"
        " spec.serviceSelectors",
        "kubectl get l2advertisements,bgpadvertisements -n {system}",
    ),
    _W.CONFLICT.value: Advice(
        "Advertisements contradict each other",
        "Two BGPAdvertisements give one prefix different local preferences on one node.",
        "BGPAdvertisement spec.localPref, spec.nodeSelectors or spec.peers",
        "kubectl get bgpadvertisements -n {system} -o yaml",
    ),
    _W.EXCLUDED.value: Advice(
        "Every node is excluded by its label",
        "kubeadm and others label control-plane nodes"
        " node.kubernetes.io/exclude-from-external-load-balancers; where these are all there are,"
        " nobody may announce.",
        "Node metadata.labels, or the chart's value speaker.ignoreExcludeLB",
        "kubectl label nodes --all node.kubernetes.io/exclude-from-external-load-balancers-",
    ),
    _W.NO_NETWORK.value: Advice(
        "No node has network",
        "The nodes have the condition NetworkUnavailable: the CNI has not set up their network.",
        "the CNI plugin's DaemonSet",
        "kubectl describe nodes | grep -A8 ^Conditions",
    ),
    _W.NO_NODES.value: Advice(
        "No node may announce it",
        "The advertisement's nodeSelectors, the labels and conditions of the nodes leave nobody.",
        "L2Advertisement or BGPAdvertisement spec.nodeSelectors",
        "kubectl get nodes --show-labels",
    ),
    _W.NO_INTERFACE.value: Advice(
        "No node has an interface for it",
        "On layer 2 a node answers on an interface that is in the address's subnet if any node has"
        " one, that spec.interfaces selects, and that is up (IPv6: with a link-local address).",
        "L2Advertisement spec.interfaces, or the annotation bellmetal.io/any-subnet",
        "kubectl get speakerreports -n {system} -o yaml",
    ),
    _W.NO_ENDPOINTS.value: Advice(
        "Nothing serves the Service",
        "No endpoint is ready: the selector matches no pod, or the pods are not ready. An address"
        " with nothing behind it is not announced.",
        "Service/{name} spec.selector, or the pods' readiness",
        "kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={name}",
    ),
    _W.NO_LOCAL_ENDPOINTS.value: Advice(
        "No node that may announce it has an endpoint of it",
        "With externalTrafficPolicy Local a node announces only what it serves itself, and the"
        " nodes with endpoints are not among those that may. Endpoints without a nodeName do not"
        " count.",
        "Service/{name} spec.externalTrafficPolicy, or the advertisement's spec.nodeSelectors",
        "kubectl get pods -n {namespace} -o wide; kubectl get endpointslices -n {namespace} -l"
        " kubernetes.io/service-name={name} -o yaml",
    ),
    _W.NO_PEERS.value: Advice(
        "No BGP peer hears of it",
        "No BGPPeer has a session with a node that may announce it, the advertisement's spec.peers"
        " names others, or sessions are of the other address family.",
        "BGPAdvertisement spec.peers, BGPPeer spec.nodeSelectors or spec.dualStackAddressFamily",
        "bellmetal status bgp",
    ),
    # --- the owner, the sessions -----------------------------------------------------------------
    NO_SPEAKER: Advice(
        "No speaker runs on the node",
        "The speaker's pod is not there or not ready: a taint that it does not tolerate, an image"
        " that is not pulled, Pod Security that refuses it.",
        "the chart's value speaker.tolerations, or the namespace's label"
        " pod-security.kubernetes.io/enforce=privileged",
        "kubectl get pods -n {system} -l component=speaker -o wide; kubectl describe daemonset -n"
        " {system}",
    ),
    NODE_EXCLUDED: Advice(
        "The node is excluded by its label",
        "It has the label node.kubernetes.io/exclude-from-external-load-balancers, as control-plane"
        " nodes often have: others announce.",
        "Node/{node} metadata.labels, or the chart's value speaker.ignoreExcludeLB",
        "kubectl label node {node} node.kubernetes.io/exclude-from-external-load-balancers-",
    ),
    NOT_READY: Advice(
        "The node is not ready",
        "The API server says that the node is not ready; if another may own the address, it has"
        " taken over or will within a second.",
        "Node/{node}",
        "kubectl describe node {node}",
    ),
    NOT_CLAIMED: Advice(
        "The owner does not answer yet",
        "The controller has named an owner and its speaker does not say that it answers: it has not"
        " read the slice yet, waits for the node that had it, or cannot.",
        "",
        _SPEAKER_LOGS,
    ),
    OWNER_INTERFACE: Advice(
        "The owner has no interface for it",
        "The owner's speaker reports that it cannot answer: no interface that is up is selected,"
        " or none is in the subnet.",
        "L2Advertisement spec.interfaces or spec.nodeSelectors",
        "kubectl get speakerreport -n {system} {node} -o yaml",
    ),
    NOT_SENT: Advice(
        "The route was not sent",
        "Sessions are established, and none of them reports that it has sent the route: the peer"
        " takes no more prefixes (bellmetal.io/max-prefixes), the session carries the other family,"
        " or the node drains.",
        "BGPAdvertisement spec.peers and spec.nodeSelectors",
        "bellmetal status bgp",
    ),
    MOVES: Advice(
        "The address changes nodes often",
        "Each move breaks its connections. The reasons of the last moves are in the evidence: a"
        " node that comes and goes, endpoints that flap, a link that goes down.",
        "",
        "bellmetal explain node {node}",
    ),
    SPLIT: Advice(
        "Speakers do not hear each other",
        "TCP and UDP port 7946 and the link-local beacon have to pass between the nodes. Where they"
        " do not, two nodes may answer for one address until they hear each other.",
        "the firewalls of the nodes, or the CNI's host policies",
        "nc -vz {node} 7946",
    ),
    # --- the LAN ---------------------------------------------------------------------------------
    NOT_STRICT: Advice(
        "kube-proxy is in IPVS mode without strict ARP",
        "With IPVS every node has every address on kube-ipvs0 and its kernel answers ARP for it, so"
        " clients reach any node, and another one after each ARP time-out.",
        "ConfigMap/kube-proxy in kube-system: ipvs.strictARP true",
        "kubectl edit configmap -n kube-system kube-proxy; kubectl rollout restart -n kube-system"
        " daemonset kube-proxy",
    ),
    CONFLICT: Advice(
        "A foreign device has the address",
        "A device that is no node of this cluster answers for it: a DHCP server gave it away,"
        " somebody configured it, or another cluster has the same pool.",
        "IPAddressPool spec.addresses, the annotation bellmetal.io/exclude; or the device",
        "ip neigh show {address}; arping -I IFACE -c 3 {address}",
    ),
    OTHER_NODE: Advice(
        "A node that does not own the address answers for it",
        "Its kernel does: the address is on one of its interfaces (kube-ipvs0 without strict ARP,"
        " kube-vip, a hand-made alias), or its interface answers for others (proxy ARP).",
        "the node's interfaces, or kube-proxy's ipvs.strictARP",
        "ip -brief address | grep {address}; sysctl net.ipv4.conf.all.arp_ignore",
    ),
    UNSEEN: Advice(
        "Nobody answers for the address on the LAN",
        "The owner says that it answers, and another node that asks gets no reply: ARP or NDP does"
        " not pass. Wi-Fi and bridges that filter broadcast, hypervisors that drop frames for"
        " addresses that they do not know (OpenStack port security, VMware, most clouds), VLANs.",
        "the switch, the hypervisor's port (allowed address pairs, promiscuous mode), or"
        " L2Advertisement spec.interfaces",
        "tcpdump -eni IFACE arp host {address}",
    ),
    # --- the node's data path --------------------------------------------------------------------
    NO_PROXY: Advice(
        "kube-proxy is not well on the node",
        "Packets that reach the owner are taken to pods by kube-proxy (or the CNI that replaces"
        " it). On this node it says that it is not healthy.",
        "DaemonSet/kube-proxy in kube-system",
        "kubectl get pods -n kube-system -l k8s-app=kube-proxy -o wide",
    ),
    NOT_SERVED: Advice(
        "The node does not take the address to a pod",
        "The node answers for the address, and a connection from it is refused or gets no reply:"
        " kube-proxy has no rule for it (it does not run, another hostname than its Node, the"
        " address came too recently), FORWARD drops, or the pod does not answer.",
        "Service spec.ports (targetPort), the pods, kube-proxy or the CNI",
        "curl -v --connect-timeout 2 http://{address}:{port}/",
    ),
    NOT_FORWARDING: Advice(
        "The node forwards no packets",
        "net.ipv4.ip_forward (or the one of IPv6) is 0 on the node, so what comes for a pod of"
        " another node is dropped.",
        "the node's sysctl settings",
        "sysctl -w net.ipv4.ip_forward=1",
    ),
    STRICT_RETURN: Advice(
        "Answers would leave by another interface, and the kernel drops the questions",
        "rp_filter is 1 (strict) on the interface that requests arrive on, and the route back to"
        " the client leads elsewhere: with several interfaces or VRFs the node drops the request"
        " without a word.",
        "the node's sysctl settings, or its routes",
        "sysctl -w net.ipv4.conf.all.rp_filter=2; ip route get CLIENT",
    ),
}


def cause(code: str, sentence: str, evidence: Iterable[str] = (), **names: str) -> Cause:
    """A cause with the catalogue's advice; ``names`` fill in its blanks."""
    advice = CATALOGUE[code]
    return Cause(
        code,
        sentence,
        tuple(evidence),
        edit=_fill(advice.edit, names),
        command=_fill(advice.command, names),
    )


def _fill(text: str, names: Mapping[str, str]) -> str:
    """Braces of commands (JSON, JSONPath) stay as they are."""
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    return text
