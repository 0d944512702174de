# SPDX-License-Identifier: Apache-2.0
"""One loom-api that holds thousands of connections, idle ones and watchers: its memory, and what others notice."""

import contextlib
import resource
import selectors
import socket
import time

from crowd import WHO, ask

from bench import percentile

IDLE, WATCHERS, SECONDS = 20000, 2000, 10
SPARE = 900  # descriptors for everything else
HEAD = "".join(f"{name}: {value}\r\n" for name, value in WHO.items())


def ask_once(port, path):
    """A connection on which that was asked."""
    conn = socket.create_connection(("127.0.0.1", port), timeout=30)
    conn.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{HEAD}\r\n".encode())
    return conn


def idle(port):
    """One that has had its answer, and is kept."""
    conn = ask_once(port, "/v2/operations")
    body = conn.recv(65536)
    length = int(body.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body.partition(b"\r\n\r\n")[2]) < length:
        body += conn.recv(65536)
    return conn


def watcher(port):
    """One that is told of all clusters, and has had the head of its answer."""
    conn = ask_once(port, "/v2/clusters/events")
    assert conn.recv(65536).startswith(b"HTTP/1.1 200")
    conn.setblocking(False)
    return conn


def told(bench, port, watching):
    """How long until each watcher hears of a cluster that somebody creates, ms."""
    with selectors.DefaultSelector() as ready:
        for conn in watching:
            ready.register(conn, selectors.EVENT_READ)
        heard, end = {}, time.monotonic() + 60
        began = time.monotonic()
        bench.create("lean", 1, 1, name="heard", external=port)
        while len(heard) < len(watching) and time.monotonic() < end:
            for key, _ in ready.select(1):
                if b"heard" in key.fileobj.recv(65536):
                    heard.setdefault(key.fileobj, (time.monotonic() - began) * 1000)
    return {"p50": percentile(list(heard.values()), 500), "max": max(heard.values(), default=None),
            "missed": len(watching) - len(heard)}


def held(bench):
    """Memory with none, with the idle ones, and with the watchers besides."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    size = min(IDLE, hard - WATCHERS - SPARE)
    bench.stack.start("api2", settings=tuple(f"api2.{key}={IDLE + WATCHERS + SPARE}" for key in (
        "http_connections", "http_peer_connections", "tenant_held")))
    port = bench.stack.ports["api2.external"]
    found = {"idle": size, "watchers": WATCHERS}
    with contextlib.ExitStack() as conns:
        ask(port, 1)
        found["none_mib"] = bench.resident_mib("api2")
        found["quiet"] = ask(port, SECONDS)
        for _ in range(size):
            conns.enter_context(idle(port))
        found["idle_mib"] = bench.resident_mib("api2")
        watching = [conns.enter_context(watcher(port)) for _ in range(WATCHERS)]
        found["all_mib"] = bench.resident_mib("api2")
        found["beside"] = ask(port, SECONDS)
        found["told"] = told(bench, port, watching)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return found
