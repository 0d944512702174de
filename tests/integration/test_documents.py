# SPDX-License-Identifier: Apache-2.0
"""What the documents name exists: pages and headings, commands and their options, targets, settings, metrics."""

import functools
import re
import subprocess

import pytest

from support import ROOT
from support.stack import build_dir

TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
PAGES = [name for name in TRACKED if name.endswith(".md") and "CHANGELOG" not in name]
SERVICES = "loom-api", "loom-scheduler", "loom-provisioner", "loom-ui-gateway"
OTHERS = "loom_loom", "loom_secrets", "close_notify", "use_ssl"  # names that Compose, TLS and ProxySQL give


@functools.cache
def read(name):
    """A file's text."""
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


@functools.cache
def sources():
    """All that is no document."""
    return "\n".join(read(name) for name in TRACKED if (ROOT / name).is_file() and not (
        name.endswith((".md", ".png", ".svg", "test_documents.py")) or "/corpus/" in name))


def code(name):
    """What stands in backticks, or in an indented block, where a prompt is not part of it."""
    return [block or inline for block, inline in re.findall(r"^ {4,}(?:\$ )?(.+)$|`([^`\n]+)`", read(name), re.M)]


@functools.cache
def told(*words):
    """What a program says of itself."""
    return subprocess.run([*words, "--help"], capture_output=True, text=True, check=False, timeout=60).stdout


@functools.cache
def settings():
    """The keys of all services."""
    text = "".join(told(build_dir() / "bin" / name) for name in SERVICES)
    return {key.replace("-", "_") for key in re.findall(r"^  --([a-z0-9-]+)=", text, re.M)}


@functools.cache
def usage(program, first, second):
    """The help of a command, which is one word or two; empty if there is none."""
    if program != "loom":
        return told(ROOT / "scripts/loom-datacenter", first)
    known = re.findall(r"^  ([a-z-]+(?: [a-z-]+)?) ", told(build_dir() / "bin/loom"), re.M)
    for words in ((first, second), (first,)):
        if " ".join(words) in known:
            return told(build_dir() / "bin/loom", *words)
    return told(build_dir() / "bin/loom", first) if second in ("--help", "COMMAND") else ""


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    for path, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", read(name)):
        if path.startswith(("http:", "https:")):
            continue
        target = (ROOT / name).parent.joinpath(path).resolve() if path else ROOT / name
        assert target.exists(), path
        headings = re.findall(r"^#+ (.*)$", read(target), re.M) if anchor else []
        assert not anchor or anchor in [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings], anchor


@pytest.mark.parametrize("name", PAGES)
def test_commands_and_their_options_exist(name):
    for line in code(name):
        for program, first, rest in re.findall(r"(?:^|; |[A-Z]=\S+ )(loom|loom-datacenter) ([a-z-]+)\b([^;|#>]*)", line):
            second = (rest.split() or [""])[0]
            if first.startswith("-"):
                continue
            text = usage(program, first, second)
            group = program == "loom" and not second and told(build_dir() / "bin/loom", first)
            assert text or group, f"there is no command for: {line}"
            for option in re.findall(r"(?<=\s)--[a-z-]+", rest):
                assert f"{option} " in text.replace("\n", " ").replace("]", " "), f"{option} in: {line}"


@pytest.mark.parametrize("name", PAGES)
def test_targets_settings_and_metrics_exist(name):
    for line in code(name):
        for target in re.findall(r"^make (?:[A-Z]+=\S+ )*([a-z-]+)", line):
            assert re.search(rf"^{target}:", read("Makefile"), re.M), line
        for variable in re.findall(r"\bLOOM_([A-Z_]+)\b", line):
            assert variable.lower() in settings() or f"LOOM_{variable}" in sources(), line
        for word in re.findall(r"^[a-z]+(?:_[a-z*]+)+(?= = |$)|\bloom_[a-z_*]+", line):
            pattern = re.escape(word).replace(r"\*", "[a-z_]+")
            assert word in (*settings(), *OTHERS) or re.search(rf"\b{pattern}\b", sources()), word


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith(("common/", "services/", ".github/"))])
def test_files_and_functions_exist(name):
    for line in code(name):
        for file in re.findall(r"^[\w./-]+\.(?:c|h|js|py|sh)$", line):
            assert any(f"/{tracked}".endswith(f"/{file}") for tracked in TRACKED), file
        for function in re.findall(r"^(\w+)\(\)$", line):
            assert re.search(rf"\b{function}\(", sources()), function


@pytest.mark.parametrize("service", SERVICES)
def test_keys_without_which_a_service_does_not_start(service):
    row = re.search(rf"^\| `{service}` \| ([^|]*) ?\|", read("deploy/docs/running.md"), re.M).group(1)
    needed = re.findall(r"^  --([a-z-]+)=.*\(required\)", told(build_dir() / "bin" / service), re.M)
    assert re.findall(r"`([a-z_]+)`", row) == [key.replace("-", "_") for key in needed]
