"""Whether a cluster is fit for Bellmetal, and an installation whole: facts → findings. Pure.

`seen` is what was read, `codes` the table of what may be found, `findings` the answers; each other
room judges one part. May not live here: reading (`cli/inspection.py`), printing.
"""

from __future__ import annotations

from bellmetal.preflight import (
    cluster,
    configuration,
    crds,
    nodes,
    pools,
    programs,
    proxy,
    rights,
    rivals,
    views,
)

CHECKS = (
    *cluster.CHECKS,
    *crds.CHECKS,
    *rights.CHECKS,
    *programs.CHECKS,
    *rivals.CHECKS,
    *proxy.CHECKS,
    *pools.CHECKS,
    *nodes.CHECKS,
    *views.CHECKS,
    *configuration.CHECKS,
)
