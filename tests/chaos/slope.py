# SPDX-License-Identifier: Apache-2.0
"""Does a process grow? Judges samples of its memory: the slope after a warm-up, and what it adds up to.

What counts is what the process has allocated and not freed: a leak is in it whole, and all of it is somebody's. What
is resident beyond that the allocator keeps for later, in pages that are in use in part: it rises and falls with the
work of the moment, for hours, and comes down when it is too much (common/service/memory.c). It is judged too, for
what no allocator knows of (stacks of threads, a library's own mappings), but may move as far as that lets it.
"""

import statistics

WARM = 0.3       # of the run: caches fill, the allocator finds its size
SLOPE_MIB = 1.0  # an hour: eight hours of it are less than a working set
NOISE_MIB = 2.0  # within one run: what comes and goes with the work of the moment
KEPT_MIB = 24.0  # of what is resident: so much memory.c leaves with the allocator (GROWN and FREE)
MOST = 200       # samples that are compared with each other
MIB = 1 << 20


def slope(samples):
    """Bytes an hour of (seconds, bytes): the median of the slopes between all pairs, so that a peak counts little."""
    step = max(1, len(samples) // MOST)
    chosen = samples[::step]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(chosen) for b in chosen[i + 1:] if b[0] > a[0]]
    return statistics.median(slopes) * 3600 if slopes else 0.0


def judge_one(samples, noise):
    """What became of one figure: start and end of the judged part, slope in MiB an hour, and whether it grows.

    It grows when both hold: more than SLOPE_MIB an hour, and more than the noise over the judged part. A short
    run thus finds only what grows quickly; eight hours find 1 MiB an hour.
    """
    end = samples[-1][0]
    kept = [(at, size) for at, size in samples if at >= samples[0][0] + WARM * (end - samples[0][0])]
    an_hour = slope(kept) / MIB
    grown = an_hour * (end - kept[0][0]) / 3600
    third = max(1, len(kept) // 3)
    return {"first": samples[0][1] / MIB, "warm": statistics.median(size for _, size in kept[:third]) / MIB,
            "last": statistics.median(size for _, size in kept[-third:]) / MIB,
            "most": max(size for _, size in samples) / MIB,
            "slope": an_hour, "grows": an_hour > SLOPE_MIB and grown > noise}


def judge(samples):
    """What became of a process, of (seconds, resident bytes, allocated bytes): of both, and whether it grows."""
    resident = judge_one([(at, size) for at, size, _ in samples], KEPT_MIB)
    heap = judge_one([(at, size) for at, _, size in samples], NOISE_MIB)
    return {"resident": resident, "heap": heap, "grows": heap["grows"] or resident["grows"]}
