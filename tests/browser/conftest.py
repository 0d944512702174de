# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests in a real browser."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from webdriver import ChromeDriver  # noqa: E402


@pytest.fixture(scope="session")
def chromedriver():
    driver = ChromeDriver()
    yield driver
    driver.close()
