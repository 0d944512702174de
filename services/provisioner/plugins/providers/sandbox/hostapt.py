# SPDX-License-Identifier: Apache-2.0
"""How this host reaches its Debian packages, so that a node can do the same."""

import glob
import os
import re
import urllib.parse

from common import GiveUp, log, read_file, run

_SETTINGS = re.compile(r"^Acquire::((http|https|ftp)::.+|Check-Valid-Until|Check-Date|Retries|"
                       r"AllowInsecureRepositories|Retries::.+)$")
_LOCAL_ONLY = re.compile(r"(Proxy-?Auto-?Detect|SslCert|SslKey)", re.IGNORECASE)


def codename():
    """The release of this host, which its nodes share."""
    match = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", read_file("/etc/os-release", ""), re.M)
    if not match:
        raise GiveUp("the host's /etc/os-release names no release (VERSION_CODENAME)")
    return match.group(1)


def _ours(suite, release):
    return suite == release or suite.startswith(release + "-")


def _reachable(uri):
    return uri.startswith(("http://", "https://"))


def _stanzas(release):
    """deb822 sources of this release, each as a dict."""
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        for block in re.split(r"\n\s*\n", read_file(path, "")):
            lines = [x for x in block.splitlines() if x.strip() and not x.startswith("#")]
            fields = {}
            for line in lines:
                if line[0] in " \t":
                    continue
                key, _, value = line.partition(":")
                fields[key.strip().lower()] = value.strip()
            if fields.get("enabled", "yes").lower() in ("no", "false"):
                continue
            uris = [u for u in fields.get("uris", "").split() if _reachable(u)]
            suites = [s for s in fields.get("suites", "").split() if _ours(s, release)]
            if "deb" in fields.get("types", "").split() and uris and suites:
                yield {"uris": uris, "suites": suites, "signed": fields.get("signed-by", ""),
                       "components": fields.get("components", "main").split()}


def _lines(release):
    """One-line sources of this release, in the same form."""
    pattern = re.compile(r"^\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(\S.*)$")
    for path in ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*.list"))]:
        for line in read_file(path, "").splitlines():
            match = pattern.match(line.split(" #")[0])
            if not match or not _reachable(match[2]) or not _ours(match[3], release):
                continue
            signed = re.search(r"signed-by=(\S+)", match[1] or "")
            yield {"uris": [match[2]], "suites": [match[3]], "components": match[4].split(),
                   "signed": signed[1] if signed else ""}


def sources(mirror):
    """Package sources for a node: (release, mirror, components, keyring, sources.list text)."""
    release = codename()
    if mirror:
        return release, mirror, ["main"], "", f"deb {mirror} {release} main\n"
    entries = list(_stanzas(release)) + list(_lines(release))
    base = next((e for e in entries if release in e["suites"]), None)
    if base is None:
        raise GiveUp(f"no package source for '{release}' in the host's apt configuration; "
                     "set the provider field 'mirror'")
    text = []
    for entry in entries:
        keyring = entry["signed"]
        option = f"[signed-by={keyring}] " if keyring.startswith("/") else ""
        for uri in entry["uris"]:
            for suite in entry["suites"]:
                text.append(f"deb {option}{uri} {suite} {' '.join(entry['components'])}")
    keyring = base["signed"] if os.path.exists(base["signed"]) else ""
    return (release, base["uris"][0], base["components"], keyring,
            "\n".join(dict.fromkeys(text)) + "\n")


def keyrings(sources_list):
    """Key files that a sources list names."""
    return sorted(set(re.findall(r"signed-by=(\S+?)\]", sources_list)))


def settings():
    """The host's proxy, certificate and retry settings as (name, value) pairs."""
    _, out = run(["apt-config", "dump", "--format", "%f\t%v%n"], check=False)
    found = {}
    for line in out.splitlines():
        name, _, value = line.partition("\t")
        if value and _SETTINGS.match(name) and not _LOCAL_ONLY.search(name):
            found[name] = value
    for scheme in ("http", "https"):
        proxy = os.environ.get(f"{scheme}_proxy") or os.environ.get(f"{scheme.upper()}_PROXY")
        if proxy:
            found.setdefault(f"Acquire::{scheme}::Proxy", proxy)
    return sorted(found.items())


def for_nodes(pairs):
    """Those of the host's settings that a node may have and can use: no passwords of the host, and
    no proxy on the host's loopback, which is another one in a node."""
    kept = []
    for name, value in pairs:
        url = urllib.parse.urlsplit(value)
        if url.username is not None:
            log(f"warning: {name} holds a password of this host: nodes go without it")
        elif url.hostname and re.fullmatch(r"localhost|::1|127\..*", url.hostname):
            log(f"warning: {name} is on this host's loopback address, where nodes cannot reach it")
        else:
            kept.append((name, value))
    return kept


def without_password(sources_list):
    """A sources list without the user names and passwords of its addresses."""
    return re.sub(r"(https?://)[^\s/@]*@", r"\1", sources_list)


def proxy_environment(pairs):
    """Environment by which debootstrap's downloader goes through the same proxy."""
    env = dict(os.environ)
    for scheme in ("http", "https"):
        proxy = dict(pairs).get(f"Acquire::{scheme}::Proxy")
        if proxy and proxy != "DIRECT":
            env[f"{scheme}_proxy"] = proxy
    return env


def resolver():
    """The host's resolv.conf in a form that works from another network namespace."""
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        text = read_file(path, "")
        servers = re.findall(r"^\s*nameserver\s+(\S+)", text, re.M)
        if any(not s.startswith("127.") and s != "::1" for s in servers):
            return text
    return read_file("/etc/resolv.conf", "")
