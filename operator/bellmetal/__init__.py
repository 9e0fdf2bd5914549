"""Bellmetal: addresses for Services of type LoadBalancer on bare metal. The map of the house:

nouns       addresses selectors resources config cluster holdings intents facts machine settings
decisions   validation allocation planning packing
edges       kube api events ledger leadership reconciler members metrics health logs statefile
            announcer pump
programs    controller (world watches writer notices) · speaker (reports)

Nouns are frozen, decisions are pure, edges are thin; docs/architecture.md tells the rest.
"""

__version__ = "0.1.0"
