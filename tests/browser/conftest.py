# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests in a real browser; ../conftest.py provides the services they look at."""

import pytest
from webdriver import Browser, ChromeDriver


@pytest.fixture(scope="session")
def chromedriver():
    """The one driver process of the session."""
    driver = ChromeDriver()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def new_browser(chromedriver):
    """Opens browsers: new_browser(width=.., dark=.., ...). A page that had a script error fails."""
    opened = []

    def make(**options):
        browser = Browser(chromedriver, **options)
        opened.append(browser)
        return browser

    yield make
    errors = []
    for browser in opened:
        try:
            errors += browser.script_errors()
        finally:
            browser.close()
    assert errors == []


@pytest.fixture(scope="session")
def ui_url(stack):
    """Where the page is, of a Loom that has its catalog and can make machines."""
    stack.make_root()
    stack.load_catalog()
    return stack.ui.url
