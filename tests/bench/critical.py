# SPDX-License-Identifier: Apache-2.0
"""How long a plan takes when nothing but its tasks takes time."""

import heapq


def ideal_seconds(tasks, duration):
    """(length of the longest chain, length of a run without any overhead) of a plan's tasks.

    A machine does one task at a time, the first by number of those that wait for nothing; the
    chain knows only which task comes after which.
    """
    number = {task["taskId"]: place for place, task in enumerate(tasks)}
    after = [[number[other] for other in task["after"]] for task in tasks]
    unmet = [len(others) for others in after]
    followers = [[] for _ in tasks]
    for place, others in enumerate(after):
        for other in others:
            followers[other].append(place)
    chain = [0.0] * len(tasks)
    waiting, busy, running, now = {}, set(), [], 0.0
    for place, count in enumerate(unmet):
        if not count:
            heapq.heappush(waiting.setdefault(tasks[place]["nodeId"], []), place)

    def begin(node):
        if node not in busy and waiting.get(node):
            busy.add(node)
            heapq.heappush(running, (now + duration, heapq.heappop(waiting[node])))

    for node in list(waiting):
        begin(node)
    while running:
        now = running[0][0]
        touched = set()
        while running and running[0][0] == now:  # what ends at the same moment ends before anything begins
            _, place = heapq.heappop(running)
            chain[place] += duration
            busy.discard(tasks[place]["nodeId"])
            touched.add(tasks[place]["nodeId"])
            for follower in followers[place]:
                chain[follower] = max(chain[follower], chain[place])
                unmet[follower] -= 1
                if not unmet[follower]:
                    touched.add(tasks[follower]["nodeId"])
                    heapq.heappush(waiting.setdefault(tasks[follower]["nodeId"], []), follower)
        for node in touched:
            begin(node)
    return max(chain, default=0.0), now
