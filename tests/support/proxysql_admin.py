# SPDX-License-Identifier: Apache-2.0
"""What stands in for ProxySQL's admin port: the same tables, in SQLite as there, behind MariaDB's protocol.

ProxySQL itself cannot be installed from the registries that the tests use (it is not in Debian). What is
here is what its documentation says of mysql_servers, runtime_mysql_servers and LOAD MYSQL SERVERS TO
RUNTIME; that real ones do so is not tested here.
"""

import hashlib
import os
import socketserver
import sqlite3
import struct
import threading

COLUMNS = ("hostgroup_id INT NOT NULL DEFAULT 0, hostname VARCHAR NOT NULL, port INT NOT NULL DEFAULT 3306, "
           "status VARCHAR NOT NULL DEFAULT 'ONLINE' "
           "CHECK (UPPER(status) IN ('ONLINE', 'SHUNNED', 'OFFLINE_SOFT', 'OFFLINE_HARD')), "
           "weight INT NOT NULL DEFAULT 1, max_connections INT NOT NULL DEFAULT 1000")
LOAD = ("DELETE FROM runtime_mysql_servers", "INSERT INTO runtime_mysql_servers SELECT * FROM mysql_servers")
PLUGIN = b"mysql_native_password"


class Refused(Exception):
    """A statement or a client that is told no."""


def sized(data):
    """A length-encoded text."""
    assert len(data) < 251
    return bytes([len(data)]) + data


class Session(socketserver.BaseRequestHandler):
    """One client."""

    sequence: int = 0  # of the next packet

    def send(self, data):
        """The next packet."""
        self.request.sendall(len(data).to_bytes(3, "little") + bytes([self.sequence]) + data)
        self.sequence = (self.sequence + 1) % 256

    def take(self):
        """The client's next packet; empty when it is gone."""
        head = self.request.recv(4, 0x100)  # MSG_WAITALL
        if len(head) < 4:
            return b""
        self.sequence = (head[3] + 1) % 256
        return self.request.recv(int.from_bytes(head[:3], "little"), 0x100)

    def handle(self):
        """Who it is, and then one statement after the other."""
        self.sequence = 0
        self.server.came.append(self.request)
        try:
            self.log_in()
            while (data := self.take())[:1] == b"\x03":
                self.answer(data[1:].decode())
        except Refused as error:
            self.send(b"\xff" + struct.pack("<H", 1045) + b"#28000" + str(error).encode())
        except OSError:
            pass

    def log_in(self):
        """With mysql_native_password; a client that begins with another salt is told the right one."""
        salt = bytes(byte % 127 + 1 for byte in os.urandom(20))
        told = bytes(20) if self.server.asks_twice else salt
        self.send(b"\x0a" + b"5.5.30 (ProxySQL Admin Module)\0" + struct.pack("<I", 7) + told[:8] + b"\0" +
                  struct.pack("<HBHHB10x", 0xA208, 33, 2, 0x0008, 21) + told[8:] + b"\0" + PLUGIN + b"\0")
        name, _, rest = self.take()[32:].partition(b"\0")
        given = rest[1:1 + rest[0]]
        if self.server.asks_twice:
            self.send(b"\xfe" + PLUGIN + b"\0" + salt + b"\0")
            given = self.take()
        once = hashlib.sha1(self.server.account[1].encode()).digest()
        mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
        if (name.decode(), bytes(a ^ b for a, b in zip(given, mask))) != (self.server.account[0], once):
            raise Refused(f"Access denied for user '{name.decode()}'")
        self.send(b"\0\0\0\2\0\0\0")

    def answer(self, statement):
        """A result, or that it is done."""
        try:
            rows = self.server.run(statement)
        except sqlite3.Error as error:
            self.send(b"\xff" + struct.pack("<H", 1045) + b"#28000" + str(error).encode())
            return
        if rows is None:
            self.send(b"\0\0\0\2\0\0\0")
            return
        names, values = rows
        self.send(bytes([len(names)]))
        for name in names:
            self.send(b"".join(map(sized, (b"def", b"", b"", b"", name.encode(), b""))) + b"\x0c" +
                      struct.pack("<HIBHBH", 33, 255, 253, 0, 0, 0))
        self.send(b"\xfe\0\0\2\0")
        for row in values:
            self.send(b"".join(sized(str(value).encode()) for value in row))
        self.send(b"\xfe\0\0\2\0")


class AdminPort(socketserver.ThreadingTCPServer):
    """One ProxySQL's admin port. Use as a context manager."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, password, name="loom-admin", address=("127.0.0.1", 0)):
        self.account = (name, password)
        self.asks_twice = False
        self.breaks_at = ""   # the connection ends at a statement that begins so, once
        self.came, self.said = [], []
        self.lock = threading.Lock()
        self.tables = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        for table in ("mysql_servers", "runtime_mysql_servers"):
            self.tables.execute(f"CREATE TABLE {table} ({COLUMNS}, PRIMARY KEY (hostgroup_id, hostname, port))")
        super().__init__(address, Session)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        self.tables.close()

    def run(self, statement):
        """(names, rows) of a query, None of all else."""
        with self.lock:
            if self.breaks_at and statement.startswith(self.breaks_at):
                self.breaks_at = ""
                raise OSError("as if it were killed")
            self.said.append(statement)
            if statement == "LOAD MYSQL SERVERS TO RUNTIME":
                for each in LOAD:
                    self.tables.execute(each)
                return None
            found = self.tables.execute(statement)
            return ([column[0] for column in found.description], found.fetchall()) if found.description else None

    @property
    def runtime(self):
        """{(hostgroup, address, port)} that ProxySQL sends to."""
        return set(self.run("SELECT hostgroup_id, hostname, port FROM runtime_mysql_servers")[1])

    def forget(self):
        """As after a restart: nothing is configured, and nobody is connected."""
        with self.lock:
            for table in ("mysql_servers", "runtime_mysql_servers"):
                self.tables.execute(f"DELETE FROM {table}")
        for sock in self.came:
            try:
                sock.shutdown(2)
            except OSError:
                pass
        self.came.clear()
