"""The nodes: excluded, not ready, alone; what their speakers report; what their clocks say."""

from __future__ import annotations

from collections.abc import Iterator

from bellmetal.cluster import Node as NodeNoun
from bellmetal.preflight.codes import Code
from bellmetal.preflight.findings import REPORTED, Check, Finding, Given
from bellmetal.preflight.objects import Node
from bellmetal.preflight.seen import Seen
from bellmetal.preflight.words import MOST, nodes_named

IGNORE_EXCLUDED = "--ignore-exclude-lb"
# A kubelet renews its Lease every 10 s by its own clock, and what we see of it is up to 10 s old:
# the API server's clock minus that time is 0 to 10 s where clocks agree.
BEHIND, AHEAD = 20.0, 2.0


def excluded(seen: Seen) -> Iterator[Finding]:
    """The label that kubeadm gives control-plane nodes."""
    if not seen.nodes or seen.argument("controller", IGNORE_EXCLUDED) is not None:
        return
    names = [node.name for node in seen.nodes if is_excluded(node)]
    todo = f"kubectl label node {' '.join(names[:MOST])} {NodeNoun.EXCLUDED}-"
    if len(names) == len(seen.nodes):
        yield Finding(
            Code.ALL_EXCLUDED,
            f"Node/{names[0]}",
            f"every node has the label {NodeNoun.EXCLUDED}: none may own an address",
            f"{todo}; or the chart's speaker.ignoreExcludeLB=true",
        )
    elif names:
        yield Finding(
            Code.EXCLUDED,
            f"Node/{names[0]}",
            f"the label {NodeNoun.EXCLUDED} is on {nodes_named(names)}: no address is announced"
            " from there",
            f"if it should: {todo}",
        )


def not_ready(seen: Seen) -> Iterator[Finding]:
    """Nodes whose kubelet says so, or says nothing."""
    for node in seen.nodes:
        if not node.ready:
            said = next((one for one in node.status.conditions if one.type == "Ready"), None)
            why = f": {said.reason}, {said.message}" if said and said.message else ""
            sentence = f"it is not ready{why}; it gets no new address"
            todo = f"kubectl describe node {node.name}"
            yield Finding(Code.NOT_READY, f"Node/{node.name}", sentence, todo)


def single(seen: Seen) -> Iterator[Finding]:
    """Nobody to take over, and no place for the second controller."""
    if len(seen.nodes) == 1:
        yield Finding(
            Code.SINGLE,
            f"Node/{seen.nodes[0].name}",
            "it is the only node: if it dies, nobody takes over its addresses",
        )


def reported(seen: Seen) -> Iterator[Finding]:
    """What speakers find wrong by themselves."""
    for report in seen.reports:
        for item in report.status.findings:
            yield Finding(
                Code.DOUBTS,
                f"Node/{report.metadata.name}",
                f"its speaker says {item.code}: {item.message}",
                f"kubectl -n {seen.namespace} get speakerreport {report.metadata.name} -o yaml",
            )


def clocks(seen: Seen) -> Iterator[Finding]:
    """As far as the time at which a kubelet says that it renewed its Lease can tell."""
    ready = {node.name for node in seen.nodes if node.ready}
    for lease in seen.node_leases:
        name, age = lease.metadata.name, seen.age(lease.spec.renew_time)
        if age is None or name not in ready or -AHEAD <= age <= BEHIND:
            continue
        which = f"at least {-age:.0f} s ahead of" if age < 0 else f"about {age:.0f} s behind"
        yield Finding(
            Code.CLOCK,
            f"Node/{name}",
            f"its clock is {which} the API server's, by its Lease (which tells 10 s at best); logs,"
            " events and leaders are then hard to compare",
            "run NTP on it: timedatectl",
        )


LEASES = Given(lambda seen: seen.now and seen.node_leases, "no kubelet has a Lease")
CHECKS = (
    Check("nodes may own addresses", excluded, ("nodes",)),
    Check("all nodes are ready", not_ready, ("nodes",)),
    Check("there is more than one node", single, ("nodes",)),
    Check("no speaker reports anything wrong", reported, ("reports",), (REPORTED,)),
    Check(
        "the clocks of nodes agree with the API server's",
        clocks,
        ("nodes", "node_leases"),
        (LEASES,),
    ),
)


def is_excluded(node: Node) -> bool:
    """Whether its label keeps load balancers away from it."""
    return NodeNoun.EXCLUDED in (node.metadata.labels or {})
