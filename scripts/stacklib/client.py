# SPDX-License-Identifier: Apache-2.0
"""A small HTTP client for Loom's REST API. It never goes through a proxy: all is on this machine."""

import http.client
import json
import os
import pathlib
import urllib.parse


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

    @classmethod
    def from_env(cls):
        """As the loom command finds its server and user."""
        token = os.environ.get("LOOM_TOKEN")
        if not token and os.environ.get("LOOM_TOKEN_FILE"):
            token = pathlib.Path(os.environ["LOOM_TOKEN_FILE"]).read_text(encoding="ascii").strip()
        return cls(os.environ.get("LOOM_URL") or "http://127.0.0.1:55054",
                   os.environ.get("LOOM_USER") or "admin",
                   os.environ.get("LOOM_TENANT") or ("" if token else "superadmin"), token=token)

    def connect(self, timeout=None):
        """(connection, path prefix) to the server."""
        parts = urllib.parse.urlsplit(self.url)
        maker = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return maker(parts.hostname, parts.port, timeout=timeout or self.timeout), parts.path

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
            return Answer(0, {}, (str(error) or type(error).__name__).encode())
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
