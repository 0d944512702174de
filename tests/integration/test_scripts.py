# SPDX-License-Identifier: Apache-2.0
"""Scripts say what they are for, and do nothing for a word that they do not know."""

import contextlib
import os
import subprocess

import pytest

from support import ROOT
from support.cli import environment

SCRIPTS = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and os.access(path, os.X_OK))


def run(tmp_path, name, *words):
    """A script that would find nothing to work on, if it worked."""
    folders = "LOOM_RUN_DIR", "LOOM_DEB_DIR", "LOOM_DIST_DIR", "XDG_CACHE_HOME", "HOME"
    return subprocess.run([ROOT / "scripts" / name, *words], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ, **dict.fromkeys(folders, str(tmp_path))})


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_says_what_it_is_for(tmp_path, name):
    done = run(tmp_path, name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    words = "".join(line.lstrip("# ") for line in (ROOT / "scripts" / name).read_text().splitlines()[2:5])
    assert len(done.stdout) > 40 and words.strip('"')[:20] in done.stdout.replace("\n", ""), done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["run", "stop", "status", "deb", "dist"])
def test_a_script_without_arguments_takes_none(tmp_path, name):
    (tmp_path / "stack.json").write_text("{}")
    done = run(tmp_path, name, "now")
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == f"{name}: it takes no arguments, and was given 'now' (--help)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]


def test_lint_names_a_part_that_it_has_not(tmp_path):
    done = run(tmp_path, "lint", "shell", "spelling")
    assert (done.returncode, done.stdout) == (64, "") and "there is no 'spelling'" in done.stderr


@pytest.mark.parametrize("variables, said", [
    ({"LOOM_TOKEN_FILE": "/nonexistent"}, "LOOM_TOKEN_FILE /nonexistent: No such file or directory"),
    ({"LOOM_URL": "127.0.0.1:1"}, "LOOM_URL is '127.0.0.1:1', which is no address like"),
    ({"LOOM_URL": "http://127.0.0.1:http"}, "LOOM_URL is 'http://127.0.0.1:http', which is no address"),
    ({"LOOM_URL": "https://h", "LOOM_CA_FILE": "/nonexistent"}, "LOOM_CA_FILE /nonexistent: No such file"),
    ({"LOOM_URL": "https://h", "LOOM_CA_FILE": "/etc/hostname"}, "LOOM_CA_FILE /etc/hostname: "),
    ({"LOOM_URL": "https://h", "LOOM_CLIENT_CERTIFICATE": "/nonexistent"}, "LOOM_CLIENT_CERTIFICATE /nonexistent"),
])
@pytest.mark.parametrize("name, words", [("loom-load-catalog", []), ("hello", ["--loom", "loom"])])
def test_where_and_who_are_checked(monkeypatch, tmp_path, name, words, variables, said):
    for variable in [key for key in os.environ if key.startswith("LOOM_")]:
        monkeypatch.delenv(variable)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    done = run(tmp_path, name, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{name}: {said}") and done.stderr.count("\n") == 1, done.stderr


def test_what_the_server_passes_over_in_a_catalog_is_said(lab, tmp_path):
    (tmp_path / "clustertemplates").mkdir()
    (tmp_path / "clustertemplates/odd.json").write_text('{"name": "odd", "defaults": {"provider": "gone"}, "quantity": 1}')
    done = subprocess.run([ROOT / "scripts/loom-load-catalog", "--catalog", tmp_path], env=environment(lab, user="admin"),
                          capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "  1 entries, 1 of them new or changed\n"), done
    assert sorted(line.partition("odd.json: ")[2] for line in done.stderr.splitlines()) == [
        "warning: does not exist: provider gone (defaults.provider)", "warning: no such field, passed over: quantity"]


@pytest.mark.parametrize("stdout, out, said", [
    (subprocess.PIPE, "/dev/full/out", "/dev/full/out/haproxy: Not a directory"),
    ("/dev/full", "out", "what it prints: No space left on device"),
])
def test_a_datacenter_tool_that_cannot_write_says_so(tmp_path, stdout, out, said):
    with open(stdout, "w", encoding="ascii") if isinstance(stdout, str) else contextlib.nullcontext(stdout) as to:
        done = subprocess.run([ROOT / "scripts/loom-datacenter", "render", "--inventory", ROOT / "deploy/inventory.example",
                               "--host", "a", "--out", tmp_path / out], stdout=to, stderr=subprocess.PIPE, text=True,
                              env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}, check=False)
    assert (done.returncode, done.stderr) == (1, f"loom-datacenter: {said}\n"), done


@pytest.mark.parametrize("text", ["[]", "5", "{}", '{"name": 5}', '{"name": "\udcff"}', "{"])
def test_a_file_of_the_catalog_that_is_none_is_named(tmp_path, text):
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers/odd.json").write_text(text, errors="surrogateescape")
    done = run(tmp_path, "loom-load-catalog", "--catalog", str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"loom-load-catalog: {tmp_path}/providers/odd.json: "), done.stderr
    done = run(tmp_path, "loom-load-catalog", "--set", "BRIDGE")
    assert done.returncode == 2 and "--set wants NAME=VALUE, not 'BRIDGE'" in done.stderr
