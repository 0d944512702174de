#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""screenshot.py FILE: makes the picture of the page that README.md shows, from a real Loom.

Starts a private stack, makes a cluster of four nodes, and takes the picture while it comes up. Needs
root and what the tests need: `scripts/bootstrap test && make SAN=asan all && tests/browser/screenshot.py
deploy/docs/page.png`.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from browser.webdriver import Browser, ChromeDriver  # noqa: E402 (the path comes first)
from support import Stack, wait_for  # noqa: E402

PART = 0.55  # of the tasks are done when the picture is taken


def progress(stack, cluster):
    """Which part of its tasks is done."""
    status = stack.api.get(f"/v2/clusters/{cluster}/status").json
    return status["stepscompleted"] / (status["stepstotal"] or 1)


def main():
    """Make it."""
    target = pathlib.Path(sys.argv[1]).resolve()
    with Stack("screenshot") as stack:
        stack.up()
        stack.make_root()
        stack.load_catalog()
        driver = ChromeDriver()
        try:
            with Browser(driver, width=1280, height=800) as page:
                page.sign_in(stack.ui.url, stack.token())
                page.open(f"{stack.ui.url}/")
                page.wait("#link-state[data-state=live]")
                first = stack.api.create_cluster("intranet", "web", 3)
                stack.api.wait_cluster(first)
                cluster = stack.api.create_cluster("shop", "web", 4)
                page.open(f"{stack.ui.url}/#/clusters/{cluster}")
                wait_for(lambda: progress(stack, cluster) >= PART, 120)
                page.wait("#nodes .node")
                page.screenshot(target)
        finally:
            driver.close()


if __name__ == "__main__":
    main()
