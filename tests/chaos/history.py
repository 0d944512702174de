# SPDX-License-Identifier: Apache-2.0
"""What clients did and saw: one JSON line per record, written as it happens.

Records have t (epoch seconds), p (who) and kind:
    invoke                      a request goes out: op (its number), f (what), and what about
    ok | fail | info            its end: done; certainly not done; nobody knows. status, ms, why
    event                       a watcher was told: cluster, id, type, crc (of the data)
    fault | healed              the nemesis: see nemesis.py
    listening                   a receiver of callbacks waits for those of all jobs
    callback                    it was told: cluster, job, event, delivery
    noise                       how busy the machine was: see noise.py
"""

import itertools
import json
import threading
import time
import zlib


def crc(text):
    """What is kept of an event's data."""
    return zlib.crc32(text.encode("utf-8"))


class History:
    """Records of all clients of one run, in memory and in a file."""

    def __init__(self, path=None):
        self.records = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._file = open(path, "w", encoding="utf-8", buffering=1 << 16) if path else None

    def add(self, who, kind, **more):
        """One record, now."""
        record = {"t": round(time.time(), 4), "p": who, "kind": kind, **more}
        with self._lock:
            self.records.append(record)
            if self._file:
                self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        return record

    def invoke(self, who, what, **about):
        """A request goes out; answers its number."""
        number = next(self._numbers)
        self.add(who, "invoke", op=number, f=what, **about)
        return number

    def close(self):
        """No more records."""
        with self._lock:
            if self._file:
                self._file.close()
            self._file = None


def load(path):
    """The records of an earlier run."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Operation:
    """A request with its end."""

    def __init__(self, invoke):
        self.invoke = invoke
        self.end = None

    @property
    def kind(self):
        """ok, fail or info; one that never ended is info."""
        return self.end["kind"] if self.end else "info"

    def __getitem__(self, name):
        return (self.end or {}).get(name, self.invoke.get(name))

    def get(self, name, default=None):
        """What was said about it, at its end or at its beginning."""
        value = self[name]
        return default if value is None else value

    @property
    def began(self):
        """When it was asked."""
        return self.invoke["t"]

    @property
    def ended(self):
        """When it was answered; None when it never was."""
        return self.end["t"] if self.end else None


def operations(records, what=None):
    """Requests with their ends, in the order they were made."""
    found = {}
    for record in records:
        if record["kind"] == "invoke":
            if what in (None, record["f"]):
                found[record["op"]] = Operation(record)
        elif record["kind"] in ("ok", "fail", "info") and record["op"] in found:
            found[record["op"]].end = record
    return list(found.values())
