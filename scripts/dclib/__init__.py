# SPDX-License-Identifier: Apache-2.0
"""What scripts/dc is made of: a datacenter of three hosts in network namespaces, on one machine."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class DcError(Exception):
    """Something the person at the terminal has to know; the text says what and what to do."""
