# SPDX-License-Identifier: Apache-2.0
"""A name server that does not answer: who looks up ZooKeeper's servers serves all the same."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest
from test_configuration import configured

from stacklib import servers
from stacklib.client import Client
from support import wait_for
from support.stack import ENVIRONMENT, build_dir, free_port

NAME = "zookeeper.loom.test"
HOME = "127.0.53.1"
A, NO_ERROR = 1, 0x8180
# The resolver waits so long for an answer before it asks again.
RESOLVER = f"nameserver {HOME}\noptions timeout:30 attempts:5\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"),
                                reason="another /etc/resolv.conf for one process needs root")


class Names:
    """A name server: silent, and from answer() on NAME is this machine."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOME, 53))
        self.socket.settimeout(0.1)
        self.lock = threading.Lock()
        self.asked = []
        self.answering = False
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.ended.is_set():
            try:
                query, sender = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            with self.lock:
                self.asked.append((query, sender))
                if self.answering:
                    self._reply(query, sender)

    def _reply(self, query, sender):
        end = query.index(b"\0", 12) + 5  # of the question
        kind = struct.unpack("!H", query[end - 4:end - 2])[0]
        found = kind == A
        text = query[:2] + struct.pack("!HHHHH", NO_ERROR, 1, found, 0, 0) + query[12:end]
        if found:
            text += struct.pack("!HHHLH", 0xC00C, A, 1, 1, 4) + socket.inet_aton("127.0.0.1")
        self.socket.sendto(text, sender)

    def count(self):
        """How often A was asked for."""
        with self.lock:
            return sum(query.endswith(struct.pack("!HH", A, 1)) for query, _ in self.asked)

    def answer(self):
        """Answers what was asked and what will be."""
        with self.lock:
            self.answering = True
            for query, sender in self.asked:
                self._reply(query, sender)

    def silence(self):
        """Answers no more."""
        with self.lock:
            self.answering = False

    def close(self):
        self.ended.set()
        self.thread.join()
        self.socket.close()


@pytest.fixture
def names():
    made = Names()
    yield made
    made.close()


def start(core, tmp_path, part, port):
    """A service that asks that name server, on a port of its own."""
    (tmp_path / "resolv.conf").write_text(RESOLVER)
    key = "external_listen" if part == "api" else "admin_listen"
    config = configured(core, tmp_path, part, **{key: f"127.0.0.1:{port}",
                                                 "zk_quorum": f"{NAME}:{core.ports['zookeeper']}"})
    inside = f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"'
    return subprocess.Popen(["unshare", "--mount", "sh", "-c", inside, "sh",
                             build_dir() / f"bin/loom-{part}", "--config", config],
                            stdin=subprocess.DEVNULL, env={**os.environ, **ENVIRONMENT})


def received(core):
    """How many packets ZooKeeper got."""
    found = re.search(r"Received: (\d+)", servers.receive(core.ports["zookeeper"], b"srvr", 4096).decode())
    return int(found[1]) if found else 0


def spoken(core):
    """Until ZooKeeper was spoken to often."""
    packets = wait_for(lambda: received(core), 60, "ZooKeeper")
    wait_for(lambda: received(core) > packets + 60, 60, "ZooKeeper to be spoken to")


@pytest.mark.parametrize("part", ["api", "scheduler"])
def test_a_silent_name_server_holds_nobody_up(core, names, tmp_path, part):
    port = free_port(tmp_path)
    client = Client(f"http://127.0.0.1:{port}", timeout=300)
    process = start(core, tmp_path, part, port)
    try:
        wait_for(lambda: names.count() == 1, 60, "the name to be asked for")
        wait_for(lambda: client.get("/livez").status == 200, 300, "an answer")
        assert "loom_coord_connected 0" in client.get("/metrics").text
        assert names.count() == 1, "the answer came only after the name server was given up"
        names.answer()
        wait_for(lambda: "loom_coord_connected 1" in client.get("/metrics").text, 60, "ZooKeeper")
        spoken(core)
        asked = names.count()
        names.silence()  # which does not matter as long as the connection lasts
        spoken(core)
        assert names.count() == asked
        assert "loom_coord_connected 1" in client.get("/metrics").text
        assert "loom_coord_sessions_total 1" in client.get("/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_it_ends_while_a_name_is_looked_up(core, names, tmp_path):
    port = free_port(tmp_path)
    process = start(core, tmp_path, "scheduler", port)
    try:
        wait_for(lambda: names.count() == 1, 60, "the name to be asked for")
        wait_for(lambda: Client(f"http://127.0.0.1:{port}", timeout=300).get("/readyz").status == 200, 60, "it")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert names.count() == 1
    finally:
        process.kill()
        process.wait()
