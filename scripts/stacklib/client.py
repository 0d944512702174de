# SPDX-License-Identifier: Apache-2.0
"""A small HTTP client for Loom's REST API. It never goes through a proxy: all is on this machine."""

import http.client
import json
import os
import pathlib
import re
import ssl
import urllib.parse

from . import StackError


class Answer:
    """What came back. Status 0: nobody answered, and text says why."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def ok(self):
        """2xx."""
        return 200 <= self.status < 300

    @property
    def text(self):
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        """The body as a value."""
        return json.loads(self.body)

    @property
    def warnings(self):
        """What the server remarks (RFC 7234 5.5), as a field that it passed over."""
        return re.findall(r'\b299 \S+ "((?:[^"\\]|\\.)*)"', ", ".join(self.headers.get_all("Warning", [])))

    def reason(self):
        """Why it failed, in one line, whether problem document or plain text."""
        try:
            document = self.json
            text = document.get("detail") or document.get("title") if isinstance(document, dict) else ""
        except ValueError:
            text = ""
        return f"{self.status or 'no answer'}: {text or self.text.strip()[:500]}"

    def __repr__(self):
        return f"<{self.reason()}>"


def _token_of(path):
    """What a file holds; None without a path."""
    try:
        return pathlib.Path(path).read_text(encoding="ascii").strip() if path else None
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"LOOM_TOKEN_FILE {path}: {getattr(error, 'strerror', None) or 'it holds no token'}") from error


def _tls_from_env():
    """Whom to believe, and what to show."""
    authorities, certificate = os.environ.get("LOOM_CA_FILE"), os.environ.get("LOOM_CLIENT_CERTIFICATE")
    try:
        context = ssl.create_default_context(cafile=authorities or None)
    except OSError as error:
        raise StackError(f"LOOM_CA_FILE {authorities}: {error.strerror or 'it holds no certificate'}") from error
    try:
        if certificate:
            context.load_cert_chain(certificate, os.environ.get("LOOM_CLIENT_KEY"))
    except OSError as error:
        raise StackError(f"LOOM_CLIENT_CERTIFICATE {certificate}, or its key: {error.strerror or error}") from error
    return context


class Client:
    """Requests to one server as one user: whose token it is, in the tenant if one is named; without
    a token whoever it says."""

    def __init__(self, url, user="admin", tenant="superadmin", timeout=30, token=None):
        self.url = url.rstrip("/")
        self.identity = {"X-Loom-TenantID": tenant} if user and tenant else {}
        if token:
            self.identity["Authorization"] = f"Bearer {token}"
        elif user:
            self.identity["X-Loom-UserID"] = user
        self.timeout = timeout
        self.tls = None  # ssl.SSLContext; None: the system's

    @classmethod
    def from_env(cls):
        """As the loom command finds its server and user."""
        token = os.environ.get("LOOM_TOKEN") or _token_of(os.environ.get("LOOM_TOKEN_FILE"))
        made = cls(os.environ.get("LOOM_URL") or "http://127.0.0.1:55054",
                   os.environ.get("LOOM_USER") or "admin",
                   os.environ.get("LOOM_TENANT") or ("" if token else "superadmin"), token=token)
        if not re.fullmatch(r"https?://(\[[0-9A-Fa-f:.]+\]|[^/:@\s]+)(:[0-9]{1,5})?(/\S*)?", made.url):
            raise StackError(f"LOOM_URL is '{made.url}', which is no address like http://127.0.0.1:55054")
        if made.url.startswith("https:"):
            made.tls = _tls_from_env()
        return made

    def connect(self, timeout=None):
        """(connection, path prefix) to the server."""
        parts = urllib.parse.urlsplit(self.url)
        timeout = timeout or self.timeout
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=self.tls), parts.path
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout), parts.path

    def request(self, method, path, body=None, headers=None, timeout=None):
        """One request; a body that is not bytes or text goes out as JSON."""
        connection, prefix = self.connect(timeout)
        sent = {**self.identity, **(headers or {})}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, prefix + path, body=body, headers=sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, http.client.HTTPMessage(), (str(error) or type(error).__name__).encode())
        finally:
            connection.close()

    def get(self, path, **options):
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        """POST."""
        return self.request("POST", path, body, **options)

    def put(self, path, body=None, **options):
        """PUT."""
        return self.request("PUT", path, body, **options)

    def delete(self, path, body=None, **options):
        """DELETE."""
        return self.request("DELETE", path, body, **options)
