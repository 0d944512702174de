# SPDX-License-Identifier: Apache-2.0
"""What galera-check, galera-start and proxysql-follow share: configuration, peers' states, a small client.

The client speaks just enough of MariaDB's protocol for one local administrator: a socket and an
account that the server knows by its system user, or a port, a name and a password; plain text
queries. Every step has a deadline, so that a server that hangs is noticed.
"""

import configparser
import hashlib
import http.client
import json
import os
import pwd
import socket
import struct

CLIENT_FLAGS = 0x00000200 | 0x00008000 | 0x00080000  # 4.1 protocol, secure connection, plugins


def parse(path):
    """galera-check.conf as sections."""
    parser = configparser.ConfigParser(interpolation=None)
    with open(path, encoding="utf-8") as file:
        parser.read_file(file)
    return parser


class Config:
    """galera-check.conf."""

    def __init__(self, path):
        parser = parse(path)
        own = parser["galera"]
        self.node, self.address = own["node"], own["address"]
        self.port, self.db_port = int(own["port"]), int(own["db_port"])
        self.socket, self.data, self.note = own["socket"], own["data"], own["note"]
        self.defaults_file = own["defaults_file"]
        self.peers = dict(parser["peers"])


class DbError(Exception):
    """The server does not answer, or with an error."""


class Db:
    """One connection. place: the server's socket, as the system user this process runs as; or (host, port)
    with an account, (name, password)."""

    def __init__(self, place, timeout, account=None):
        self.sock = socket.socket(socket.AF_INET if account else socket.AF_UNIX)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(place)
            if account:
                self._log_in(*account)
            else:
                self._log_in_by_system()
        except (OSError, DbError, IndexError) as error:
            self.close()
            raise DbError(str(error)) from error

    def close(self):
        """End the connection."""
        self.sock.close()

    def _read(self, size):
        data = b""
        while len(data) < size:
            chunk = self.sock.recv(size - len(data))
            if not chunk:
                raise DbError("the server closed the connection")
            data += chunk
        return data

    def _packet(self):
        head = self._read(4)
        self.sequence = head[3]
        data = self._read(int.from_bytes(head[:3], "little"))
        if data[:1] == b"\xff":
            raise DbError(data[3:].decode("utf-8", "replace"))
        return data

    def _send(self, data, sequence):
        self.sock.sendall(len(data).to_bytes(3, "little") + bytes([sequence]) + data)

    def _log_in(self, name, password):
        """With mysql_native_password, which servers may ask for twice."""
        version, _, rest = self._packet()[1:].partition(b"\0")
        if not version or len(rest) < 43:
            raise DbError("this is no MariaDB or ProxySQL")
        answer = scrambled(password, rest[4:12] + rest[31:43])
        self._send(struct.pack("<IIB23x", CLIENT_FLAGS, 1 << 24, 45) + name.encode() + b"\0" +
                   bytes([len(answer)]) + answer + b"mysql_native_password\0", self.sequence + 1)
        reply = self._packet()
        if reply[:1] == b"\xfe":
            plugin, _, salt = reply[1:].partition(b"\0")
            if plugin != b"mysql_native_password":
                raise DbError(f"the server wants {plugin.decode('ascii', 'replace')}")
            self._send(scrambled(password, salt[:20]), self.sequence + 1)
            reply = self._packet()
        if reply[:1] != b"\0":
            raise DbError("the server did not let us in")

    def _log_in_by_system(self):
        self._packet()
        user = pwd.getpwuid(os.geteuid()).pw_name.encode()
        self._send(struct.pack("<IIB23x", CLIENT_FLAGS, 1 << 24, 45) + user + b"\0\0unix_socket\0",
                   self.sequence + 1)
        while self._packet()[:1] != b"\0":
            self._send(b"", self.sequence + 1)

    def query(self, sql):
        """Rows of texts (None for NULL); an empty list for a statement without a result."""
        try:
            self._send(b"\x03" + sql.encode(), 0)
            first = self._packet()
            if first[:1] == b"\0":
                return []
            while self._packet()[:1] != b"\xfe":
                pass
            rows = []
            while True:
                data = self._packet()
                if data[:1] == b"\xfe" and len(data) < 9:
                    return rows
                rows.append(self._row(data))
        except OSError as error:
            raise DbError(str(error) or "timed out") from error

    @staticmethod
    def _row(data):
        row, at = [], 0
        while at < len(data):
            size, at = data[at], at + 1
            if size == 0xfb:
                row.append(None)
                continue
            if size >= 0xfc:
                width = {0xfc: 2, 0xfd: 3, 0xfe: 8}[size]
                size, at = int.from_bytes(data[at:at + width], "little"), at + width
            row.append(data[at:at + size].decode("utf-8", "replace"))
            at += size
        return row


def scrambled(password, salt):
    """A password as mysql_native_password sends it."""
    once = hashlib.sha1(password.encode()).digest()
    twice = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
    return bytes(one ^ other for one, other in zip(once, twice))


def notify(text):
    """Tell systemd, when it listens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(text.encode(), "\0" + path[1:] if path.startswith("@") else path)


def ask(address, port, timeout=0.5):
    """What the galera-check of another node says about it; None when it does not answer."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/state")
        return json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
