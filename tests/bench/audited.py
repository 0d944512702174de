# SPDX-License-Identifier: Apache-2.0
"""What the audit log costs a create: two APIs side by side on one database, one of which writes none,
asked in turn, so that what the machine does beside it meets both alike."""

import statistics

ROUNDS, CREATES, PACE_US = 12, 50, 20000


def audited(bench):
    """Medians of a round's creates, and of the rounds' ratios."""
    bench.stack.start("api2", settings=("api2.audit=no",))
    ports = {"on": bench.stack.ports["api.external"], "off": bench.stack.ports["api2.external"]}
    took = {"on": [], "off": []}
    for number in range(ROUNDS):
        for which in ("on", "off") if number % 2 else ("off", "on"):
            found = bench.create("lean", 1, CREATES, name=f"{which}{number}", every=PACE_US, external=ports[which])
            took[which].append(found["create_ms"]["p50"])
            bench.wait_planned()
    ratios = [on / off for on, off in zip(took["on"], took["off"])]
    return {"on": statistics.median(took["on"]), "off": statistics.median(took["off"]),
            "percent": 100 * (statistics.median(ratios) - 1), "ratios": ratios}
