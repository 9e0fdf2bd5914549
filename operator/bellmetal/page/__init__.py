"""The page: a cluster's addresses, owners, sessions and explanations, for a browser. Only reads.

=================  ===========================================================================
room               what is in it
=================  ===========================================================================
`occupancy.py`     in what state each address is that is not simply free. Pure
`cells.py`         a pool's addresses as a map of a bounded number of cells. Pure
`timeline.py`      what happened lately: addresses given, moved and freed, sessions. Pure
`state.py`         all that the page shows, as plain values of bounded size. Pure
`services.py`      … of Services; `facts.py`: … of one address and one block
`sources.py`       where situations come from: a survey; `inside.py`: a controller's world
`lookout.py`       one look for all who ask, and not more often than it may be
`server.py`        the HTTP: to whom it answers, and with which headers
`document.py`      the HTML, its style and its script as one page
`assets/`          these, hand-written: no framework, nothing to build, nothing from elsewhere
=================  ===========================================================================
"""
