#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does Loom grow? `make soak MINUTES=480`: clusters come and go on a private stack, and memory is watched.

CLIENTS threads create clusters of changing sizes, read them, and delete them, without end. Every few seconds what
each of Loom's processes has allocated, and what is resident of it, is written down (footprint.py); slope.py judges.
Exit code 1 when a process grows.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
import time
import types

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from chaos import catalog  # noqa: E402 (the path comes first)
from chaos.footprint import EVERY, Footprint  # noqa: E402
from support import ROOT, Stack  # noqa: E402

CLIENTS = 4
SIZES = (1, 3, 5, 10, 20)


class Soak:
    """The stack, its clients and what was measured."""

    def __init__(self, stack):
        self.stack, self.footprint, self.clusters = stack, Footprint(stack), 0
        self.problems, self.over, self.began = [], threading.Event(), time.monotonic()
        site = types.SimpleNamespace(simulated=stack.dir / "simulated", sandbox=None)
        for kind, document in catalog.documents(site, delay_ms=5, failing=1):
            answer = stack.api.put(f"/v2/{kind}/{document['name']}", document)
            assert answer.ok, f"{kind} {document['name']}: {answer.reason()}"

    def live(self, number):
        """One client: clusters one after the other."""
        api, turn = self.stack.client("api.external"), number
        while not self.over.is_set():
            try:
                turn += 1
                size = SIZES[turn % len(SIZES)]
                cluster = api.create_cluster(f"soak{number}", "pair" if size > 1 else "solo", size)
                while api.cluster_status(cluster) == "pending":
                    time.sleep(0.1)
                for path in ("", "/why", "/services", "/plans"):
                    api.get(f"/v2/clusters/{cluster}{path}")
                api.delete_cluster(cluster, timeout=120)
                self.clusters += 1
            except (AssertionError, OSError) as error:
                self.problems.append(str(error)[:300])
                self.over.wait(1)

    def run(self, minutes):
        """Until the time is up."""
        clients = [threading.Thread(target=self.live, args=[number]) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            while time.monotonic() < self.began + minutes * 60:
                self.footprint.sample()
                if len(self.footprint.samples["scheduler"]) % 12 == 1:
                    print(f"{time.strftime('%H:%M:%S')} {self.clusters} clusters, MiB: {self.footprint.now()}", flush=True)
                self.over.wait(EVERY)
        finally:
            self.over.set()
            for client in clients:
                client.join()


def main():
    """Run and judge."""
    parser = argparse.ArgumentParser(prog="tests/chaos/soak.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 480))
    parser.add_argument("--build", default=os.environ.get("LOOM_TEST_BUILD") or "build")
    parser.add_argument("--json", default=None, help="where to write the samples (default: BUILD/soak.json)")
    options = parser.parse_args()
    build = ROOT / options.build
    with Stack("soak", bin_dir=build / "bin") as stack:
        stack.up()
        soak = Soak(stack)
        soak.run(options.minutes)
    path = pathlib.Path(options.json or build / "soak.json")
    path.write_text(json.dumps({"clusters": soak.clusters, "found": soak.footprint.judged(),
                                "samples": soak.footprint.samples}) + "\n", encoding="utf-8")
    print(f"\n{soak.clusters} clusters in {options.minutes:g} minutes, {len(soak.problems)} problems; {path}\n")
    print(soak.footprint.table())
    for problem in soak.problems[:10]:
        print(problem)
    return 0 if soak.footprint.good() and len(soak.problems) <= soak.clusters / 10 else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
