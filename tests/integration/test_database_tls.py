# SPDX-License-Identifier: Apache-2.0
"""Connections to the database by TLS: to the right server only, and never without."""

import os
import socket
import subprocess
import threading

import pytest

from support import wait_for
from support.authority import Authority
from support.stack import ENVIRONMENT, build_dir

PARTS = ("mariadb", "zookeeper", "api", "scheduler")


class Listening(threading.Thread):
    """Stands between a service and the database and keeps what passes."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target = port
        self.seen = bytearray()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                one, _ = self.server.accept()
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", self.target))
            for source, sink in ((one, other), (other, one)):
                threading.Thread(target=self.pass_on, args=(source, sink), daemon=True).start()

    def pass_on(self, source, sink):
        """All of one direction."""
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def tls(new_stack):
    """A stack whose database speaks TLS as 127.0.0.1, with nobody connected yet; and its authority."""
    stack = new_stack(name="dbtls", up=False)
    folder = stack.dir / "tls"
    folder.mkdir()
    authority = Authority(folder)
    certificate, key = authority.issue("mariadb")
    key.chmod(0o644)  # its server runs as another user
    stack.settings += [f"mariadb.ssl_cert={certificate}", f"mariadb.ssl_key={key}"]
    stack.up("mariadb", "zookeeper")
    return stack, authority


def test_by_tls_and_only_so(tls):
    stack, authority = tls
    between = Listening(stack.ports["mariadb"])
    settings = [f"{part}.{line}" for part in ("api", "scheduler") for line in
                (f"db_tls_ca={authority.ca}", f"db_port={between.port}")]
    stack.start("api", "scheduler", settings=settings)
    made = stack.api.post("/v2/services", {"name": "whispered"})
    assert made.ok, made
    assert stack.api.get("/v2/services/whispered").ok
    assert b"MariaDB" in between.seen  # its greeting; from then on nothing can be read
    for word in (b"whispered", b"SELECT", b"loom_scheduler", b"COMMIT"):
        assert word not in between.seen, word
    between.server.close()


def test_nobody_else_is_spoken_to(tls):
    stack, authority = tls
    other = Authority(stack.dir / "tls", "other").issue("foreign")
    elsewhere = authority.issue("elsewhere", names="DNS:elsewhere")
    right = stack.dir / "tls/mariadb.pem", stack.dir / "tls/mariadb.key"
    stack.start("api", settings=(f"api.db_tls_ca={authority.ca}",))
    for pair, by_tls in ((other, 1), (right, 1), (elsewhere, 1), (right, 0), (right, 1)):
        pair[1].chmod(0o644)
        stack.stop("mariadb")
        stack.start("mariadb", settings=(f"mariadb.ssl_cert={pair[0]}", f"mariadb.ssl_key={pair[1]}",
                                         f"mariadb.ssl={by_tls}"))
        good = bool(pair is right and by_tls)
        wait_for(lambda want=good: stack.api.get("/readyz").ok == want, 60, what=f"ready: {good}")
        if not good:  # although it serves others
            before = stack.metric("api.external", "loom_db_connect_errors_total")
            wait_for(lambda old=before: stack.metric("api.external", "loom_db_connect_errors_total") > old, 60)
            assert stack.sql("SELECT 1") == [["1"]]


def test_why_is_said(tls):
    """A service that starts says whom it waits for, and why in vain."""
    stack, _ = tls
    other = Authority(stack.dir / "tls", "other").ca
    words = [str(stack.bin / "loom-scheduler"), f"--cluster-key-file={stack.dir}/secrets/db.password",
             f"--db-port={stack.ports['mariadb']}", f"--db-tls-ca={other}"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT}) as service:
        said = next(line for line in service.stderr if "waiting for the database" in line)
        service.kill()
    assert "certificate" in said, said


def test_an_account_that_needs_a_certificate(tls):
    stack, authority = tls
    init = stack.dir / "tls/init.sql"
    password = (stack.dir / "secrets/db.password").read_text(encoding="ascii").strip()
    init.write_text((stack.dir / "mariadb/init.sql").read_text(encoding="ascii") +
                    f"CREATE OR REPLACE USER 'shy'@'127.0.0.1' IDENTIFIED BY '{password}' REQUIRE X509;\n"
                    "GRANT ALL PRIVILEGES ON `loom`.* TO 'shy'@'127.0.0.1';\n", encoding="ascii")
    stack.stop("mariadb")
    stack.start("mariadb", settings=(f"mariadb.init_file={init}", f"mariadb.ssl_ca={authority.ca}"))
    own, key = authority.issue("loom")
    stack.start("api", settings=("api.db_user=shy", f"api.db_tls_ca={authority.ca}",
                                 f"api.db_tls_certificate={own}", f"api.db_tls_key={key}"))
    assert stack.api.post("/v2/services", {"name": "shown"}).ok


@pytest.mark.parametrize("settings, says", (
    (("--db-tls-ca=/nowhere/ca.pem",), "db_tls_ca /nowhere/ca.pem: No such file"),
    (("--db-tls-certificate={0}",), "db_tls_certificate and db_tls_key go together"),
    (("--db-tls-certificate={0}", "--db-tls-key={0}"), "db_tls_certificate needs db_tls_ca"),
))
def test_what_is_wrong_is_said_at_the_start(settings, says, tmp_path):
    there = tmp_path / "there"
    there.write_text("0" * 64, encoding="ascii")
    words = [word.format(there) for word in settings]
    done = subprocess.run([str(build_dir() / "bin/loom-scheduler"), f"--cluster-key-file={there}", *words],
                          capture_output=True, text=True, timeout=60, env={**os.environ, **ENVIRONMENT}, check=False)
    assert done.returncode == 1 and says in done.stderr, done.stderr
