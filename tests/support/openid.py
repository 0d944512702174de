# SPDX-License-Identifier: Apache-2.0
"""A real OpenID provider with a form to log in at (openid_site.py), and a client without scripts that goes through it."""

import base64
import contextlib
import hashlib
import html.parser
import http.client
import json
import pathlib
import re
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.parse

import pytest

from . import ROOT, wait_for
from .stack import base_dir, free_port

SECRET = "a secret: of loom & its page"
USERS = {"ann": ["acme-devs"], "amy": ["acme-admins"], "ops": ["loom-ops"], "bob": ["strangers"],
         # with these their tokens are longer than a cookie, and than all that a session may have
         "many": ["acme-devs", *(f"group-{number}-{'x' * 90}" for number in range(40))],
         "most": ["acme-devs", *(f"group-{number}-{'x' * 90}" for number in range(80))]}
ROLES = "acme-admins=acme:admin, acme-devs=acme:user, loom-ops=superadmin:admin"


class OpenId:
    """The provider, at a port that stays its own. Stopped and started again it knows what it knew."""

    def __init__(self):
        done = subprocess.run([ROOT / "scripts/pypi", "django-oauth-toolkit"], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            pytest.skip(f"no OpenID provider: {done.stderr[-200:]}")
        self.python = f"{done.stdout.strip()}/python3"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="openid-", dir=base_dir()))
        self.port = free_port(self.dir)
        self.issuer = f"http://127.0.0.1:{self.port}/o"
        self.secret_file = self.dir / "client.secret"
        self.secret_file.write_text(SECRET + "\n", encoding="ascii")
        self.homes = []
        self.process = None

    def start(self, homes=None, seconds=300):
        """homes: URLs of the gateways, which are registered. seconds: how long tokens are good."""
        self.homes = homes or self.homes
        wish = {"port": self.port, "dir": str(self.dir), "seconds": seconds, "users": USERS,
                "redirects": [f"{home}/login/callback" for home in self.homes],
                "home": [f"{home}/" for home in self.homes]}
        with open(self.dir / "provider.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.python, ROOT / "tests/support/openid_site.py", json.dumps(wish)], stdout=log, stderr=log)
        wait_for(lambda: self.answers(), 180, "the provider")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.dir / "provider.log").read_text(encoding="utf-8"))
        try:
            return Visitor().get(f"{self.issuer}/.well-known/openid-configuration").status == 200
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
        self.process = None

    def forget(self):
        """No session can be renewed any more."""
        with contextlib.closing(sqlite3.connect(self.dir / "provider.sqlite", timeout=60)) as database, database:
            database.execute("DELETE FROM oauth2_provider_refreshtoken")

    def close(self):
        self.stop()
        shutil.rmtree(self.dir)

    def gateway_settings(self, key_file, part="gateway"):
        """What a gateway is told."""
        return (f"{part}.oidc_issuer={self.issuer}", f"{part}.oidc_client_id=loom", f"{part}.oidc_name=Example ID",
                f"{part}.oidc_client_secret_file={self.secret_file}", f"{part}.cluster_key_file={key_file}")

    def api_settings(self):
        """And loom-api."""
        return (f"api.oidc_issuer={self.issuer}", f"api.oidc_keys={self.issuer}/.well-known/jwks.json",
                "api.oidc_audience=loom", f"api.oidc_roles={ROLES}", "api.bad_token_burst=100000")


class Form(html.parser.HTMLParser):
    """The fields of a page's form that have a value."""

    def __init__(self, text):
        super().__init__()
        self.fields = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "input" and found.get("name") and "value" in found:
            self.fields[found["name"]] = found["value"]


class Visitor:
    """A browser without scripts: it keeps cookies of one host, and says where it comes from."""

    def __init__(self, cookies=None):
        self.cookies = dict(cookies or {})

    def send(self, method, url, form=None, headers=None, body=None):
        """One request; status, headers, text of the answer."""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **(headers or {})}
        sent = {name: value for name, value in sent.items() if value}
        if form is not None:
            body = urllib.parse.urlencode(form)
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            sent.setdefault("Origin", f"{parts.scheme}://{parts.netloc}")
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        answer.text = answer.read().decode("utf-8", "replace")
        connection.close()
        for line in answer.headers.get_all("Set-Cookie") or ():
            self.keep(line)
        return answer

    def keep(self, line):
        """As a browser keeps it, which knows no ports."""
        name, _, value = line.split(";")[0].partition("=")
        gone = re.search(r"max-age=0\b|expires=Thu, 01 Jan 1970", line, re.I)
        if gone:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value.strip('"')

    def get(self, url, **headers):
        return self.send("GET", url, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def follow(self, answer, url, until=None):
        """Goes on while it is sent elsewhere; (answer, url). until: a part of the address to stop before."""
        while answer.status in (301, 302, 303) and not (until and until in answer.headers["Location"]):
            url = urllib.parse.urljoin(url, answer.headers["Location"])
            answer = self.get(url)
        return answer, url

    def to_callback(self, home, user, to=None, allow=True):
        """Begins to log in and goes through the provider's forms; the address that it sends the browser back to."""
        return self.through(f"{home}/login" + (f"?to={urllib.parse.quote(to)}" if to else ""), user, allow)

    def through(self, begin, user, allow=True):
        """The same, from an address that leads to the provider."""
        answer, url = self.follow(self.get(begin), begin)
        assert answer.status == 200 and "/accounts/login/" in url or "Authorize" in answer.text, (url, answer.text[:2000])
        if "/accounts/login/" in url:
            form = {**Form(answer.text).fields, "username": user, "password": f"password of {user}"}
            answer, url = self.follow(self.send("POST", url, form), url)
        form = {name: value for name, value in Form(answer.text).fields.items() if name != "allow"}
        answer = self.send("POST", url, {**form, **({"allow": "Authorize"} if allow else {})})
        assert answer.status == 302, answer.text[:2000]
        return answer.headers["Location"]

    def id_token(self, home, user):
        """An ID token as a program gets it that has the client's secret."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        begin = urllib.parse.urlsplit(self.get(f"{home}/login").headers["Location"])
        query = dict(urllib.parse.parse_qsl(begin.query), code_challenge=challenge)
        back = self.through(f"{begin.scheme}://{begin.netloc}{begin.path}?{urllib.parse.urlencode(query)}", user)
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]
        answer = self.send("POST", f"{begin.scheme}://{begin.netloc}/o/token/", {
            "grant_type": "authorization_code", "code": code, "redirect_uri": f"{home}/login/callback",
            "client_id": "loom", "client_secret": SECRET, "code_verifier": verifier})
        return json.loads(answer.text)["id_token"]

    def log_in(self, home, user, to=None):
        """The whole of it; the answer of the callback."""
        return self.get(self.to_callback(home, user, to))
