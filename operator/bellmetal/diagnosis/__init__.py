"""Why something does not work: the chain from a Service to its client, link by link. Pure.

=================  ===========================================================================
room               what is in it
=================  ===========================================================================
`chain.py`         an explanation: links, what was seen at each, the first that is broken
`situation.py`     all that was found out about the cluster, as one value
`catalogue.py`     what each cause means, which object to edit, what to type
`service.py`       a Service: claim → pool → address → advertisement → nodes → endpoints → …
`announced.py`     … → owner or sessions → LAN or router → the node's data path
`pool.py` …        a pool, a node, a peer
=================  ===========================================================================

The reading is `survey.py`'s, the printing the command line's.
"""
