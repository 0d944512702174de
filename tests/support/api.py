# SPDX-License-Identifier: Apache-2.0
"""Loom's REST API as the tests use it, with its event streams."""

import http.client
import json
import socket
import threading
import time

from stacklib.client import Client

from .wait import wait_for

ENDED = ("active", "incomplete", "inconsistent", "terminated")


PASSWORD = "correct horse battery"


class Event:
    """One server-sent event: id (int or None), type, data (a value), text (the raw data)."""

    def __init__(self, number, kind, text):
        self.id = number
        self.type = kind
        self.text = text

    @property
    def data(self):
        """The data as a value."""
        return json.loads(self.text)

    def __repr__(self):
        return f"<event {self.id} {self.type} {self.text[:200]}>"


class Events:
    """A live event stream. A thread reads it; wait() looks at what came and at what comes.

    `seen` is every event so far; `comments` counts heartbeats; `closed` says why it ended.
    """

    def __init__(self, client, path, headers=None, timeout=60):
        self.seen = []
        self.comments = 0
        self.closed = None
        self._changed = threading.Condition()
        self._next = 0
        self._connection, prefix = client.connect(timeout)
        sent = {**client.identity, "Accept": "text/event-stream", **(headers or {})}
        self._connection.request("GET", prefix + path, headers=sent)
        # taken now: http.client lets go of the socket when the answer ends with the connection
        self._socket = self._connection.sock
        self.response = self._connection.getresponse()
        self.status = self.response.status
        self.headers = self.response.headers
        if self.status != 200:
            text = self.response.read().decode("utf-8", "replace")
            self._connection.close()
            raise AssertionError(f"GET {path}: {self.status} {text}")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        number, kind, data = None, "message", []
        reason = "end of stream"
        try:
            for raw in self.response:
                line = raw.decode("utf-8").rstrip("\r\n")
                name, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if line == "":
                    if data:
                        self._add(Event(number, kind, "\n".join(data)))
                    kind, data = "message", []
                elif name == "":
                    with self._changed:
                        self.comments += 1
                        self._changed.notify_all()
                elif name == "id":
                    number = int(value)
                elif name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
            reason = repr(error)
        with self._changed:
            self.closed = reason
            self._changed.notify_all()

    def _add(self, event):
        with self._changed:
            self.seen.append(event)
            self._changed.notify_all()

    def wait(self, check, timeout=60, what="an event"):
        """The first event not yet passed over for which check(event) is true."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._next < len(self.seen):
                    event = self.seen[self._next]
                    self._next += 1
                    if check(event):
                        return event
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    raise AssertionError(f"no {what} within {timeout} s (stream: {self.closed or 'open'}); "
                                         f"last events: {self.seen[-8:]}")
                self._changed.wait(left)

    def wait_type(self, kind, timeout=60, **fields):
        """The next event of a type whose data has these values."""
        def check(event):
            return event.type == kind and all(event.data.get(key) == value for key, value in fields.items())

        return self.wait(check, timeout, f"{kind} event with {fields}")

    def wait_each(self, kind, key, values, timeout=60, **fields):
        """One event of a type for each of these values of a key, in whatever order they come."""
        missing = set(values)

        def check(event):
            return (event.type == kind and event.data.get(key) in missing
                    and all(event.data.get(name) == value for name, value in fields.items()))

        while missing:
            found = self.wait(check, timeout, f"{kind} event with {fields} and {key} in {sorted(missing)}")
            missing.remove(found.data[key])

    def wait_comment(self, timeout=60):
        """Wait for the next heartbeat."""
        with self._changed:
            before = self.comments
            if not self._changed.wait_for(lambda: self.comments > before or self.closed, timeout):
                raise AssertionError(f"no heartbeat within {timeout} s")

    def close(self):
        """End the stream from this side."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(5)
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def signed_in(client, token):
    """The same client of a gateway, as a browser that has a session."""
    client.identity = {"Cookie": f"loom_session={token}", "Sec-Fetch-Site": "same-origin"}
    return client


class Api(Client):
    """The REST client with what many tests do, and patience for a busy machine."""

    def __init__(self, url, user="admin", tenant="superadmin", timeout=60, token=None):
        super().__init__(url, user, tenant, timeout, token)

    def as_user(self, user, tenant="superadmin"):
        """The same server as somebody else."""
        return Api(self.url, user, tenant, self.timeout)

    def events(self, cluster, after=None, last_event_id=None, timeout=60):
        """The numbered stream of one cluster, from its beginning or after a number."""
        path = f"/v2/clusters/{cluster}/events" + (f"?after={after}" if after is not None else "")
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        return Events(self, path, headers, timeout)

    def create_cluster(self, name, template, size, **more):
        """Create a cluster; answers its id."""
        body = {"name": name, "clusterTemplate": template, "numMachines": size, **more}
        answer = self.post("/v2/clusters", body)
        assert answer.status == 200, f"creating {name}: {answer.reason()}"
        return answer.json["id"]

    def cluster(self, cluster):
        """The cluster's details."""
        answer = self.get(f"/v2/clusters/{cluster}")
        assert answer.status == 200, f"cluster {cluster}: {answer.reason()}"
        return answer.json

    def cluster_status(self, cluster):
        """The cluster's status word."""
        answer = self.get(f"/v2/clusters/{cluster}/status")
        return answer.json["status"] if answer.status == 200 else None

    def wait_cluster(self, cluster, status="active", timeout=120):
        """Wait until the cluster has this status; fail at once when it ends in another.

        Asks instead of listening, so that it also works while services are killed.
        """
        deadline = time.monotonic() + timeout
        now = None
        while time.monotonic() < deadline:
            now = self.cluster_status(cluster)
            if now == status:
                return self.cluster(cluster)
            if now in ENDED and now != "active":
                break
            time.sleep(0.1)
        details = self.get(f"/v2/clusters/{cluster}").text
        raise AssertionError(f"cluster {cluster} is {now}, not {status}, after {timeout} s: {details[-3000:]}")

    def delete_cluster(self, cluster, timeout=120):
        """Delete the cluster and wait until it is terminated."""
        answer = self.delete(f"/v2/clusters/{cluster}")
        assert answer.status == 200, f"deleting {cluster}: {answer.reason()}"
        return self.wait_cluster(cluster, "terminated", timeout)


def follow(client, path):
    """A thread that collects a text stream; .text so far, .ended when it is over."""
    class Reader(threading.Thread):
        text, ended, status, headers = "", False, None, None

        def run(self):
            connection, prefix = client.connect()
            connection.request("GET", prefix + path, headers=client.identity)
            answer = connection.getresponse()
            self.status, self.headers = answer.status, answer.headers
            while data := answer.read1(65536):
                self.text += data.decode()
            self.ended = True
            connection.close()

    reader = Reader(daemon=True)
    reader.start()
    return reader


def bearer(stack, token, port="api.external", **more):
    """A client that shows this token, and these headers besides."""
    made = Api(f"http://127.0.0.1:{stack.ports[port]}", user=None, token=token)
    made.identity.update(more)
    return made


def in_tenant(stack, name):
    """The superadmin at work in a tenant."""
    return bearer(stack, stack.token(), **{"X-Loom-TenantID": name})


def make_user(admin, name, role, password=None):
    body = {"role": role, **({"password": password} if password else {})}
    answer = admin.put(f"/v2/users/{name}", body)
    assert answer.status == 200, answer


def make_token(admin, name, **more):
    answer = admin.post("/v2/tokens", {"name": name, **more})
    assert answer.status == 200, answer
    return answer.json


def sign_in(stack, tenant, user, password):
    return bearer(stack, None).post("/v2/login", {"tenant": tenant, "user": user, "password": password})


# ---- provisioners


def take(client, tenant="*", **more):
    body = {"provisionerId": "p1", "workerId": "w1", "tenantId": tenant, "claim": True, **more}
    return client.post("/v2/tasks/take", body)


def register(client, name="p1"):
    return client.put(f"/v2/provisioners/{name}", {"id": name, "host": "h", "port": 1, "capacityTotal": 1})


# So soon after it was revoked all ends that a token is shown for; a busy machine adds to it.
PROMISED, PATIENCE = "which is within a second", 60


def until_refused(client, path="/v2/clusters"):
    """Waits until a client is not let in any more."""
    wait_for(lambda: client.get(path).status == 401, PATIENCE, f"the end of a token, {PROMISED}")
