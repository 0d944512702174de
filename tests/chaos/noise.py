# SPDX-License-Identifier: Apache-2.0
"""How busy the machine is beside a run, and what that explains.

A process of its own works for 2 ms, fifty times a second, and the kernel tells how long it worked and
how long it waited for a processor (/proc/PID/schedstat). The stretch of a time is (worked + waited) /
worked: 1 on an idle machine, and on a busy one what everything there takes longer by. It is written
as records of kind `noise` (worked, waited: seconds since the start).
"""

import multiprocessing
import pathlib
import time

WORK, PAUSE, SAMPLE = 0.002, 0.018, 0.25


def _spin(until=None):
    """Work; for ever, or until this much processor time of the process is used."""
    while until is None or time.process_time() < until:
        sum(range(200))


def _probe(samples):
    """Work a little, and tell what the kernel says of it; until nobody listens."""
    told = time.monotonic()
    try:
        while True:
            _spin(time.process_time() + WORK)
            time.sleep(PAUSE)
            if time.monotonic() >= told + SAMPLE:
                told = time.monotonic()
                worked, waited, _ = pathlib.Path("/proc/self/schedstat").read_text(encoding="ascii").split()
                samples.send((time.time(), int(worked) / 1e9, int(waited) / 1e9))
    except (BrokenPipeError, KeyboardInterrupt):
        pass


class Noise:
    """The probe, and `load` processes that are busy all the time. Use as a context manager."""

    def __init__(self, history, load=0):
        self.history = history
        self.samples, theirs = multiprocessing.Pipe(duplex=False)
        self.children = [multiprocessing.Process(target=_probe, args=[theirs], daemon=True)]
        self.children += [multiprocessing.Process(target=_spin, daemon=True) for _ in range(load)]

    def __enter__(self):
        for child in self.children:
            child.start()
        return self

    def __exit__(self, *_):
        while self.samples.poll():
            when, worked, waited = self.samples.recv()
            self.history.add("probe", "noise", worked=round(worked, 4), waited=round(waited, 4))["t"] = round(when, 4)
        for child in self.children:
            child.kill()
            child.join()


def stretch(samples, start, end):
    """Of a time; None when nothing is known of it. samples: (time, worked, waited) by time."""
    before = [sample for sample in samples if sample[0] <= start][-1:] or samples[:1]
    after = [sample for sample in samples if sample[0] >= end][:1] or samples[-1:]
    if not before or not after or after[0][1] <= before[0][1]:
        return None
    worked, waited = (later - earlier for earlier, later in zip(before[0][1:], after[0][1:]))
    return (worked + waited) / worked
