# SPDX-License-Identifier: Apache-2.0
"""The page with a thousand clusters and with ten thousand tasks in one, at fifty events a second.

Processor time is judged, not time that passes: the machine has other work as well.
"""

import pytest
from siteserver import SiteServer
from webdriver import Browser

SECONDS = 4
# processor time of the page's thread: ms to open the view, and part of a processor while events come
CASES = {"fleet": (1000, 0.25), "cluster": (1000, 0.4)}
ELEMENTS = 5000


@pytest.fixture(scope="module")
def window(chromedriver):
    site = SiteServer()
    try:
        with Browser(chromedriver) as browser:
            browser.open(f"{site.url}/unit/scale.html")
            browser.until(lambda: browser.script("return !!window.scale"), "the page")
            browser.cdp("Performance.enable")
            yield browser
            assert browser.script_errors() == []
    finally:
        site.close()


def processor_ms(window):
    """Of the page's thread, so far."""
    metrics = window.cdp("Performance.getMetrics")["metrics"]
    return 1000 * next(one["value"] for one in metrics if one["name"] == "ThreadTime")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CASES)
def test_size(window, name):
    def run(seconds):
        before = processor_ms(window)
        window.script("window.found = null; window.scale[arguments[0]](arguments[1]).then((f) => { window.found = f })",
                      name, seconds)
        found = window.until(lambda: window.script("return window.found"), name, 60)
        return found, processor_ms(window) - before

    opened, opening_ms = run(0)
    found, all_ms = run(SECONDS)
    part = max(0, all_ms - opening_ms) / 1000 / found["seconds"]
    print(f"{name}: opening {opening_ms:.0f} ms of processor, {opened['shown']:.0f} ms in all; with events "
          f"{100 * part:.0f} % of a processor, longest task {found['longest']:.0f} ms; {found['elements']} elements")
    most_ms, most_part = CASES[name]
    assert found["elements"] <= ELEMENTS
    assert opening_ms <= most_ms and part <= most_part
