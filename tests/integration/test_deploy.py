# SPDX-License-Identifier: Apache-2.0
"""The files in deploy/, filled from the example inventory, are accepted by the programs they are for."""

import pathlib
import shutil
import subprocess

import pytest

from support import ROOT
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
        text = path.read_text().replace("/usr/share/loom/web", f"{ROOT}/services/ui-gateway/web")
        path.write_text(text.replace("/usr/share/loom/plugins", f"{ROOT}/services/provisioner/plugins")
                        .replace("/etc/loom/", f"{tmp_path}/"))
        for name in ("cluster.key", "db.password", "admin.token", "provisioner.token"):
            (tmp_path / name).write_text("loom_" + "a" * 43 + "\n" if "token" in name else "0" * 64 + "\n")
        run(build_dir() / "bin" / program, "--config", path, "--check-config")
        assert "0.0.0.0" not in text and (path.stem != "api" or "auth_mode = token" in text), path
    accounts = (tmp_path / "mariadb/accounts.sql").read_text()
    assert "loom_ha" not in accounts and "loom_scheduler" not in accounts
    assert "/usr/bin/loom-api --config /etc/loom/api.conf" in (tmp_path / "systemd/loom-api.service").read_text()


def test_all_of_deploy_is_in_a_package_or_left_out_on_purpose():
    lists = [ROOT / "deploy/debian/not-installed", *(ROOT / "deploy/debian").glob("*.install")]
    named = {line.split()[0] for path in lists for line in path.read_text().splitlines()}
    for path in (ROOT / "deploy").iterdir():
        assert path.name in ("debian", "__pycache__") or f"usr/share/loom/deploy/{path.name}" in named, path


@pytest.mark.parametrize("change, said", [
    (("layout = containers", "layout = boxes"), "layout is 'boxes', not one of machines, containers"),
    (("layout = containers", "layout = machines"), "a datacenter of machines has at least three hosts"),
    (("[host loom]\naddress = 0.0.0.0", "[paths2]"), "unknown section [paths2]"),
])
def test_a_wrong_inventory_is_refused(tmp_path, change, said):
    text = (ROOT / "deploy/compose/inventory").read_text()
    assert change[0] in text
    (tmp_path / "inventory").write_text(text.replace(*change))
    done = subprocess.run([ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "loom",
                           "--out", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


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
