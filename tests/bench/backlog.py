# SPDX-License-Identifier: Apache-2.0
"""How many messages a second one callback target is sent while it has a backlog, alone and beside creates."""

import threading
import time

import noisy

from bench import Bench
from support.receiver import Receiver

WAITING = 1500
TENANT = "backlog"


def backlog(bench, admin, receiver, name):
    """A message that its target holds, and those that wait behind it; answers what lets go of it."""
    held = threading.Event()
    receiver.rules[name] = lambda call: held.wait(60) and 200 or 200
    target = {"url": receiver.url(name), "events": ["start"]}
    assert admin.put(f"/v2/callbacktargets/{name}", target).status == 200
    assert admin.post("/v2/clusters", noisy.body("lean", 1, name)).status == 200
    first = receiver.wait(name)[0]
    bench.sql("INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind, target, url, secret, as_then,"
              " state, not_before, create_time) SELECT UUID(), tenant_id, cluster_id, job_num, kind, target, url,"
              f" secret, as_then, state, create_time, create_time FROM callback JOIN seq_1_to_{WAITING} s"
              f" WHERE delivery='{first.delivery}'")
    return held.set


def measure(bench, admin, receiver, name):
    """Messages a second."""
    release = backlog(bench, admin, receiver, name)
    began = time.monotonic()
    release()
    receiver.wait(name, count=WAITING + 1, timeout=600)
    rate = WAITING / (time.monotonic() - began)
    assert admin.delete(f"/v2/callbacktargets/{name}").status == 200
    return rate


def callback_backlog(bench: Bench):
    """Both."""
    admin = noisy.tenant(bench, TENANT)
    receiver = Receiver()
    try:
        found = {"alone": measure(bench, admin, receiver, "alone")}
        with noisy.beside("creates", noisy.tenant(bench, noisy.LOUD), bench.stack.internal):
            time.sleep(noisy.SETTLE)
            found["beside"] = measure(bench, admin, receiver, "beside")
    finally:
        receiver.close()
    return found
