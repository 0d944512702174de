# SPDX-License-Identifier: Apache-2.0
"""A small WebDriver client: chromedriver and headless Chromium, standard library only.

ChromeDriver starts one driver process on a port of its own choosing and ends it, with every browser
it started, when closed. Browser is one browser window with a profile of its own.
"""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
START_TIMEOUT = 180
CALL_TIMEOUT = 180
PATIENCE = 60  # s until what is waited for must be there, on a machine that has other work as well
POLL = 0.05

CHROMIUM_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars",
    # A window behind another one draws no frames, and a click waits for one.
    "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
]


class WebDriverError(Exception):
    """The driver's refusal: kind is WebDriver's error code, such as "no such element"."""

    def __init__(self, kind, message):
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class ChromeDriver:
    def __init__(self):
        binary = shutil.which("chromedriver")
        if not binary:
            raise WebDriverError("no chromedriver", "install chromium and chromium-driver")
        self.process = subprocess.Popen(
            [binary, "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True, text=True)
        self.address = f"http://127.0.0.1:{self._read_port()}"
        # The driver must never block on a full pipe.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _read_port(self):
        watchdog = threading.Timer(START_TIMEOUT, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                match = re.search(r"started successfully on port (\d+)", line)
                if match:
                    return int(match.group(1))
        finally:
            watchdog.cancel()
        raise WebDriverError("no chromedriver", "it ended before it was ready")

    def call(self, method, path, body=None):
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=CALL_TIMEOUT) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise WebDriverError(value["error"], value["message"].split("\n")[0]) from None

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        except ProcessLookupError:
            pass


class Browser:
    """One window. dark: what prefers-color-scheme answers. Use as a context manager."""

    def __init__(self, driver, width=1280, height=900, dark=False, reduced_motion=False):
        self.driver = driver
        self.profile = tempfile.mkdtemp(prefix="loom-browser-")
        options = {"args": CHROMIUM_FLAGS + [f"--user-data-dir={self.profile}",
                                             f"--window-size={width},{height}"]}
        try:
            answer = driver.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"}}}})
        except BaseException:
            shutil.rmtree(self.profile, ignore_errors=True)
            raise
        self.path = f"/session/{answer['sessionId']}"
        self.console_lines = []
        self.resize(width, height)
        self.emulate(dark, reduced_motion)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()

    def close(self):
        try:
            self.driver.call("DELETE", self.path)
        finally:
            shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, path, body=None):
        return self.driver.call(method, self.path + path, body)

    def cdp(self, command, **params):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def resize(self, width, height):
        """Sets the size of the page itself; a window cannot be as narrow as a phone."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)

    def emulate(self, dark, reduced_motion):
        self.cdp("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion",
             "value": "reduce" if reduced_motion else "no-preference"}])

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def sign_in(self, url, token):
        """As somebody who has a session at the gateway there."""
        self.cdp("Network.setCookie", name="loom_session", value=token, url=url, httpOnly=True)

    @property
    def handle(self):
        """What switch() takes to come back to this window."""
        return self.call("GET", "/window")

    def new_window(self):
        """Opens one more window of the same profile, and goes there."""
        self.switch(self.call("POST", "/window/new", {"type": "window"})["handle"])

    def switch(self, handle):
        """Goes to another window."""
        self.call("POST", "/window", {"handle": handle})

    @property
    def url(self):
        return self.call("GET", "/url")

    @property
    def title(self):
        return self.call("GET", "/title")

    def script(self, source, *args):
        return self.call("POST", "/execute/sync", {"script": source, "args": list(args)})

    def find(self, css):
        found = self.call("POST", "/elements", {"using": "css selector", "value": css})
        return [Element(self, item[ELEMENT], (css, at)) for at, item in enumerate(found)]

    def text(self, css):
        """The text of the first match as a person reads it, or None."""
        return self.script("const e = document.querySelector(arguments[0]);"
                           "return e && e.innerText.trim()", css)

    def texts(self, css):
        return self.script("return [...document.querySelectorAll(arguments[0])]"
                           ".map((e) => e.innerText.trim())", css)

    def count(self, css):
        return self.script("return document.querySelectorAll(arguments[0]).length", css)

    def wait(self, css, timeout=PATIENCE):
        """The first visible match."""
        return self.until(lambda: next((e for e in self.find(css) if e.visible), None),
                          f"{css} to be shown", timeout)

    def until(self, check, what, timeout=PATIENCE):
        """Waits until check() is true and answers its value; a stale element is asked for again."""
        end = time.monotonic() + timeout
        while True:
            try:
                value = check()
            except WebDriverError as error:
                if error.kind != "stale element reference":
                    raise
                value = None
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"waited {timeout} s for {what}\n{self.page_text()[:3000]}")
            time.sleep(POLL)

    def page_text(self):
        return f"{self.url}\n{self.script('return document.body.innerText')}"

    def press(self, *keys):
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [
            {"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]}]})

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def console(self):
        """Everything the page wrote to its console so far."""
        self.console_lines += self.call("POST", "/se/log", {"type": "browser"})
        return self.console_lines

    def script_errors(self):
        """Errors that are the page's own fault; a failed request is one only by its script."""
        return [line["message"] for line in self.console()
                if line["level"] == "SEVERE" and line.get("source") != "network"]

    def failed_requests(self):
        return [line["message"] for line in self.console()
                if line["level"] == "SEVERE" and line.get("source") == "network"]


class Element:
    def __init__(self, browser, ref, where):
        self.browser = browser
        self.ref = ref
        self.where = where  # its selector, and which of all that it finds

    def call(self, method, path, body=None):
        return self.browser.call(method, f"/element/{self.ref}{path}", body)

    @property
    def visible(self):
        return self.call("GET", "/displayed")

    @property
    def text(self):
        return self.call("GET", "/text")

    def attribute(self, name):
        return self.call("GET", f"/attribute/{name}")

    def click(self):
        """Clicks it; one that the page draws anew between finding and clicking is found again."""
        def try_it():
            try:
                self.call("POST", "/click")
            except WebDriverError as error:
                if error.kind not in ("stale element reference", "element click intercepted"):
                    raise
                css, at = self.where
                again = self.browser.find(css)
                self.ref = again[at].ref if at < len(again) else self.ref
                return False
            return True

        self.browser.until(try_it, f"{self.where[0]} to be clicked")

    def type(self, text):
        """Replaces the field's value."""
        self.call("POST", "/clear")
        self.call("POST", "/value", {"text": text})
