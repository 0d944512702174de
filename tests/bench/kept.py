# SPDX-License-Identifier: Apache-2.0
"""How long a backup of many machines takes, and putting it back."""

import pathlib
import tempfile
import time

from figures import insert_fleet

from bench import Bench
from support.datacenter_tool import DatacenterTool  # noqa: I001 (bench says where support is)


def timed(tool, *words):
    """(seconds, what it did) of a command that succeeds."""
    began = time.monotonic()
    code, done = tool(*words)
    assert code == 0, done
    return time.monotonic() - began, done


def kept(bench: Bench):
    """Of a database of its own, with the clusters of figure `fleet`; read back, and then in the place of itself."""
    with bench.twin() as other, tempfile.TemporaryDirectory(prefix="loom-kept-") as folder:
        inserted = insert_fleet(other)
        tool = DatacenterTool(other.stack, pathlib.Path(folder))
        backup, made = timed(tool, "backup")
        other.stack.stop("api", "scheduler")
        restore, _ = timed(tool, "restore", made["file"], "--replace")
        assert other.number("SELECT COUNT(*) FROM node") == inserted["machines"], "machines are missing"
    return {"machines": inserted["machines"], "events": inserted["events"], "backup_seconds": backup,
            "restore_seconds": restore, "file_mib": made["bytes"] / 2**20, "sql_mib": made["sql_bytes"] / 2**20}
