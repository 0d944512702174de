# SPDX-License-Identifier: Apache-2.0
"""Lists as clients follow them: page by page, and held until they change."""

import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

from support.wait import wait_for


def pages(client, path):
    """All items of a list that is followed by its Links; each page's size."""
    items, sizes = [], []
    while path:
        answer = client.get(path)
        assert answer.status == 200, answer
        items += answer.json
        sizes.append(len(answer.json))
        link = answer.headers["Link"]
        path = link[1:link.index(">")] if link else None
    return items, sizes


def held_requests(stack):
    """How many streams and requests the API holds until something changes."""
    return stack.metric("api.internal", "loom_api_held_requests")


def index_of(answer):
    """The number of what was answered."""
    assert answer.status == 200, answer
    return int(answer.headers["X-Loom-Index"])


def held(client, path, timeout=120):
    """A request under way in a thread; .result() is its answer."""
    pool = ThreadPoolExecutor(1)
    answer = pool.submit(client.get, path, timeout=timeout)
    pool.shutdown(wait=False)
    return answer


def held_now(stack, client, path):
    """A request that is held; .result() is its answer."""
    quiet = held_requests(stack)
    answer = held(client, path)
    wait_for(lambda: held_requests(stack) > quiet)
    return answer


def spent(stack, of):
    """How many rows the database found by an index meanwhile, and how many bytes it sent."""
    def now():
        found = dict(stack.sql("SHOW GLOBAL STATUS WHERE Variable_name IN"
                               " ('Handler_read_key', 'Handler_read_next', 'Handler_read_prev', 'Bytes_sent')"))
        size = int(found.pop("Bytes_sent"))
        return sum(map(int, found.values())), size

    before = now()
    of()
    return tuple(after - was for was, after in zip(before, now()))


def peak(core):
    """Most memory of loom-api so far, bytes."""
    text = pathlib.Path(f"/proc/{core.pid('api')}/status").read_text(encoding="ascii")
    return int(text.split("VmHWM:")[1].split()[0]) << 10


def selects(stack):
    """How many rows were asked for until now, by anybody."""
    return int(stack.sql("SHOW GLOBAL STATUS LIKE 'Com_select'")[0][1])


def selects_of_a_while(stack):
    """How many rows were asked for in a time of two polls."""
    before, until = selects(stack), time.monotonic() + 4
    wait_for(lambda: time.monotonic() > until)
    return selects(stack) - before
