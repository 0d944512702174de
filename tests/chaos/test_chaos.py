# SPDX-License-Identifier: Apache-2.0
"""A short chaos run: a datacenter under load, one fault of each layer, nothing lost.

MINUTES=N in the environment runs that long, with every kind of fault at least once, as `make chaos` does.
"""

import os

import pytest

from chaos import run
from support.stack import build_dir

SEED = int(os.environ.get("SEED") or 1)
MINUTES = float(os.environ.get("MINUTES") or 0)
FAULTS = ("kill-writer", "crash-machine", "cut-link", "kill-scheduler-leader", "kill-zookeeper-leader", "pause-provisioner")

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300 + 90 * MINUTES),
              pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]


def test_chaos(tmp_path):
    """Every promise is kept, whatever breaks, and Loom comes back."""
    asked = run.Asked(SEED, MINUTES or 1, () if MINUTES else FAULTS)
    result = run.run(asked, folder=tmp_path, bin_dir=build_dir() / "bin")
    result.show()
    kept = build_dir().parent / "var-test" / "chaos"
    kept.mkdir(parents=True, exist_ok=True)
    result.save(kept)
    broken = [*map(str, result.violations[:20]), *result.problems]
    assert not broken, "\n".join(broken)
    assert not result.measured.missed, result.measured.missed
