# SPDX-License-Identifier: Apache-2.0
"""The files in deploy/, filled from the example inventory, are accepted by the programs they are for."""

import pathlib
import re
import shutil
import subprocess

import pytest

from dclib import DcError, render
from support import ROOT
from support.authority import Authority
from support.stack import build_dir

HOSTS = "abc"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """All three hosts' files, with paths that exist here."""
    folder = tmp_path_factory.mktemp("deploy")
    inventory = folder / "inventory"
    inventory.write_text((ROOT / "deploy/inventory.example").read_text() +
                         f"\n[paths]\nbin = {build_dir()}/bin\ndeploy = {ROOT}/deploy\nshare = {ROOT}\n"
                         f"web = {ROOT}/services/ui-gateway/web\nplugins = {ROOT}/services/provisioner/plugins\n"
                         f"db_password_file = {folder}/password\ncluster_key_file = {folder}/key\n")
    (folder / "password").write_text("secret\n")
    (folder / "key").write_text("0" * 64 + "\n")
    for host in HOSTS:
        run(ROOT / "scripts/loom-datacenter", "render", "--inventory", inventory, "--host", host, "--out", folder / host)
    return folder


def run(*words):
    """A program that must be content; what it says."""
    done = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}:\n{done.stdout}"
    return done.stdout


def needs(program):
    """The program's path; skips without it."""
    found = shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        pytest.skip(f"{program} is not installed")
    return found


def test_loom_services(rendered):
    for host in HOSTS:
        for path in sorted((rendered / host / "loom").glob("*.conf")):
            program = "loom-" + path.stem.partition("-1")[0]
            run(build_dir() / "bin" / program, "--config", path, "--check-config")


def test_haproxy(rendered):
    for host in HOSTS:
        for name in ("haproxy", "sqlproxy"):
            said = run(needs("haproxy"), "-c", "-f", rendered / host / f"haproxy/{name}.cfg")
            assert "WARNING" not in said and "ALERT" not in said, said


def test_login_at_a_provider(tmp_path):
    text = (ROOT / "deploy/inventory.example").read_text(encoding="utf-8").replace(
        "auth_mode = token", "auth_mode = token\noidc_issuer = https://id.example.org\noidc_roles = ops=superadmin:admin\n"
        "oidc_keys = https://id.example.org/jwks\noidc_redirect = https://loom.example.org/login/callback")
    secret = tmp_path / "oidc.secret"
    (tmp_path / "inventory").write_text(f"{text}\n[paths]\noidc_client_secret_file = {secret}\n", encoding="utf-8")
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "a", "--out", tmp_path)
    wanted = {"api": {"oidc_audience": "loom", "oidc_keys": "https://id.example.org/jwks"},
              "ui-gateway": {"oidc_client_id": "loom", "oidc_client_secret_file": secret,
                             "session_key_file": "/etc/loom/session.keys"}}
    for service, values in wanted.items():
        path = tmp_path / f"loom/{service}.conf"
        run(build_dir() / f"bin/loom-{service}", "--config", path, "--check-config")
        lines = path.read_text(encoding="utf-8").splitlines()
        assert all(f"{key} = {value}" in lines for key, value in values.items()), lines
    assert "cluster_key_file" not in path.read_text(encoding="utf-8")
    # Without keys of their own sessions are sealed with the cluster's, as before there were any.
    (tmp_path / "inventory").write_text(f"{text}\n[paths]\nsession_key_file =\n", encoding="utf-8")
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "a", "--out", tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "cluster_key_file = /etc/loom/cluster.key" in lines and "session_key_file" not in " ".join(lines)


def test_proxies_before_haproxy_are_named(tmp_path):
    """What they say of whom they ask for is passed on and believed; what anybody else says is not."""
    text = (ROOT / "deploy/inventory.example").read_text(encoding="utf-8")
    inventory = tmp_path / "inventory"
    for said, more in (("", []), ("192.0.2.7, 2001:db8::/32", ["192.0.2.7", "2001:db8::/32"])):
        inventory.write_text(text.replace("trusted_proxies =", f"trusted_proxies = {said}")
                             + f"\n[paths]\ndeploy = {ROOT}/deploy\n", encoding="utf-8")
        run(ROOT / "scripts/loom-datacenter", "render", "--inventory", inventory, "--host", "a", "--out", tmp_path)
        believed = ["127.0.0.0/8", "::1", "10.62.0.11", "10.62.0.12", "10.62.0.13", *more]
        haproxy = (tmp_path / "haproxy/haproxy.cfg").read_text(encoding="utf-8")
        run(needs("haproxy"), "-c", "-f", tmp_path / "haproxy/haproxy.cfg")
        assert re.findall(r"^\tacl ours src (\S+)$", haproxy, re.M) == believed * 3
        assert haproxy.count("\thttp-request del-header X-Forwarded-For unless ours\n") == haproxy.count("\nfrontend ") - 1 == 3
        assert f"trusted_proxies = {', '.join(believed)}\n" in (tmp_path / "loom/api.conf").read_text(encoding="utf-8")
    inventory.write_text(text.replace("trusted_proxies =", "trusted_proxies = 10.1.0.0/16 proxy.example"), encoding="utf-8")
    words = "render", "--inventory", inventory, "--host", "a", "--out", tmp_path
    done = subprocess.run([ROOT / "scripts/loom-datacenter", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "trusted_proxies has 'proxy.example', which is no address" in done.stderr, done.stderr


def test_by_tls(tmp_path):
    """With tls = yes all that is asked over a network is asked by https, with files of [paths]."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("own")
    shutil.copy(key, f"{certificate}.key")
    text = (ROOT / "deploy/inventory.example").read_text(encoding="utf-8").replace("tls = no", "tls = yes")
    (tmp_path / "inventory").write_text(
        f"{text}\n[paths]\nbin = {build_dir()}/bin\ndeploy = {ROOT}/deploy\nweb = {ROOT}/services/ui-gateway/web\n"
        f"tls_certificate = {certificate}\ntls_ca = {authority.ca}\ndb_tls_ca = {authority.ca}\n", encoding="utf-8")
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "a", "--out", tmp_path)
    for path in sorted((tmp_path / "loom").glob("*.conf")):
        run(build_dir() / "bin" / ("loom-" + path.stem.partition("-1")[0]), "--config", path, "--check-config")
        text = path.read_text(encoding="utf-8")
        assert f"tls_certificate = {certificate}\n" in text and "http://" not in text
        assert (f"db_tls_ca = {authority.ca}\n" in text) == (path.stem in ("api", "scheduler"))
    said = run(needs("haproxy"), "-c", "-f", tmp_path / "haproxy/haproxy.cfg")
    assert "WARNING" not in said and "ALERT" not in said, said
    lines = (tmp_path / "haproxy/haproxy.cfg").read_text(encoding="utf-8").splitlines()
    open_ports = [line for line in lines if line.startswith("\tbind") and " ssl crt " not in line]
    assert open_ports == ["\tbind 127.0.0.1:8404"]
    assert "\toption forwardfor" in lines
    assert ("trusted_proxies = 127.0.0.0/8, ::1, 10.62.0.11, 10.62.0.12, 10.62.0.13\n"
            in (tmp_path / "loom/api.conf").read_text(encoding="utf-8"))
    servers = [line for line in lines if line.startswith("\tserver ")]
    assert len(servers) == 18 and all(f" ssl verify required ca-file {authority.ca} verifyhost " in line for line in servers)
    (tmp_path / "inventory").write_text((ROOT / "deploy/compose/inventory").read_text(encoding="utf-8").replace(
        "[datacenter]", "[datacenter]\ntls = yes"), encoding="utf-8")
    done = subprocess.run([ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "loom",
                           "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "tls = yes is for machines" in done.stderr, done.stderr


@pytest.fixture(scope="module")
def quick_start(tmp_path_factory):
    """What the quick start's containers read, with paths that exist here."""
    folder = tmp_path_factory.mktemp("containers")
    inventory = folder / "inventory"
    text = (ROOT / "deploy/compose/inventory").read_text().replace("/run/secrets/loom/", f"{folder}/")
    inventory.write_text(text.replace("[paths]", f"[paths]\ndeploy = {ROOT}/deploy"))
    (folder / "db.password").write_text("secret\n")
    (folder / "cluster.key").write_text("0" * 64 + "\n")
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", inventory, "--host", "loom", "--out", folder / "loom")
    return folder


@pytest.mark.parametrize("days, said, not_said", [("0", "\nskip_log_bin\n", "log_bin ="),
                                                  ("9", "\nlog_bin = loom-bin\n", "skip_log_bin")])
def test_binary_logs_are_kept_where_the_inventory_says_so(tmp_path, days, said, not_said):
    text = (ROOT / "deploy/inventory.example").read_text()
    assert "db_logs_days = 0" in text
    (tmp_path / "inventory").write_text(text.replace("db_logs_days = 0", f"db_logs_days = {days}"))
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "a", "--out", tmp_path)
    config = (tmp_path / "mariadb/galera.cnf").read_text()
    assert said in config and not_said not in config
    assert (f"\nexpire_logs_days = {days}\n" in config) == (days != "0")


def test_containers(quick_start):
    """One host is enough, each service is found by its name, and HAProxy finds copies by DNS."""
    etc = quick_start / "loom"
    for path in sorted((etc / "loom").glob("*.conf")):
        program = "loom-" + path.stem.partition("-1")[0]
        run(build_dir() / "bin" / program, "--config", path, "--check-config")
    said = run(needs("haproxy"), "-c", "-f", etc / "haproxy/haproxy.cfg")
    assert "WARNING" not in said and "ALERT" not in said, said
    haproxy = (etc / "haproxy/haproxy.cfg").read_text()
    assert haproxy.count("server-template api ") == 4 and haproxy.count("server-template ui ") == 2
    assert "\n\tserver " not in haproxy and " track " not in haproxy
    for name, line in (("loom/api.conf", "db_host = db\n"), ("loom/scheduler.conf", "bus_listen = tcp://*:55059\n"),
                       ("loom/provisioner-1.conf", "server_uri = http://haproxy:55055\n"),
                       ("mariadb/accounts.sql", "'loom'@'%' IDENTIFIED BY 'secret'"),
                       ("zookeeper/zoo.cfg", "clientPortAddress=zookeeper\n")):
        assert line in (etc / name).read_text(), name
    assert "provisioner_id" not in (etc / "loom/provisioner-1.conf").read_text()


@pytest.mark.parametrize("network", ["", "loom-trial"])
def test_compose_projects(tmp_path, network):
    """A machine's project: its own network, or on one engine that of a container which has its address."""
    text = (ROOT / "deploy/inventory.example").read_text()
    settings = "[datacenter]\nlayout = compose\ndb_buffer_pool = 512M" + (f"\ndocker_network = {network}" if network else "")
    settings += "\nprovisioner_drain = 5m" if network else ""
    text = text.replace("db_buffer_pool = 1G\n", "").replace("[datacenter]", settings, 1)
    (tmp_path / "inventory").write_text(text.replace("provisioners = 1", "provisioners = 2", 1))
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "a", "--out", tmp_path)
    project = (tmp_path / "compose/datacenter/compose.yaml").read_text()
    assert "@{" not in project and "\n%" not in project
    assert ("  network_mode: service:machine\n" in project) == bool(network)
    assert ("  network_mode: host\n" in project) == (not network)
    assert ("ipv4_address: 10.62.0.11" in project and f"name: {network}\n    external: true" in project) == bool(network)
    services = re.findall(r"^  ([\w-]+):$", project.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0], re.M)
    assert [name for name in services if name.startswith("provisioner")] == ["provisioner-1", "provisioner-2"]
    assert f"mem_limit: {(512 << 20) + (1 << 30)}\n" in project
    assert project.count(f"stop_grace_period: {320 if network else 80}s\n") == 2  # longer than a provisioner's drain
    for name, line in (("api", "cluster_key_file = /run/secrets/loom/cluster.key"), ("api", "db_host = 127.0.0.1"),
                       ("provisioner-2", "admin_listen = 10.62.0.11:55071"),
                       ("provisioner-1", "provisioner_id = dc1-a-1")):
        assert f"{line}\n" in (tmp_path / f"loom/{name}.conf").read_text(), name
    assert "tmpdir = /tmp\n" in (tmp_path / "mariadb/galera.cnf").read_text()
    assert '"/run/haproxy.down"' in (tmp_path / "keepalived/keepalived.conf").read_text()


GATEWAY_MOUNTS = {
    "": {"session.keys"},
    "oidc_issuer = https://id.example.org": {"session.keys"},
    "oidc_issuer = https://id.example.org\n[paths]\nsession_key_file =\noidc_client_secret_file = /run/secrets/loom/oidc":
        {"cluster.key", "oidc.secret"},
    "oidc_issuer = https://id.example.org\noidc_keys = /run/secrets/loom/oidc.keys": {"session.keys"},
}


@pytest.mark.parametrize("settings", GATEWAY_MOUNTS)
def test_the_gateway_of_a_project_has_its_own_keys_only(tmp_path, settings):
    """As files, where its configuration names them."""
    text = (ROOT / "deploy/inventory.example").read_text().partition("[host a]")
    inventory = text[0] + "layout = compose\n" + settings + "\n" + text[1] + text[2]
    (tmp_path / "inventory").write_text(inventory)
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "a", "--out", tmp_path)
    project = (tmp_path / "compose/datacenter/compose.yaml").read_text()
    texts = {service: project.partition(f"\n  {service}:\n")[2].partition("\n\n")[0]
             for service in ("ui", "api", "scheduler", "provisioner-1")}
    mounts = {service: dict(re.findall(r"\.\./secrets/([\w.-]+):(\S+):ro", part)) for service, part in texts.items()}
    assert set(mounts["ui"]) == GATEWAY_MOUNTS[settings]
    assert ("oidc.keys" in mounts["api"]) == ("oidc_keys" in settings)
    assert not any("session.keys" in mounts[service] for service in ("api", "scheduler", "provisioner-1"))
    config = (tmp_path / "loom/ui-gateway.conf").read_text()
    for where in mounts["ui"].values():
        assert f"_file = {where}\n" in config, (where, config)


def test_machines_have_no_compose_project(rendered):
    assert not (rendered / "a/compose").exists()


def test_the_scheduler_may_have_an_account_of_its_own(tmp_path):
    inventory = tmp_path / "inventory"
    (tmp_path / "scheduler").write_text("little\n", encoding="ascii")
    text = (ROOT / "deploy/debian/inventory").read_text(encoding="utf-8")
    assert "[paths]" in text
    inventory.write_text(text.replace("[paths]", f"[paths]\ndb_scheduler_password_file = {tmp_path}/scheduler"),
                         encoding="utf-8")
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", inventory, "--host", "localhost", "--out", tmp_path)
    accounts = (tmp_path / "mariadb/accounts.sql").read_text(encoding="utf-8")
    assert "'loom_scheduler'@'localhost' IDENTIFIED BY 'little'" in accounts
    assert "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON `loom`.`job` TO 'loom_scheduler'@'localhost';" in accounts
    assert "ON `loom`.`account`" not in accounts
    scheduler, api = ((tmp_path / f"loom/{name}.conf").read_text(encoding="utf-8") for name in ("scheduler", "api"))
    assert f"db_user = loom_scheduler\ndb_password_file = {tmp_path}/scheduler\n" in scheduler
    assert "loom_scheduler" not in api and f"{tmp_path}/scheduler" not in api


def test_packages(tmp_path):
    """What Debian packages put on one machine: without proxies, with tokens, and nothing that others reach."""
    run(ROOT / "scripts/loom-datacenter", "render", "--inventory", ROOT / "deploy/debian/inventory",
        "--host", "localhost", "--out", tmp_path)
    for path in sorted((tmp_path / "loom").glob("*.conf")):
        program = "loom-" + path.stem.partition("-1")[0]
        if path.stem == "ui-gateway":
            shutil.copy(path, tmp_path / "as_rendered")
        text = path.read_text().replace("/usr/share/loom/web", f"{ROOT}/services/ui-gateway/web")
        path.write_text(text.replace("/usr/share/loom/plugins", f"{ROOT}/services/provisioner/plugins")
                        .replace("/etc/loom/", f"{tmp_path}/"))
        for name in ("cluster.key", "db.password", "admin.token", "provisioner.token"):
            (tmp_path / name).write_text("loom_" + "a" * 43 + "\n" if "token" in name else "0" * 64 + "\n")
        run(build_dir() / "bin" / program, "--config", path, "--check-config")
        assert "0.0.0.0" not in text and (path.stem != "api" or "auth_mode = token" in text), path
    accounts = (tmp_path / "mariadb/accounts.sql").read_text()
    assert "loom_ha" not in accounts and "loom_scheduler" not in accounts
    assert "session_key_file = /etc/loom/session.keys\n" in pathlib.Path(tmp_path / "as_rendered").read_text()
    assert "\nSupplementaryGroups=loom-ui-gateway\n" in (tmp_path / "systemd/loom-ui-gateway.service").read_text()
    assert "loom-ui-gateway" not in (tmp_path / "systemd/loom-api.service").read_text()
    assert "/usr/bin/loom-api --config /etc/loom/api.conf" in (tmp_path / "systemd/loom-api.service").read_text()


def test_all_of_deploy_is_in_a_package_or_left_out_on_purpose():
    lists = [ROOT / "deploy/debian/not-installed", *(ROOT / "deploy/debian").glob("*.install")]
    named = {line.split()[0] for path in lists for line in path.read_text().splitlines()}
    for path in (ROOT / "deploy").iterdir():
        assert path.name in ("debian", "__pycache__") or f"usr/share/loom/deploy/{path.name}" in named, path


@pytest.mark.parametrize("change, said", [
    (("layout = containers", "layout = boxes"), "layout is 'boxes', not one of machines, compose, containers"),
    (("layout = containers", "layout = machines"), "a datacenter of machines has at least three hosts"),
    (("layout = containers", "layout = compose"), "a datacenter of compose has at least three hosts"),
    (("db_buffer_pool = 128M", "db_buffer_pool = much"), "[datacenter] db_buffer_pool is 'much', which is no size"),
    (("db_buffer_pool = 128M", "db_logs_days = 100"), "db_logs_days is '100', not a number of days from 0 to 99"),
    (("[host loom]\naddress = 0.0.0.0", "[paths2]"), "unknown section [paths2]"),
    (("db_buffer_pool = 128M", "tls = off"), "[datacenter] tls is 'off', not one of yes, no"),
    (("db_buffer_pool = 128M", "auth_mode = tokens"), "auth_mode is 'tokens', not one of token, headers"),
    (("db_buffer_pool = 128M", "log_level = verbose"), "log_level is 'verbose', not one of debug, info, warn, error"),
    (("db_buffer_pool = 128M", "prefix_length = /24"), "prefix_length is '/24', not a number of bits from 1 to 32"),
    (("db_buffer_pool = 128M", "virtual_router_id = 256"), "virtual_router_id is '256', not a number of a router from 1 to 255"),
    (("virtual_address = 0.0.0.0", "virtual_address = vip.lan"), "virtual_address is 'vip.lan', which is no IP address"),
    (("[host loom]", "[ports]\nui = http\n[host loom]"), "[ports] ui is 'http', not a number of a port from 1 to 65535"),
    (("[host loom]", "[ports]\ndb = 70000\n[host loom]"), "[ports] db is '70000', not a number of a port"),
    (("db_address = db", "provisioners = two"), "[host loom] provisioners is 'two', not a number of provisioners from 0 to 100"),
    (("[host loom]\naddress = 0.0.0.0", "[host loom]\naddress ="), "[host loom] address is '', which is no address"),
    (("db_address = db", "db_address = db; reboot"), "[host loom] db_address is 'db; reboot', which is no address"),
    (("provisioner_drain = 20s", "provisioner_drain = soon"), "provisioner_drain is 'soon', not a duration up to a day (20s,"),
    (("provisioner_drain = 20s", "provisioner_drain = 2d"), "provisioner_drain is '2d', not a duration up to a day"),
    (("[datacenter]", "datacenter:"), "is no inventory: File contains no section headers"),
    (("name = loom", "name = l\udcf6\udcf6m"), "is no inventory: 'utf-8' codec can't decode byte 0xf6"),
])
def test_a_wrong_inventory_is_refused(tmp_path, change, said):
    text = (ROOT / "deploy/compose/inventory").read_text()
    assert change[0] in text
    (tmp_path / "inventory").write_text(text.replace(*change), errors="surrogateescape")
    done = subprocess.run([ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "loom",
                           "--out", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert done.stderr.startswith("loom-datacenter: ") and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change, said", [
    (("10.62.0.13", "10.62.0.12"), "[host c] address is 10.62.0.12, which is [host b] address already"),
    (("10.62.0.13", "10.62.0.10"), "[host c] address is 10.62.0.10, which is [datacenter] virtual_address already"),
])
def test_machines_have_an_address_each(tmp_path, change, said):
    (tmp_path / "inventory").write_text((ROOT / "deploy/inventory.example").read_text().replace(*change))
    with pytest.raises(DcError, match=re.escape(said)):
        render.read_inventory(tmp_path / "inventory")


def test_keepalived(rendered):
    for host in HOSTS:
        run(needs("keepalived"), "-t", "-f", rendered / host / "keepalived/keepalived.conf")


def test_systemd_units(rendered):
    """`systemd-analyze verify` finds nothing; the services are shut in."""
    analyze = needs("systemd-analyze")
    units = rendered / "a/systemd"
    shutil.copy(units / "loom-provisioner@.service", units / "loom-provisioner@1.service")
    for dropin in units.glob("*.service.d"):
        whole = pathlib.Path("/lib/systemd/system") / dropin.stem
        if whole.exists():
            shutil.copy(whole, units)
    said = run(analyze, "verify", "--man=no", *sorted(path for path in units.glob("*.service") if "@." not in path.name))
    assert not said.strip(), said
    for name, worst in (("loom-api", 2), ("loom-scheduler", 2), ("loom-ui-gateway", 2), ("loom-galera-check", 2),
                        ("loom-zookeeper", 4), ("loom-sqlproxy", 5)):
        run(analyze, "security", "--offline=yes", f"--threshold={worst * 10}", units / f"{name}.service")
    for name in ("loom-api", "loom-scheduler", "loom-ui-gateway", "loom-provisioner@1"):
        text = (units / f"{name}.service").read_text()
        for line in ("Type=notify", "WatchdogSec=", "Restart=always", "TimeoutStopSec="):
            assert line in text, (name, line)


def test_nothing_is_left_unfilled(rendered):
    for path in rendered.glob("?/**/*"):
        if path.is_file():
            text = path.read_text()
            assert "@{" not in text and "\n%" not in text, path
