# SPDX-License-Identifier: Apache-2.0
"""What a thousand clusters take in the database, and how others fare while they are let go of."""

import time

from bench import Bench

CLUSTERS, MACHINES = 1000, 5
TASKS = 5  # of a machine of template lean
DAYS = 1000
CREATES, PACE_US = 150, 20000


def tables(bench):
    """Bytes of each table that are in use, its indexes with it."""
    names = [name for (name,) in bench.sql("SHOW TABLES")]
    bench.sql("ANALYZE TABLE " + ",".join(names))
    return {name: int(size) for name, size in bench.sql(
        "SELECT TABLE_NAME, DATA_LENGTH+INDEX_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA=DATABASE()")}


def creates(bench, name):
    """How long creates take, one after the other."""
    found = bench.create("lean", 1, CREATES, name=name, every=PACE_US)["create_ms"]
    bench.wait_planned()
    return {"p50": found["p50"], "p99": found["p99"]}


def dropped(bench):
    """Rows that the scheduler let go of."""
    return sum(value for name, value in bench.metrics("scheduler").items() if name.startswith("loom_history_"))


def size(bench: Bench):
    """Create, work off, look; then all of it is as old as what goes, and the scheduler learns of it."""
    before = tables(bench)
    bench.create("lean", MACHINES, CLUSTERS, name="size")
    bench.wait_planned(300)
    bench.result(bench.play(until=CLUSTERS * MACHINES * TASKS, seconds=300, provisioners=4, slots=16))
    grown = {name: (now - before.get(name, 0)) / 2**20 for name, now in tables(bench).items()}
    quiet = creates(bench, "quiet")
    old = DAYS * 86400000
    bench.sql(f"UPDATE job SET end_time=end_time-{old} WHERE phase='end';"
              f"UPDATE event SET data=JSON_SET(data, '$.time', JSON_VALUE(data, '$.time')-{old});"
              "UPDATE cluster SET status='terminated', own_name=NULL WHERE name LIKE 'size%'")
    bench.stack.restart("scheduler")
    deadline = time.monotonic() + 60
    while not dropped(bench):
        assert time.monotonic() < deadline, "nothing was let go of"
        time.sleep(0.05)
    began, first = time.monotonic(), dropped(bench)
    beside = creates(bench, "beside")
    rate = (dropped(bench) - first) / (time.monotonic() - began)
    return {"clusters": CLUSTERS, "machines": CLUSTERS * MACHINES, "mib": sum(grown.values()),
            "tables": dict(sorted(grown.items(), key=lambda item: -item[1])[:6]),
            "quiet": quiet, "beside": beside, "rows_a_second": rate}
