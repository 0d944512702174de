# SPDX-License-Identifier: Apache-2.0
"""A service that is configured wrongly does not start, and says in one sentence what is wrong."""

import os
import re
import signal
import socket
import subprocess

import pytest

from support.stack import ENVIRONMENT, build_dir


def configured(core, tmp_path, part, **changes):
    """A copy of a part's configuration file with free ports and these lines."""
    text = (core.dir / f"etc/loom-{part}.conf").read_text()
    free = dict.fromkeys(re.findall(r"^(\w*_listen) = 1", text, re.M), "127.0.0.1:0")
    for key, value in {**free, **changes}.items():
        text = re.sub(rf"^{key} = .*\n", "", text, flags=re.M) + f"{key} = {value}\n"
    path = tmp_path / "service.conf"
    path.write_text(text)
    return path


def start(path, part):
    """The process, with what it says on its pipe."""
    return subprocess.Popen([build_dir() / f"bin/loom-{part}", "--config", path], stderr=subprocess.PIPE, text=True,
                            env={**os.environ, **ENVIRONMENT})


@pytest.mark.parametrize("part, key, value, word", [
    ("api", "external_listen", "127.0.0.1:70000", "cannot listen on 127.0.0.1:70000: not HOST:PORT"),
    ("api", "internal_listen", "127.0.0.1:http", "cannot listen on 127.0.0.1:http: not HOST:PORT"),
    ("scheduler", "admin_listen", "127.0.0.1", "cannot listen on 127.0.0.1: not HOST:PORT"),
    ("api", "zk_quorum", "127.0.0.1", "zk_quorum '127.0.0.1' is not HOST:PORT,HOST:PORT"),
    ("scheduler", "zk_quorum", "127.0.0.1:2181,b", "zk_quorum '127.0.0.1:2181,b' is not"),
    ("api", "zk_quorum", "", "zk_quorum '' is not"),
    ("api", "host_values", "state_dir=/srv/*, loom0", "host_values: 'loom0' is not FIELD=PATTERN")])
def test_what_is_none_is_refused_at_the_start(core, tmp_path, part, key, value, word):
    path = configured(core, tmp_path, part, **{key: value})
    with start(path, part) as process:
        try:
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 1 and word in said, said


@pytest.mark.parametrize("part, key, value, word", [
    ("api", "auth_mode", "tokens", "auth_mode: 'tokens' is neither token nor headers"),
    ("api", "external_listen", "127.0.0.1:70000", "external_listen: cannot listen on 127.0.0.1:70000: not HOST:PORT"),
    ("api", "internal_listen", "55055", "internal_listen: cannot listen on 55055: not HOST:PORT"),
    ("api", "trusted_proxies", "10.0.0.0/99", "trusted_proxies: '10.0.0.0/99' is not a network"),
    ("api", "cors_origins", "example.org", "cors_origins: 'example.org' is not an origin"),
    ("api", "host_values", "loom0", "host_values: 'loom0' is not FIELD=PATTERN"),
    ("api", "oidc_issuer", "id.example.org", "oidc_"),
    ("api", "zk_quorum", "zoo", "zk_quorum 'zoo' is not HOST:PORT"),
    ("api", "tls_certificate", "/etc/loom/tls.pem", "tls_certificate needs tls_key"),
    ("scheduler", "admin_listen", "127.0.0.1", "admin_listen: cannot listen on 127.0.0.1: not HOST:PORT"),
    ("scheduler", "zk_quorum", "", "zk_quorum '' is not"),
    ("scheduler", "callback_url", "ftp://x", "callback_url is no http:// or https:// URL"),
    ("scheduler", "tls_key", "/etc/loom/tls.key", "tls_key needs tls_certificate"),
    ("provisioner", "server_uri", "ftp://x", "server_uri must begin with http"),
    ("provisioner", "provisioner_id", "a b", 'provisioner_id "a b" is not a name'),
    ("provisioner", "work_dir", "", "work_dir is empty"),
    ("provisioner", "admin_listen", "here", "admin_listen: cannot listen on here"),
    ("ui-gateway", "listen", "127.0.0.1:x", "listen: cannot listen on 127.0.0.1:x"),
    ("ui-gateway", "tls_certificate", "/etc/loom/tls.pem", "tls_certificate needs tls_key"),
])
def test_the_check_of_a_configuration_says_what_a_start_would(tmp_path, part, key, value, word):
    """An upgrade asks it before it ends the program that runs."""
    needed = {"cluster_key_file": "/etc/loom/cluster.key"} if part in ("api", "scheduler") else {}

    def check(**settings):
        lines = [f"{name} = {text}\n" for name, text in {**needed, **settings}.items()]
        (tmp_path / "service.conf").write_text("".join(lines))
        return subprocess.run([build_dir() / f"bin/loom-{part}", "--config", tmp_path / "service.conf", "--check-config"],
                              capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, check=False)

    done = check()
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    done = check(**{key: value})
    assert done.returncode == 78 and word in done.stderr and done.stderr.count("\n") == 1, (done.returncode, done.stderr)


@pytest.mark.parametrize("part", ["api", "scheduler"])
def test_it_ends_when_it_is_told_to_while_it_waits_for_the_database(core, tmp_path, part):
    with socket.socket() as nobody:  # bound and not listening: no connection is made there
        nobody.bind(("127.0.0.1", 0))
        with start(configured(core, tmp_path, part, db_port=nobody.getsockname()[1]), part) as process:
            try:
                while "waiting for the database" not in (line := process.stderr.readline()):
                    assert line, "it ended by itself"
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=50) == 0  # it would go on for a minute
            finally:
                process.kill()
