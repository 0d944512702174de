# SPDX-License-Identifier: Apache-2.0
"""What Loom's processes hold while a run goes on: written down every few seconds, judged by slope.py, and shown.

A process says what it has allocated, and how much of that is in caches and requests that are bounded in bytes. Those
may fill for hours, as they do when each of eight connections comes to know five hundred statements; they must keep
within their bounds. What is allocated beside them must not grow.
"""

import time

from . import slope
from .slope import MIB

# Where each says it (/metrics of that port).
PARTS = {"api": "api.internal", "scheduler": "scheduler.admin", "provisioner": "provisioner.admin", "gateway": "gateway"}
EVERY = 5  # seconds between samples
RESIDENT, ALLOCATED = "loom_process_resident_memory_bytes", "loom_process_heap_bytes"
# What is bounded, and how: the defaults of the configuration, where it has a word in it.
BOUNDED = {
    "loom_db_statement_cache_bytes": 8 * 16 * MIB,     # db_connections, DB_STMT_BYTES
    "loom_scheduler_cache_rows_bytes": 16 * MIB,       # CLUSTER_CACHE_MAX
    "loom_scheduler_cache_payloads_bytes": 8 * MIB,    # PAYLOAD_CACHE_MAX of both slots
    "loom_scheduler_cache_edges_bytes": 4 * MIB,       # EDGES_CACHE_MAX of both
    "loom_http_request_bytes": 2 * 64 * MIB,           # http_request_mib of both ports
}


def read(text):
    """(resident, allocated, bounded) bytes of what /metrics says, and the names of what is over its bound."""
    said = {name: int(float(value)) for name, _, value in (line.rpartition(" ") for line in text.splitlines())
            if name in (RESIDENT, ALLOCATED, *BOUNDED)}
    over = [name for name, most in BOUNDED.items() if said.get(name, 0) > most]
    return (said[RESIDENT], said[ALLOCATED], sum(said.get(name, 0) for name in BOUNDED)), over


class Footprint:
    """Samples of all parts of a stack."""

    def __init__(self, stack):
        self.stack, self.began = stack, time.monotonic()
        self.samples = {part: [] for part in PARTS}  # (seconds, resident, allocated, bounded)
        self.unheard, self.over = [], set()

    def sample(self):
        """What each holds now; one that does not answer is left out, and said."""
        for part, port in PARTS.items():
            at = time.monotonic() - self.began
            answer = self.stack.client(port, user=None).get("/metrics", timeout=20)
            try:
                found, over = read(answer.text)
            except KeyError:
                self.unheard.append(f"{part} after {at:.0f} s: {answer.reason()[:200]}")
                continue
            self.samples[part].append((at, *found))
            self.over.update(f"{part}: {name} is over its bound" for name in over)

    def now(self):
        """The newest of each, as words."""
        return ", ".join(f"{part} {found[-1][2] / MIB:.1f} of {found[-1][1] / MIB:.1f}"
                         for part, found in self.samples.items() if found)

    def heard(self, found):
        """Whether these are enough to judge by: not too few, and to the end."""
        most = max(map(len, self.samples.values()))
        newest = max(samples[-1][0] for samples in self.samples.values() if samples) if most else 0
        return bool(found) and 2 * len(found) > most and found[-1][0] >= newest - 60

    def judged(self):
        """What became of each part; of one that was not heard nothing can be told, which is no pass."""
        return {part: {**slope.judge([(at, resident - bounded, allocated - bounded)
                                      for at, resident, allocated, bounded in found]), "heard": True}
                if self.heard(found) else {"heard": False, "grows": False} for part, found in self.samples.items()}

    def good(self):
        """Nothing grows, or is over its bound, and all of them could be judged."""
        return not self.over and all(at["heard"] and not at["grows"] for at in self.judged().values())

    def table(self):
        """The rows of all parts: resident, allocated, bounded; the slopes are of what is beside the bounded."""
        lines = ["| process | MiB at first: resident, allocated, of that bounded | warm | at the end "
                 "| allocated besides, MiB an hour | resident besides, MiB an hour | |", "|---|---|---|---|---|---|---|"]
        for part, at in self.judged().items():
            if not at["heard"]:
                lines.append(f"| {part} | | | | | | NOT HEARD: {len(self.samples[part])} samples |")
                continue
            sizes = " | ".join(", ".join(f"{size:.1f}" for size in found) for found in self.stages(part))
            lines.append(f"| {part} | {sizes} | {at['heap']['slope']:+.2f} | {at['resident']['slope']:+.2f} | "
                         f"{'GROWS' if at['grows'] else 'holds'} |")
        return "\n".join([*lines, *sorted(self.over)])

    def stages(self, part):
        """(resident, allocated, bounded) in MiB at first, when warm, and at the end."""
        found = self.samples[part]
        for at in (0, int(slope.WARM * (len(found) - 1)), -1):
            yield [size / MIB for size in found[at][1:]]
