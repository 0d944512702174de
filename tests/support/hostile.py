# SPDX-License-Identifier: Apache-2.0
"""What nobody sends by mistake: odd values in documents, bodies that are none, requests that are none."""

import copy
import json
import socket

LONG = 2000

# What is put into the place of each value.
ODD = ["", " ", "a\nb", "a\0b", "\x1b[31m", "\u202eabc", "é" * 200, "x" * 70000, "../../etc/passwd", "%s%n", "%host.self%",
       "' OR 1=1--", "-x", "0x10", 0, -1, 1.5, 1e300, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -2**63, 10**30, True,
       False, None, [], {}, [[]], [None], ["", "a", "a"], [{}], {"": ""}, {"a": None}, {"x" * 300: "x"},
       {"a": {"b": [1]}}, ["x"] * LONG, {str(number): "v" for number in range(LONG)}]

# What is sent instead of a document.
NO_OBJECTS = [b"", b"null", b"true", b"5", b'"x"', b"[]", b"[{}]", b"{", b"{} x", b'{"a":1,"a":2}', b"\xff", b"\0",
              b"[" * 100, b'{"a":1e400}', b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}"]

WHO = b"X-Loom-UserID: admin\r\nX-Loom-TenantID: superadmin\r\n"
BODY = b'{"name":"x"}'


def request(line, headers=b"", body=b"", host=b"Host: localhost\r\n"):
    """The bytes of one request after which the connection ends."""
    return line + b"\r\n" + host + WHO + b"Connection: close\r\n" + headers + b"\r\n" + body


GET, POST = b"GET /v2/clusters HTTP/1.1", b"POST /v2/clusters HTTP/1.1"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"c\r\n" + BODY + b"\r\n0\r\n\r\n"

# name: (bytes, the status that must come)
REQUESTS = {
    "two lengths": (request(POST, b"Content-Length: 12\r\nContent-Length: 13\r\n", BODY), 400),
    "the same length twice": (request(POST, b"Content-Length: 12\r\nContent-Length: 12\r\n", BODY), 400),
    "a list of lengths": (request(POST, b"Content-Length: 12, 12\r\n", BODY), 400),
    "length with a sign": (request(POST, b"Content-Length: +12\r\n", BODY), 400),
    "negative length": (request(POST, b"Content-Length: -1\r\n"), 400),
    "length in hex": (request(POST, b"Content-Length: 0xc\r\n", BODY), 400),
    "length beyond 64 bits": (request(POST, b"Content-Length: 18446744073709551628\r\n", BODY), 400),
    "length and chunks": (request(POST, b"Content-Length: 12\r\n" + CHUNKED, CHUNK), 400),
    "chunks twice": (request(POST, CHUNKED * 2, CHUNK), 400),
    "chunks in another coding": (request(POST, b"Transfer-Encoding: gzip, chunked\r\n", CHUNK), 400),
    "identity": (request(POST, b"Transfer-Encoding: identity\r\n", BODY), 400),
    "a chunk too large": (request(POST, CHUNKED, b"ffffffff\r\n"), 413),
    "a negative chunk": (request(POST, CHUNKED, b"-c\r\n"), 400),
    "a trailer": (request(POST, CHUNKED, b"c\r\n" + BODY + b"\r\n0\r\nX: y\r\n\r\n"), 400),
    "chunks with extensions": (request(POST, CHUNKED, b'c;a="b"\r\n' + BODY + b"\r\n0;x\r\n\r\n"), 400),  # BODY is no cluster
    "folded header": (request(GET, b"X-A: b\r\n c\r\n"), 400),
    "bare line feeds": (b"GET /v2/clusters HTTP/1.1\nHost: localhost\n\n", 400),
    "bare carriage return": (request(GET, b"X: a\rb\r\n"), 400),
    "space before the colon": (request(GET, b"X : a\r\n"), 400),
    "NUL in a header": (request(GET, b"X: a\0b\r\n"), 400),
    "1000 headers": (request(GET, b"".join(b"X-%d: a\r\n" % number for number in range(1000))), 431),
    "a long header": (request(GET, b"X: " + b"a" * 70000 + b"\r\n"), 431),
    "a long target": (request(b"GET /v2/clusters?x=" + b"a" * 70000 + b" HTTP/1.1"), 414),
    "NUL in the path": (request(b"GET /v2/services/a%00b HTTP/1.1"), 400),
    "slash in a name": (request(b"GET /v2/services/a%2fb HTTP/1.1"), 400),
    "dots in the path": (request(b"GET /v2/../v2/clusters HTTP/1.1"), 400),
    "hidden dots": (request(b"GET /v2/%2e%2e/v2/clusters HTTP/1.1"), 400),
    "half an escape": (request(b"GET /v2/services/a%2 HTTP/1.1"), 400),
    "line break in the path": (request(b"GET /v2/services/a%0d%0aX:y HTTP/1.1"), 400),
    "overlong UTF-8 in the path": (request(b"GET /v2/services/%c0%af HTTP/1.1"), 404),
    "NUL in the query": (request(b"GET /v2/clusters?status=%00 HTTP/1.1"), 400),
    "absolute form": (request(b"GET http://localhost/v2/clusters HTTP/1.1"), 200),
    "absolute form elsewhere": (request(b"GET http://evil.example/v2/clusters HTTP/1.1"), 421),
    "absolute form with a user": (request(b"GET http://a@localhost/v2/clusters HTTP/1.1"), 400),
    "CONNECT": (request(b"CONNECT localhost:80 HTTP/1.1"), 501),
    "TRACE": (request(b"TRACE /livez HTTP/1.1"), 405),
    "OPTIONS": (request(b"OPTIONS /v2/clusters HTTP/1.1"), 204),
    "method in small letters": (request(b"get /v2/clusters HTTP/1.1"), 501),
    "HEAD": (request(b"HEAD /v2/clusters HTTP/1.1"), 200),
    "HTTP/1.0": (b"GET /v2/clusters HTTP/1.0\r\n" + WHO + b"\r\n", 200),
    "HTTP/2.0": (request(b"GET /livez HTTP/2.0"), 505),
    "HTTP/0.9": (b"GET /livez\r\n", 400),
    "no Host": (request(GET, host=b""), 400),
    "two Hosts": (request(GET, host=b"Host: localhost\r\nHost: evil\r\n"), 400),
    "another Host": (request(GET, host=b"Host: evil.example\r\n"), 421),
    "an odd Host": (request(GET, host=b"Host: a b\r\n"), 400),
    "a number as Host": (request(GET, host=b"Host: 2130706433\r\n"), 421),
    "expects to go on": (request(POST, b"Expect: 100-continue\r\nContent-Length: 12\r\n", BODY), 400),  # no cluster
    "expects nonsense": (request(POST, b"Expect: nonsense\r\nContent-Length: 12\r\n", BODY), 417),
    "who, twice": (request(GET, b"X-Loom-UserID: bob\r\n"), 400),
    "who, by the original's name too": (request(GET, b"Coopr-UserID: bob\r\n"), 400),
    "which token, twice": (request(GET, b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), 400),
    "which request, twice": (request(POST, b"Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 12\r\n", BODY), 400),
    "event far off": (request(b"GET /v2/clusters/99999999/events HTTP/1.1", b"Last-Event-ID: 99999999\r\n"), 404),
    "a long key": (request(POST, b"Idempotency-Key: " + b"k" * 300 + b"\r\nContent-Length: 12\r\n", BODY), 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501),
    "zeros": (b"\0" * 100, 400),
}


def places(value, path=()):
    """The paths of all values of a document, the whole first."""
    yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in below:
        yield from places(inner, (*path, key))


def changed(document, path, value):
    """The document with another value in one place."""
    if not path:
        return value
    document = copy.deepcopy(document)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def bodies(document):
    """(what it is, bytes): no documents at all, then the document with each value replaced."""
    for body in NO_OBJECTS:
        yield repr(body[:40]), body
    for path in places(document):
        for value in ODD:
            yield f"{path}: {repr(value)[:60]}", json.dumps(changed(document, path, value)).encode()


def answer_to(port, data, timeout=60):
    """All that a server says to some bytes until it ends the connection."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            while len(said) < 1 << 20 and (some := connection.recv(65536)):
                said += some
        except (ConnectionError, TimeoutError):
            pass
    return said


def status_of(said):
    """The status of an answer; 0 when there is none."""
    words = said[:64].split(b" ", 2)
    return int(words[1]) if len(words) > 1 and said.startswith(b"HTTP/1.") and words[1].isdigit() else 0
