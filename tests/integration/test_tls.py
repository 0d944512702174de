# SPDX-License-Identifier: Apache-2.0
"""Every port of Loom by TLS, with its own clients and with others'."""

import contextlib
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support import ROOT, Stack, wait_for
from support.api import Api, Events
from support.authority import Authority, serial_of
from support.stack import ENVIRONMENT, free_port

PORTS = ("api.external", "api.internal", "scheduler.admin", "provisioner.admin", "gateway")
HUNG = 200
LARGE = 24 << 20
NAMES = "DNS:localhost,IP:127.0.0.1,DNS:a"


class Secured(Stack):
    """A whole Loom by TLS. Provisioners show certificates, users need none."""

    def __init__(self, folder):
        self.authority = Authority(folder)
        self.worker = self.authority.issue("worker")
        settings = ["api.token_rate=0", "api.tenant_rate=0"]  # four ask as fast as they can
        for part in ("api", "scheduler", "provisioner", "gateway"):
            own = self.worker if part == "provisioner" else self.authority.issue(part, names=NAMES)
            settings += [f"{part}.tls_certificate={own[0]}", f"{part}.tls_key={own[1]}"]
        ca = self.authority.ca
        settings += [f"api.internal_tls_client_ca={ca}", f"provisioner.ca_file={ca}", f"gateway.ca_file={ca}",
                     f"provisioner.client_certificate={self.worker[0]}", f"provisioner.client_key={self.worker[1]}"]
        super().__init__("tls", settings)

    def _secure(self, client):
        client.url = client.url.replace("http:", "https:")
        client.tls = self.authority.client(self.worker)
        return client

    def client(self, port, user="admin", tenant="superadmin"):
        return self._secure(super().client(port, user, tenant))

    @property
    def internal(self):
        return self._secure(super().internal)

    def connect(self, port, shows=None):
        """A connection that is kept, to a port."""
        return http.client.HTTPSConnection("localhost", self.ports[port], timeout=60,
                                           context=self.authority.client(shows))


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    with Secured(tmp_path_factory.mktemp("tls")) as made:
        made.up()
        yield made


def curl(secured, port, *words, path="/livez", scheme="https"):
    """curl's exit code and what it printed."""
    url = f"{scheme}://localhost:{secured.ports[port]}{path}"
    done = subprocess.run(["curl", "-sS", "-m", "60", *map(str, words), url], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def loom(secured, *words, **env):
    """The command line, told where Loom is and nothing else."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LOOM_")}
    return subprocess.run([str(secured.bin / "loom"), *words], capture_output=True, text=True, timeout=60, check=False,
                          env={**clean, **ENVIRONMENT, "LOOM_URL": f"https://localhost:{secured.ports['api.external']}",
                               "LOOM_TOKEN": secured.token(), **env})


@pytest.mark.parametrize("port", PORTS)
def test_curl(secured, port):
    ca = ("--cacert", secured.authority.ca)
    shows = ("--cert", secured.worker[0], "--key", secured.worker[1])
    assert curl(secured, port, *ca, *shows) == (0, "ok\n")
    code, text = curl(secured, port, *ca)
    if port == "api.internal":
        assert code != 0 and "certificate required" in text, text
    else:
        assert (code, text) == (0, "ok\n")
    code, text = curl(secured, port)
    assert code == 60, text  # it believes nobody it does not know
    code, text = curl(secured, port, "-i", scheme="http")
    assert text.startswith("HTTP/1.1 400 ") and "ask by https://" in text, text
    assert curl(secured, port, *ca, *shows, "--tls-max", "1.1")[0] != 0


@contextlib.contextmanager
def door(says):
    """A port that answers whatever comes with this. Its URL without the scheme."""
    def serve(listener):
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as caller:
                    caller.recv(4096)
                    caller.sendall(says)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(("scheme", "says", "check"), [
    ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "is it http:// that --url"), ("http", b"", "must say https://")])
def test_the_command_line_says_what_to_check(secured, scheme, says, check):
    """TLS is asked of a port without, and the other way round."""
    with door(says) as address:
        done = loom(secured, "logout", LOOM_URL=f"{scheme}{address}", LOOM_CA_FILE=str(secured.authority.ca))
    assert done.returncode == 2 and check in done.stderr, done


def test_the_command_line_is_told_to_ask_by_tls(secured):
    done = loom(secured, "cluster", "list", LOOM_URL=f"http://localhost:{secured.ports['api.external']}")
    assert done.returncode == 1 and "ask by https://" in done.stderr, done


def test_a_foreign_authoritys_client_is_refused(secured, tmp_path):
    foreign = Authority(tmp_path, "foreign").issue("worker")
    code, text = curl(secured, "api.internal", "--cacert", secured.authority.ca, "--cert", foreign[0], "--key", foreign[1])
    assert code != 0 and "unknown ca" in text, text
    assert secured.metric("api.external", "loom_tls_handshakes_failed_total") > 0


def test_services_ask_themselves(secured):
    for part, binary in (("api", "loom-api"), ("scheduler", "loom-scheduler"), ("provisioner", "loom-provisioner"),
                         ("gateway", "loom-ui-gateway")):
        done = subprocess.run([str(secured.bin / binary), "--config", str(secured.dir / f"etc/loom-{part}.conf"),
                               "--check-ready"], capture_output=True, text=True, env={**os.environ, **ENVIRONMENT},
                              check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def catalog(secured, tmp_path_factory):
    """One that makes nothing."""
    folder = tmp_path_factory.mktemp("catalog") / "catalog"
    shutil.copytree(ROOT / "deploy/compose/catalog", folder)
    provider = folder / "providers/simulated.json"
    document = json.loads(provider.read_text(encoding="utf-8"))
    document["provisioner"] = {"state_dir": str(secured.dir / "simulated"), "delay_ms": "1", "jitter_ms": "0"}
    provider.write_text(json.dumps(document), encoding="utf-8")
    wait_for(lambda: secured.api.get("/v2/plugins/automatortypes/simulated").ok, 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOM_CA_FILE", str(secured.authority.ca))
        secured.load_catalog(folder)


def test_a_cluster_by_the_command_line(secured, catalog):
    env = {"LOOM_CA_FILE": str(secured.authority.ca)}
    made = loom(secured, "cluster", "create", "one", "--template", "demo", "--size", "2", "--wait", **env)
    assert made.returncode == 0, made.stdout + made.stderr
    gone = loom(secured, "cluster", "delete", "one", "--yes", "--wait", "--ca-file", env["LOOM_CA_FILE"])
    assert gone.returncode == 0, gone.stdout + gone.stderr
    nobody = loom(secured, "cluster", "list")
    assert nobody.returncode == 2 and "LOOM_CA_FILE" in nobody.stderr, nobody.stderr
    missing = loom(secured, "cluster", "list", "--ca-file", "/nowhere/ca.pem")
    assert missing.returncode == 64 and "ca_file /nowhere/ca.pem: No such file" in missing.stderr, missing.stderr


def test_the_page_signs_in(secured):
    page = secured.client("gateway", user=None)
    answer = page.post("/session", {"token": secured.token()}, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.ok and "; Secure" in answer.headers["Set-Cookie"], answer
    page.identity = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    assert page.get("/api/v2/clusters").ok


@pytest.mark.parametrize("port", ("api.external", "gateway"))
def test_events(secured, catalog, port):
    client = secured.client(port)
    path = "/v2/events?clusters=true"
    if port == "gateway":
        client.identity = {"Cookie": f"loom_session={secured.token()}"}
        path = "/api" + path
    with Events(client, path) as events:
        cluster = secured.api.create_cluster(f"events-{port.replace('.', '-')}", "demo", 1)
        events.wait(lambda event: cluster in event.text, 60, f"an event of {cluster}")
        secured.api.wait_cluster(cluster)
        secured.api.delete_cluster(cluster)


def test_large_bodies(secured):
    admin, data = secured.api, random.Random(7).randbytes(LARGE)
    answer = secured.internal.put("/v2/plugins/automatortypes/tls", {
        "name": "tls", "resourceTypes": {"scripts": {"format": "file", "permissions": "0755"}}})
    assert answer.ok, answer
    pieces = (data[at:at + 70001] for at in range(0, LARGE, 70001))
    path = "/v2/plugins/automatortypes/tls/scripts/large"
    connection, _ = admin.connect()
    connection.request("POST", path, pieces, {**admin.identity, "Content-Type": "application/octet-stream"},
                       encode_chunked=True)
    made = connection.getresponse()
    assert made.status == 200, made.read()
    version = json.loads(made.read())["version"]
    tenant = secured.sql("SELECT id FROM tenant WHERE name='superadmin'")[0][0]
    got = secured.internal.get(f"/v2/tenants/{tenant}/automatortypes/tls/scripts/large/versions/{version}")
    assert got.ok and hashlib.sha256(got.body).digest() == hashlib.sha256(data).digest()


class Asking(threading.Thread):
    """Asks on one connection, again and again; `problem` says why it could not."""

    def __init__(self, connection, headers):
        super().__init__()
        self.connection, self.headers = connection, headers
        self.done, self.problem, self.over = 0, None, threading.Event()

    def run(self):
        self.connection.connect()
        first = self.connection.sock
        try:
            while not self.over.is_set():
                self.connection.request("GET", "/v2/clusters", headers=self.headers)
                answer = self.connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
                assert self.connection.sock is first, "it was not kept"
                self.done += 1
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.problem = error
        self.connection.close()


def shown(secured, port="api.external"):
    """The serial number of the certificate that a new connection gets."""
    connection = secured.connect(port, secured.worker)
    connection.connect()
    found = connection.sock.getpeercert()["serialNumber"]
    connection.close()
    return found


def test_a_new_certificate_while_requests_run(secured):
    headers = secured.api.identity
    askers = [Asking(secured.connect("api.external"), headers) for _ in range(4)]
    for one in askers:
        one.start()
    try:
        for hang_up in (False, True):
            want = serial_of(secured.authority.issue("api", days=20, names=NAMES)[0])
            if hang_up:
                os.kill(secured.pid("api"), signal.SIGHUP)
            for port in ("api.external", "api.internal"):
                wait_for(lambda where=port, serial=want: shown(secured, where) == serial, 60, what=f"{port} shows {want}")
        before = [one.done for one in askers]
        wait_for(lambda: all(one.problem or one.done > old for one, old in zip(askers, before)), 60)
    finally:
        for one in askers:
            one.over.set()
            one.join()
    assert [one.problem for one in askers] == [None] * len(askers)
    left = secured.metric("api.external", "loom_tls_certificate_seconds_left")
    assert 19 * 86400 < left <= 20 * 86400


def test_one_of_no_use_is_not_taken(secured):
    key = secured.authority.folder / "api.key"
    kept, now = key.read_bytes(), shown(secured)
    key.write_bytes(secured.worker[1].read_bytes())
    try:
        wait_for(lambda: secured.metric("api.external", "loom_tls_certificates_stale") == 2, 60)
        assert shown(secured) == now
        assert "of no use" in secured.api.get("/readyz").text
        assert any(found["where"] == "this API" for found in secured.api.get("/v2/doctor").json["findings"])
        assert "is not that of tls_certificate" in secured.log("api")
    finally:
        key.write_bytes(kept)
    wait_for(lambda: secured.metric("api.external", "loom_tls_certificates_stale") == 0, 60)
    assert "of no use" not in secured.api.get("/readyz").text


def test_hung_handshakes_are_in_nobodys_way(secured):
    port = secured.ports["api.external"]
    before = secured.metric("api.external", "loom_process_resident_memory_bytes")
    hung = [socket.create_connection(("127.0.0.1", port)) for _ in range(HUNG)]
    try:
        for number, one in enumerate(hung):
            one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:number % 12])
        wait_for(lambda: secured.metric("api.external", "loom_http_connections") >= HUNG, 60)
        slowest = 0
        for _ in range(20):
            began = time.monotonic()
            assert secured.api.get("/v2/clusters").ok
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 25  # and not the 30 s of their deadline
        grown = secured.metric("api.external", "loom_process_resident_memory_bytes") - before
        assert grown < HUNG * (256 << 10), grown
    finally:
        for one in hung:
            one.close()
    wait_for(lambda: secured.metric("api.external", "loom_http_connections") < HUNG, 60)


def test_handshakes_that_break_off(secured):
    """Real ones, cut at each place, leave nothing behind."""
    whole = ssl.MemoryBIO()
    talk = secured.authority.client().wrap_bio(ssl.MemoryBIO(), whole, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    hello = whole.read()
    for cut in range(0, len(hello), 7):
        with socket.create_connection(("127.0.0.1", secured.ports["api.external"])) as one:
            one.sendall(hello[:cut])
            if cut % 2:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_for(lambda: secured.metric("api.external", "loom_http_connections") < 20, 60)
    assert secured.api.get("/livez").ok


@pytest.mark.parametrize("lines, says", (
    (("tls_certificate = {0}/none.pem", "tls_key = {0}/api.key"), "none.pem: No such file"),
    (("tls_certificate = {0}/api.pem",), "tls_certificate needs tls_key"),
    (("tls_certificate = {0}/api.pem", "tls_key = {0}/worker.key"), "is not that of tls_certificate"),
    (("tls_certificate = {0}/api.pem", "tls_key = {0}/open.key"), "may be read by everyone (mode 0644)"),
))
def test_what_is_wrong_is_said_at_the_start(secured, tmp_path, lines, says):
    folder = secured.authority.folder
    shutil.copy(folder / "api.key", folder / "open.key")
    (folder / "open.key").chmod(0o644)
    config = tmp_path / "gateway.conf"
    config.write_text("".join(line.format(folder) + "\n" for line in lines) +
                      f"listen = 127.0.0.1:0\nweb_dir = {ROOT}/services/ui-gateway/web\n", encoding="utf-8")
    done = subprocess.run([str(secured.bin / "loom-ui-gateway"), "--config", str(config)], capture_output=True, text=True,
                          env={**os.environ, **ENVIRONMENT}, timeout=60, check=False)
    assert done.returncode == 1 and says in done.stderr, done.stderr


@pytest.fixture
def proxy(secured, tmp_path):
    """A function that starts HAProxy as rendered for a host of that name, whose services the stack's are; gives a
    client of it, at the virtual address."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if not program:
        pytest.skip("haproxy is not installed")
    running = []

    def start(name):
        front, _ = secured.authority.issue("front", names="IP:127.0.0.9")
        shutil.copy(secured.authority.folder / "front.key", f"{front}.key")
        ports = {"ui": secured.ports["gateway"], "api_external": secured.ports["api.external"],
                 "api_internal": secured.ports["api.internal"], "haproxy_admin": free_port(tmp_path)}
        hosts = "".join(f"[host {one}]\naddress = 127.0.0.{number}\n" for number, one in enumerate((name, "y", "z"), 1))
        (tmp_path / "inventory").write_text(
            "[datacenter]\nvirtual_address = 127.0.0.9\ntls = yes\n" + hosts + "[ports]\n" +
            "".join(f"{key} = {value}\n" for key, value in ports.items()) +
            f"[paths]\ndeploy = {ROOT}/deploy\nhaproxy_run = {tmp_path}\ntls_certificate = {front}\n"
            f"tls_ca = {secured.authority.ca}\n", encoding="utf-8")
        subprocess.run([ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", name,
                        "--out", tmp_path], check=True, capture_output=True)
        config = tmp_path / "haproxy/haproxy.cfg"
        text = config.read_text(encoding="utf-8")
        for key in ("api_external", "api_internal"):  # where the stack itself listens
            text = text.replace(f"\tbind 127.0.0.1:{ports[key]} ssl crt {front}\n", "")
        config.write_text(text, encoding="utf-8")
        running.append(subprocess.Popen([program, "-db", "-f", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL))
        made = Api(f"https://127.0.0.9:{ports['api_external']}", token=secured.token())
        made.tls = secured.authority.client()
        return made

    try:
        yield start
    finally:
        for one in running:
            one.terminate()
            one.wait()


def test_haproxy_by_tls_on_both_sides(secured, proxy):
    client = proxy("a")
    wait_for(lambda: client.get("/v2/clusters").ok, 60)
    page = Api(f"https://127.0.0.9:{secured.ports['gateway']}", user=None)
    page.tls = client.tls
    wait_for(lambda: page.get("/livez").ok, 60)
    answer = page.post("/session", {"token": secured.token()}, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.ok and "; Secure" in answer.headers["Set-Cookie"], answer
    plain = Api(client.url.replace("https:", "http:"), token=secured.token())
    assert plain.get("/v2/clusters").status in (0, 400)


def test_haproxy_speaks_to_nobody_of_another_name(proxy):
    client = proxy("x")
    wait_for(lambda: client.get("/livez").status == 503, 60)


def test_nothing_is_spoken_in_the_clear(secured):
    """What the provisioner and the gateway ask, they ask by TLS: by any other way there is no answer."""
    for port in ("api.external", "api.internal"):
        plain = Api(f"http://127.0.0.1:{secured.ports[port]}", token=secured.token())
        assert plain.get("/v2/clusters").status == 400
    assert any(one["id"] == "local-1" for one in secured.api.get("/v2/provisioners").json)
