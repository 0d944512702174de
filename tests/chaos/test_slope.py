# SPDX-License-Identifier: Apache-2.0
"""The judge of `make soak`: what grows is found out, what only moves is not."""

import random

import pytest

from chaos.slope import MIB, judge


def samples(minutes, size, every=5):
    """(seconds, bytes), size(minute) in MiB."""
    return [(second, int(size(second / 60) * MIB)) for second in range(0, minutes * 60, every)]


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
    found = judge(samples(minutes, size))
    assert found["grows"] == grows, found


def test_slope_is_an_hours():
    found = judge(samples(60, lambda minute: 20 + minute / 10))
    assert found["slope"] == pytest.approx(6, rel=0.01) and found["first"] == 20


def test_one_sample_grows_nothing():
    assert not judge([(0, 5 * MIB)])["grows"]
