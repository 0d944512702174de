# SPDX-License-Identifier: Apache-2.0
"""Creates, one after the other, while something goes on that users should not notice."""

import contextlib
import threading
import time

PATIENCE = 60  # seconds, for one create
TIMEOUT = 8    # for one try


def create(client, name, unanswered):
    """One create. A request that meets the virtual address while it moves has no answer: it is sent again with its key."""
    until = time.monotonic() + PATIENCE
    while True:
        answer = client.post("/v2/clusters", {"name": name, "numMachines": 1, "clusterTemplate": "demo"},
                             headers={"Idempotency-Key": name}, timeout=TIMEOUT)
        working = unanswered[-1:] == [name] and answer.status == 409  # at the first one, still
        if answer.status and not working or time.monotonic() > until:
            return answer
        if not answer.status:
            unanswered.append(name)
        time.sleep(0.1)


@contextlib.contextmanager
def steady(client, moves):
    """A list of the answers so far. None may be a failure, and no more than `moves` requests may have no answer: so often
    the address moves."""
    made, failed, unanswered, end = [], [], [], threading.Event()
    mark = f"{time.time_ns() // 1000000:x}"

    def load():
        while not end.wait(0.2):
            answer = create(client, f"s{mark}-{len(made) + len(failed)}", unanswered)
            (made if answer.ok else failed).append(answer)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield made
    finally:
        end.set()
        thread.join(PATIENCE + TIMEOUT)
    assert made and not failed, (len(made), failed)
    assert len(unanswered) <= moves, unanswered
    assert len({answer.json["id"] for answer in made}) == len(made)
