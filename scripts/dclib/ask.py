# SPDX-License-Identifier: Apache-2.0
"""Questions to one server that an answer is not certain from: HTTP, and lines over TCP."""

import http.client
import socket


def fetch(address, port, path, timeout=2.0, headers=None):
    """(status, body) of a GET; (0, why) when nobody answers."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


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
