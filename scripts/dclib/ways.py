# SPDX-License-Identifier: Apache-2.0
"""What differs in the work on machines by the layout of their inventory; what is the same stands with each command."""

from . import DcError
from .packages import Packages
from .projects import Projects

WAYS = {"machines": Packages, "compose": Projects}


def of(inventory, host, path):
    """How the machines of this inventory are worked on."""
    layout = inventory["datacenter"]["layout"]
    if layout not in WAYS:
        raise DcError(f"the layout is '{layout}', and this is for {' and '.join(WAYS)}")
    return WAYS[layout](inventory, host, path)
