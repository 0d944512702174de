# SPDX-License-Identifier: Apache-2.0
"""What all integration tests share: real servers, a REST client, event streams, waiting."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "scripts"))

from .api import Api, Events  # noqa: E402 (the path comes first)
from .stack import ALL_PARTS, SERVERS, Stack, StackFailed  # noqa: E402
from .wait import wait_for  # noqa: E402

__all__ = ["ALL_PARTS", "ROOT", "SERVERS", "Api", "Events", "Stack", "StackFailed", "wait_for"]
