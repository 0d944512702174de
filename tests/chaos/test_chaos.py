# SPDX-License-Identifier: Apache-2.0
"""A short chaos run: a datacenter under load, every kind of fault at least once, nothing lost."""

import os

import pytest

from chaos import run
from support.stack import build_dir

SEED = int(os.environ.get("SEED") or 1)
MINUTES = 5  # of faults; with what is before and after them about six

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(720),
              pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]


def test_chaos(tmp_path):
    """Every promise is kept, whatever breaks, and Loom comes back."""
    result = run.run(run.Asked(SEED, MINUTES), folder=tmp_path, bin_dir=build_dir() / "bin")
    result.show()
    kept = build_dir().parent / "var-test" / "chaos"
    kept.mkdir(parents=True, exist_ok=True)
    result.save(kept)
    broken = [*map(str, result.violations[:20]), *result.problems]
    assert not broken, "\n".join(broken)
    assert not result.measured.missed, result.measured.missed
