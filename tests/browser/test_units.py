# SPDX-License-Identifier: Apache-2.0
"""The web app's pure functions, tried out in the browser they run in."""

import pathlib
import re

import pytest
from siteserver import ROOTS, SiteServer
from webdriver import Browser

UNIT = pathlib.Path(__file__).resolve().parent / "unit"
NAMES = [name for file in sorted(UNIT.glob("*_test.js"))
         for name in re.findall(r'^test\("(.+)",\s', file.read_text(), re.M)]


@pytest.fixture(scope="module")
def results(chromedriver):
    site = SiteServer()
    try:
        with Browser(chromedriver) as browser:
            browser.open(f"{site.url}/unit/index.html")
            found = browser.until(lambda: browser.script("return window.outcomes || null"),
                                  "the unit tests to run", 60)
            assert browser.script_errors() == []
            yield {result["name"]: result["error"] for result in found}
    finally:
        site.close()


@pytest.mark.parametrize("name", NAMES)
def test_unit(results, name):
    assert name in results, "the test did not run"
    assert results[name] is None, results[name]


def test_every_unit_ran(results):
    assert sorted(results) == sorted(NAMES)


def test_the_page_asks_for_all_its_modules_at_once():
    """One by one as they name each other, they would take six rounds."""
    web = ROOTS["web"]
    asked = set(re.findall(r'(?:modulepreload" href|module" src)="js/(.+?)"', (web / "index.html").read_text()))
    assert asked == {file.name for file in (web / "js").glob("*.js")} - {"hubworker.js"}
