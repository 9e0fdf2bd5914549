"""Bellmetal: addresses for Services of type LoadBalancer on bare metal. The map of the house:

nouns       addresses selectors resources config cluster holdings intents facts machine settings
decisions   validation allocation (choice supply sharing) settlement pruning comparison planning
            packing
edges       kube api follow events ledger leadership reconciler members metrics health logs
            statefile states admission webhook announcer pump
programs    controller (world watches writer notices counters rivals) · speaker (reports) · cli

Nouns are frozen, decisions are pure, edges are thin; docs/architecture.md tells the rest.
"""

__version__ = "0.1.0"
