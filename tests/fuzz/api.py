#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does every answer keep what /openapi.json says? `make fuzz-api MINUTES=10`, on a private stack.

schemathesis makes requests from the document, right and wrong ones, to both ports of the API. It fails when an
answer is the server's fault (5xx), has a status that the document does not name for it, or another shape.
"""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import ROOT, Stack  # noqa: E402 (the path comes first)
from support.lab import CATALOG, Lab, make_tenants  # noqa: E402

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance",
          "response_schema_conformance")
ENDLESS = ("text/event-stream",)


def is_endless(operation):
    """Whether the answer is a stream, for whose end schemathesis would wait."""
    return any(kind in ENDLESS for kind in operation["responses"].get("200", {}).get("content", {}))


# A request that may wait says how long: else each would take the rest of its time.
SHORT = {"type": "string", "enum": ["0s", "1ms", "100ms"]}


def hurry(operation):
    """Make the parameter wait required, and short."""
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "wait":
            parameter.update(required=True, schema=SHORT)


def part_of(document, internal, seed):
    """The document with only what is served on one port, and ends; in another order with each seed, as a round
    may be too short for all."""
    paths = {}
    order = list(document["paths"].items())
    random.Random(seed).shuffle(order)
    for path, operations in order:
        kept = {method: operation for method, operation in operations.items()
                if ("servers" in operation) == internal and not is_endless(operation)}
        for operation in kept.values():
            operation.pop("servers", None)
            hurry(operation)
        if kept:
            paths[path] = kept
    return {**document, "paths": paths}


# QUERY would be one more: nobody serves it yet, and 501 is the answer to a method that is not known.
CONFIG = """
[phases.coverage]
unexpected-methods = ["get", "put", "post", "delete", "options", "patch", "trace"]
"""


# What it says where something was found; its exit code is also 1 when it is interrupted at the end of its time.
FOUND = re.compile(r"^=+ (FAILURES|ERRORS) =+$")


def run(options, file, url, headers, seconds, seed):
    """One round of schemathesis, at most so long; whether it has found something."""
    tool = subprocess.run([ROOT / "scripts/pypi", "schemathesis"], check=True, capture_output=True,
                          text=True).stdout.strip()
    argv = [f"{tool}/schemathesis", "run", str(file), "--url", url, "--checks", ",".join(CHECKS),
            "--phases", "examples,coverage,fuzzing", "--max-examples", str(options.examples),
            "--seed", str(seed), "--workers", "1", "--request-timeout", "10", "--no-color",
            "--suppress-health-check", "all"]
    for header in headers:
        argv += ["--header", header]
    (file.parent / "schemathesis.toml").write_text(CONFIG, encoding="utf-8")
    found = interrupted = False

    def end(child):
        nonlocal interrupted
        interrupted = True
        child.send_signal(signal.SIGINT)  # it says what it has found

    with subprocess.Popen(argv, cwd=file.parent, stdout=subprocess.PIPE, text=True) as child:
        over = threading.Timer(seconds, end, [child])
        over.start()
        for line in child.stdout:
            print(line, end="", flush=True)
            found = found or FOUND.match(line) is not None
        over.cancel()
        code = child.wait()
    return found or (code > 1 and not interrupted)


def main():
    """Start a stack, fuzz both ports until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="folder of the programs")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each further one takes the next")
    parser.add_argument("--examples", type=int, default=50, help="requests of each operation in a round")
    options = parser.parse_args()
    until = time.monotonic() + options.minutes * 60
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts in the background
    with Stack("fuzz-api", bin_dir=options.build / "bin", auth="headers") as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        make_tenants(stack)  # and types of plug-ins
        lab = Lab(stack, "superadmin", "superadmin").load(CATALOG)
        document = json.loads(lab.admin.get("/openapi.json").text)
        document["components"]["schemas"]["Take"]["properties"]["wait"]["maximum"] = 1  # not a minute each
        headers = ["X-Loom-UserID: admin", "X-Loom-TenantID: superadmin"]
        seed, failed = options.seed, 0
        while time.monotonic() < until and not failed:
            for port, internal in (("api.external", False), ("api.internal", True)):
                file = stack.dir / f"{port}.json"
                part = part_of(json.loads(json.dumps(document)), internal, seed)
                file.write_text(json.dumps(part), encoding="utf-8")
                left = max(1, (until - time.monotonic()) / (1 if internal else 2))
                failed |= run(options, file, f"http://127.0.0.1:{stack.ports[port]}", headers, left, seed)
            seed += 1
        lab.close()
    print(f"fuzz-api: {'FAILED' if failed else 'ok'}; seeds {options.seed} to {seed - 1}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
