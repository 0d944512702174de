# SPDX-License-Identifier: Apache-2.0
"""Questions to one server that an answer is not certain from: HTTP, and lines over TCP."""

import contextlib
import http.client
import socket
import ssl


def _connection(address, port, timeout, ca):
    if not ca:
        return http.client.HTTPConnection(address, port, timeout=timeout)
    return http.client.HTTPSConnection(address, port, timeout=timeout, context=ssl.create_default_context(cafile=ca))


def fetch(address, port, path, timeout=2.0, headers=None, ca=None):
    """(status, body) of a GET; (0, why) when nobody answers. ca: by TLS, to whom these authorities vouch for."""
    try:
        with contextlib.closing(_connection(address, port, timeout, ca)) as connection:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


def talk(address, port, send=b"", timeout=1.0, until=65536):
    """Bytes that a server sends (after `send`), up to its end of file or `until` bytes."""
    data = b""
    try:
        with socket.create_connection((address, port), timeout=timeout) as sock:
            sock.settimeout(timeout)
            sock.sendall(send)
            while len(data) < until:
                chunk = sock.recv(65536)
                if not chunk:
                    break
                data += chunk
    except OSError:
        pass
    return data
