# SPDX-License-Identifier: Apache-2.0
"""A client beside thousands that hold their connections and send a byte a second."""

import http.client
import resource
import socket
import threading
import time

from bench import percentile

CLIENTS, SECONDS, PATIENCE = 4096, 10, 20
WHO = {"X-Loom-UserID": "admin", "X-Loom-TenantID": "superadmin"}
BEGUN = (b"POST /v2/clusters HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Loom-UserID: u\r\n"
         b"X-Loom-TenantID: superadmin\r\nContent-Length: 100\r\n\r\nx")


class Crowd:
    """Keeps so many unfinished requests open, and opens one anew for each that is closed."""

    def __init__(self, port, size):
        self.port, self.size, self.conns, self.over = port, size, [], threading.Event()
        self.threads = [threading.Thread(target=task) for task in (self._open, self._trickle)]
        for thread in self.threads:
            thread.start()

    def _open(self):
        while not self.over.wait(0.2):
            while len(self.conns) < self.size and not self.over.is_set():
                try:
                    conn = socket.create_connection(("127.0.0.1", self.port), timeout=5)
                    conn.sendall(BEGUN)
                    conn.setblocking(False)
                    self.conns.append(conn)
                except OSError:
                    time.sleep(0.01)

    def _trickle(self):
        while not self.over.wait(1):
            for conn in list(self.conns):
                try:
                    conn.send(b"x")
                except OSError:
                    self.conns.remove(conn)
                    conn.close()

    def close(self):
        """All go."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        for conn in self.conns:
            conn.close()


def ask(port, seconds):
    """Times in ms of one request after the other, each on a connection of its own, and how many failed."""
    times, failed, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            conn.request("GET", "/v2/providers", headers=WHO)
            failed += conn.getresponse().status != 200
            conn.close()
        except OSError:
            failed += 1
        times.append((time.monotonic() - began) * 1000)
        time.sleep(0.005)
    return {"p50": percentile(times, 500), "p99": percentile(times, 990), "failed": failed, "asked": len(times)}


def crowd(bench):
    """The same client with nobody beside it, and with the crowd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    port = bench.stack.ports["api.external"]
    quiet = ask(port, SECONDS)
    beside = Crowd(port, CLIENTS)
    try:
        end = time.monotonic() + PATIENCE
        while len(beside.conns) < CLIENTS // 2 and time.monotonic() < end:
            time.sleep(0.1)
        return {"quiet": quiet, "beside": ask(port, SECONDS), "clients": len(beside.conns)}
    finally:
        beside.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
