# SPDX-License-Identifier: Apache-2.0
"""The load: clients that create, list, get, delete and watch clusters through one address.

Each has a random generator of its own, seeded by the run's seed and its name, and writes what it
did to the history.
"""

import ctypes
import http.client
import random
import socket
import threading
import time

from .history import crc

CLONE_NEWNET = 0x40000000
GONE = ("terminated",)
ENDED = ("active", "incomplete", "inconsistent", "terminated")
UNHEARD = (500, 502, 504)  # an answer that does not say whether it was done
UNKNOWN = "outcome of the commit unknown"


def verdict(answer):
    """ok, fail (certainly not done) or info (who knows)."""
    if answer.ok:
        return "ok"
    if answer.status == 0:
        return "fail" if never_sent(answer.text) else "info"
    if answer.status in UNHEARD or UNKNOWN in answer.text:
        return "info"
    return "fail"


def is_final(answer):
    """A conflict, but for that of a request with its own, which is still under way."""
    return answer.status == 409 and not answer.headers["Retry-After"]


def never_sent(text):
    """Whether nobody took the connection."""
    return any(words in text for words in ("refused", "No route to host", "Network is unreachable"))


class Pacer:
    """Threads that wait for each other's end."""

    def __init__(self):
        self.ending = threading.Event()
        self.threads = []

    def start(self, target, *arguments):
        """One more thread."""
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def stop(self, seconds=30):
        """End them all."""
        self.ending.set()
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.1, deadline - time.monotonic()))


class User:
    """One client that makes requests and remembers its own clusters.

    It gives each create a name, and sends it again when it was not acknowledged.
    """

    named = True

    def __init__(self, load, name, tenant, mix, interval, keep):
        self.load, self.name, self.tenant, self.mix = load, name, tenant, mix
        self.interval, self.keep = interval, keep
        self.api = load.site.api("admin", tenant, timeout=6)
        self.random = random.Random(f"{load.seed}/{name}")
        self.mine = {}  # id -> last known status
        self.count = 0

    AGAIN = 15  # seconds in which a request with a name of its own is sent again and again

    def request(self, what, send, repeat=False, **about):
        """One request with its two records; the answer. repeat: it is safe to send it again."""
        history = self.load.history
        number = history.invoke(self.name, what, **about)
        began = time.monotonic()
        answer, tries = send(), 1
        kind = verdict(answer)
        while repeat and kind != "ok" and not is_final(answer) and time.monotonic() < began + self.AGAIN:
            time.sleep(0.1)
            unsure = kind == "info"
            answer, tries = send(), tries + 1
            kind = verdict(answer)
            # A later refusal says nothing about an earlier attempt that nobody heard of.
            kind = "info" if kind == "fail" and unsure else kind
        more = {"status": answer.status, "ms": round((time.monotonic() - began) * 1000, 1)}
        if tries > 1:
            more["tries"] = tries
        if kind == "ok" and what == "create":
            more["id"] = answer.json["id"]
        if kind != "ok":
            more["why"] = answer.reason()[:160]
        history.add(self.name, kind, op=number, **more)
        return answer

    def create(self):
        """A new cluster."""
        self.count += 1
        template, size = self.random.choice(self.mix)
        name = f"{self.name}-{self.count}"
        body = {"name": name, "clusterTemplate": template, "numMachines": size}
        headers = {"Idempotency-Key": f"{self.load.seed}/{name}"} if self.named else {}
        answer = self.request("create", lambda: self.api.post("/v2/clusters", body, headers=headers), self.named,
                              name=name, size=size, tenant=self.tenant, template=template, named=self.named)
        if answer.ok:
            self.mine[answer.json["id"]] = "pending"
            self.load.created(self, answer.json["id"])
        return answer

    def look(self, cluster):
        """One of its clusters."""
        answer = self.request("get", lambda: self.api.get(f"/v2/clusters/{cluster}/status"), cluster=cluster)
        if answer.ok:
            self.mine[cluster] = answer.json["status"]
            if self.mine[cluster] in GONE:
                del self.mine[cluster]

    def delete(self, cluster):
        """Have one of its clusters deleted."""
        self.request("delete", lambda: self.api.delete(f"/v2/clusters/{cluster}"), cluster=cluster)

    def step(self):
        """Whatever chance wants."""
        settled = [cluster for cluster, status in self.mine.items() if status in ENDED]
        pending = [cluster for cluster, status in self.mine.items() if status not in ENDED]
        dice = self.random.random()
        if settled and (len(self.mine) >= self.keep or dice < 0.2):
            cluster = self.random.choice(settled)
            self.delete(cluster)
            self.mine[cluster] = "pending"
        elif pending and (len(self.mine) >= self.keep or dice < 0.4):
            self.look(self.random.choice(pending))
        elif dice < 0.45:
            self.request("list", lambda: self.api.get("/v2/clusters"))
        else:
            return self.create()
        return None

    def run(self):
        """One step after the other."""
        while not self.load.pacer.ending.wait(self.interval * self.random.uniform(0.6, 1.4)):
            self.step()


class Prober(User):
    """Creates at a steady pace, so that every second without one is seen; its oldest ones go.

    What it asks for it asks once.
    """

    named = False

    def step(self):
        """One create, and maybe the end of an older one, wherever that has got to."""
        self.create()
        if len(self.mine) > self.keep:
            cluster = next(iter(self.mine))
            del self.mine[cluster]
            self.delete(cluster)


class Reader:
    """Safe requests over new connections, again and again: is anybody there?"""

    def __init__(self, load, name, api):
        self.load, self.name, self.api = load, name, api

    def run(self):
        """One read after the other."""
        history = self.load.history
        while not self.load.pacer.ending.wait(0.15):
            cluster = self.load.latest if self.name == "reader" else None
            number = history.invoke(self.name, "get" if cluster else "list", cluster=cluster)
            began = time.monotonic()
            answer = self.api.get(f"/v2/clusters/{cluster}/status" if cluster else "/v2/clusters")
            more = {} if answer.ok else {"why": answer.reason()[:160]}
            history.add(self.name, "ok" if answer.ok else "fail", op=number, status=answer.status,
                        ms=round((time.monotonic() - began) * 1000, 1), **more)


class Insider(User):
    """Somebody on a machine that is cut off, who talks to that machine's own HAProxy."""

    named = False

    def __init__(self, load, name, netns):
        super().__init__(load, name, "big", [("solo", 1)], 0.3, 0)
        self.api.url = "http://127.0.0.1:55054"
        self.netns = netns
        self.ending = threading.Event()

    def run(self):
        """Creates, until told to stop. The thread leaves its network for good."""
        with open(self.netns, "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        while not self.ending.wait(self.interval):
            self.create()


class Watcher:
    """Reads the events of one cluster from the first to the last, however often the stream breaks."""

    def __init__(self, load, name, tenant, cluster):
        self.load, self.name, self.cluster = load, name, cluster
        self.api = load.site.api("admin", tenant, timeout=15)
        self.last = 0
        self.until = None  # the number of the last event there will be, once that is known
        self.over = False
        self.streams = 0
        self._socket = None

    @property
    def finished(self):
        """Whether it has seen all there is."""
        return self.over or (self.until is not None and self.last >= self.until)

    def run(self):
        """One stream after the other."""
        while not self.finished and not self.load.watchers_end.is_set():
            self.streams += 1
            try:
                self.follow()
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                pass
            self.load.watchers_end.wait(0.2)

    def follow(self):
        """One stream, resumed after the last event seen."""
        connection, prefix = self.api.connect(15)
        try:
            connection.request("GET", f"{prefix}/v2/clusters/{self.cluster}/events?after={self.last}",
                               headers={**self.api.identity, "Accept": "text/event-stream"})
            self._socket = connection.sock
            answer = connection.getresponse()
            if answer.status == 200:
                self.read(answer)
        finally:
            self._socket = None
            connection.close()

    def read(self, answer):
        """Events up to the end of the stream."""
        number, kind, data = None, "", ""
        for raw in answer:
            name, _, value = raw.decode("utf-8").rstrip("\r\n").partition(": ")
            if name == "id":
                number = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                data = value
            elif name == "" and kind:
                self.load.history.add(self.name, "event", cluster=self.cluster, id=number, type=kind,
                                      crc=crc(data))
                self.last = max(self.last, number)
                self.over = kind == "cluster" and '"terminated"' in data
                kind = ""
                if self.finished:
                    return

    def interrupt(self):
        """End the present stream."""
        sock = self._socket
        if sock:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Load:
    """All clients of a run."""

    MOST_WATCHERS = 24

    def __init__(self, site, history, seed, scale=1.0):
        self.site, self.history, self.seed = site, history, seed
        self.pacer = Pacer()
        self.watchers = []
        self.watchers_end = threading.Event()
        self.latest = None
        self.insiders = 0
        self.lock = threading.Lock()
        self.random = random.Random(f"{seed}/watchers")
        pairs = [("solo", 1), ("solo", 1), ("solo", 1), ("solo", 2), ("pair", 2), ("pair", 3)]
        users = [User(self, f"user{number}", "big", pairs, 0.6 / scale, 6) for number in (1, 2)]
        users += [Prober(self, f"prober{number}", "big", [("solo", 1)], 0.6 / scale, 5) for number in (1, 2)]
        # Two who together always ask for more than their tenant may have.
        users += [User(self, f"greedy{number}", "small", [("solo", 1), ("solo", 3)], 0.9 / scale, 5)
                  for number in (1, 2)]
        if site.sandbox:
            users.append(User(self, "machinist", "big", [("machine", 1)], 1.5, 2))
        self.clients = users + [Reader(self, "reader", site.api("admin", "big"))]
        if site.browser:
            self.clients.append(Reader(self, "browser", site.browser()))

    def insider(self, netns):
        """Somebody on a machine; end it with .ending.set()."""
        self.insiders += 1
        made = Insider(self, f"insider{self.insiders}", netns)
        self.pacer.start(made.run)
        return made

    def start(self):
        """All begin."""
        for client in self.clients:
            self.pacer.start(client.run)
        return self

    def created(self, user, cluster):
        """A cluster was acknowledged; some are watched."""
        with self.lock:
            if user.tenant == "big":
                self.latest = cluster
            busy = sum(not watcher.finished for watcher in self.watchers)
            if busy >= self.MOST_WATCHERS or self.random.random() > 0.5:
                return
            watcher = Watcher(self, f"watcher{len(self.watchers) + 1}", user.tenant, cluster)
            self.watchers.append(watcher)
        threading.Thread(target=watcher.run, daemon=True).start()

    def accepted(self):
        """How many creates were acknowledged so far."""
        return sum(record["kind"] == "ok" and "id" in record for record in list(self.history.records))

    def stop(self):
        """No more requests; watchers go on."""
        self.pacer.stop()

    def let_watchers_end(self, lasts, seconds=30):
        """Watchers see their clusters' last events (lasts: cluster -> number), or not, in this time."""
        for watcher in self.watchers:
            watcher.until = lasts.get(watcher.cluster, 0)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not all(watcher.finished for watcher in self.watchers):
            time.sleep(0.05)
        self.watchers_end.set()
        for watcher in self.watchers:
            watcher.interrupt()
