# SPDX-License-Identifier: Apache-2.0
"""The judge of `make soak` and `make hostile`: what grows is found out, what only moves is not."""

import random

import pytest

from chaos import footprint
from chaos.slope import MIB, NOISE_MIB, judge, judge_one


def samples(minutes, size, every=5):
    """(seconds, bytes), size(minute) in MiB."""
    return [(second, int(size(second / 60) * MIB)) for second in range(0, minutes * 60, every)]


def both(minutes, heap, kept):
    """(seconds, resident, allocated), allocated heap(minute) and kept(minute) beyond that, in MiB."""
    return [(at, size + int(kept(at / 60) * MIB), size) for at, size in samples(minutes, heap)]


NOISE = random.Random(7)
CASES = {
    "flat": (15, lambda minute: 20, False),
    "noise": (15, lambda minute: 20 + NOISE.random() * 6, False),
    "warming up": (15, lambda minute: 10 + min(minute, 4) * 5, False),
    "one burst": (15, lambda minute: 60 if 9 < minute < 11 else 20, False),
    "shrinks": (15, lambda minute: 50 - minute, False),
    "a leak of 1 MiB a minute": (15, lambda minute: 20 + minute + NOISE.random() * 3, True),
    "a small leak, too short to tell": (15, lambda minute: 20 + minute / 20, False),
    "the same for eight hours": (480, lambda minute: 20 + minute / 20 + NOISE.random() * 6, True),
    "half a MiB an hour": (480, lambda minute: 20 + minute / 120 + NOISE.random() * 6, False),
    "as before: 13 to 50 MiB in an hour": (60, lambda minute: 13 + 37 * minute / 60, True),
}


@pytest.mark.parametrize("minutes, size, grows", CASES.values(), ids=CASES)
def test_judged(minutes, size, grows):
    found = judge_one(samples(minutes, size), NOISE_MIB)
    assert found["grows"] == grows, found


PROCESSES = {
    "fragments: pages fill while nothing is kept": (60, lambda minute: 40, lambda minute: minute / 5, False),
    "fragments, with noise": (60, lambda minute: 40 + NOISE.random() * 6, lambda minute: minute / 5, False),
    "more than the allocator may keep": (60, lambda minute: 40, lambda minute: minute, True),
    "a leak in memory that was kept": (60, lambda minute: 40 + minute / 10, lambda minute: 20 - minute / 10, True),
    "a leak": (60, lambda minute: 40 + minute / 10, lambda minute: 20, True),
    "less than before": (60, lambda minute: 80 - minute / 2, lambda minute: 20, False),
}


@pytest.mark.parametrize("minutes, heap, kept, grows", PROCESSES.values(), ids=PROCESSES)
def test_processes(minutes, heap, kept, grows):
    found = judge(both(minutes, heap, kept))
    assert found["grows"] == grows, found


def test_slope_is_an_hours():
    found = judge(both(60, lambda minute: 20 + minute / 10, lambda minute: 5))
    assert found["heap"]["slope"] == pytest.approx(6, rel=0.01) and found["heap"]["first"] == 20
    assert found["resident"]["slope"] == pytest.approx(6, rel=0.01) and found["resident"]["first"] == 25


def test_one_sample_grows_nothing():
    assert not judge([(0, 5 * MIB, 4 * MIB)])["grows"]


# ---- what is bounded


def held(allocated, cached, parts=tuple(footprint.PARTS)):
    """An hour of all parts: allocated(minute) and cached(minute) in MiB."""
    found = footprint.Footprint(None)
    for part in parts:
        found.samples[part] = [(at, int((allocated(at / 60) + 20) * MIB), size, int(cached(at / 60) * MIB))
                               for at, size in samples(60, allocated)]
    return found


def test_a_cache_may_fill():
    assert held(lambda minute: 20 + minute / 2, lambda minute: minute / 2).good()


def test_what_is_beside_it_may_not():
    found = held(lambda minute: 20 + minute / 2 + minute / 10, lambda minute: minute / 2)
    assert not found.good() and "GROWS" in found.table()


def test_one_that_is_not_heard_is_not_passed():
    found = held(lambda minute: 20, lambda minute: 0, parts=("api", "scheduler", "gateway"))
    assert not found.good() and "NOT HEARD" in found.table()


def test_one_that_is_not_heard_at_the_end_is_not_passed():
    found = held(lambda minute: 20, lambda minute: 0)
    found.samples["api"] = found.samples["api"][:-20]
    assert not found.good()


SAID = f"""# HELP {footprint.ALLOCATED} allocated
{footprint.RESIDENT} 5000
{footprint.ALLOCATED} 4000
loom_scheduler_cache_rows_bytes 300
loom_db_statement_cache_bytes 70
loom_other 9
"""


def test_metrics_are_read():
    assert footprint.read(SAID) == ((5000, 4000, 370), [])
    assert footprint.read(f"{SAID}loom_scheduler_cache_edges_bytes {5 * MIB}\n") == (
        (5000, 4000, 370 + 5 * MIB), ["loom_scheduler_cache_edges_bytes"])
    with pytest.raises(KeyError):
        footprint.read("")
