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


def close(browsers):
    """A page that had a script error fails."""
    errors = []
    while browsers:
        browser = browsers.pop()
        try:
            errors += browser.script_errors()
        finally:
            browser.close()
    assert errors == []


@pytest.fixture(scope="module")
def opened():
    """Browsers that are open as long as the file's tests run."""
    browsers = []
    yield browsers
    close(browsers)


@pytest.fixture(scope="module")
def new_browser(chromedriver, opened):
    """Opens browsers: new_browser(width=.., dark=.., ...)."""
    def make(**options):
        opened.append(Browser(chromedriver, **options))
        return opened[-1]

    return make


@pytest.fixture(autouse=True)
def own(opened):
    """The browsers that a test itself opens close at its end: each draws on."""
    others = opened[:]
    yield
    mine, opened[:] = [browser for browser in opened if browser not in others], others
    close(mine)


@pytest.fixture(scope="session")
def ui_url(stack):
    """Where the page is, of a Loom that has its catalog and can make machines."""
    stack.make_root()
    stack.load_catalog()
    return stack.ui.url
