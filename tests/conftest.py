# SPDX-License-Identifier: Apache-2.0
"""Fixtures and limits for all tests in Python.

stack      one whole Loom for the session (MariaDB, ZooKeeper, api, scheduler, provisioner, gateway)
servers    MariaDB and ZooKeeper only, for the session, also exported as LOOM_TEST_*
new_stack  a function that makes private stacks for one test; they are taken down afterwards
"""

import os
import pathlib
import signal
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import SERVERS, Stack  # noqa: E402 (the path comes first)

TIMEOUT = 900  # of many waits, each of which has a minute or two


def pytest_configure(config):
    config.addinivalue_line("markers", f"timeout(seconds): limit for one test (default {TIMEOUT})")


class TestTimedOut(BaseException):
    """Not an Exception, so that no `except Exception` in a test swallows it."""

    __test__ = False


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test hangs: after its limit it fails where it stands."""
    marker = item.get_closest_marker("timeout")
    seconds = marker.args[0] if marker else TIMEOUT

    def stop(_number, _frame):
        raise TestTimedOut(f"the test took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test's report ends with the logs of the stacks it used."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when in ("setup", "call"):
        for stack in used_stacks(item):
            if stack.dir.exists():
                report.sections.append((f"logs of {stack.name}", stack.log_tails()))


def used_stacks(item):
    """Stacks among the values of a test's fixtures."""
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, Stack):
            yield value
        elif hasattr(value, "stacks"):
            yield from value.stacks


@pytest.fixture(scope="session")
def stack():
    """One whole Loom, shared by the tests that disturb nobody."""
    with Stack("session") as whole:
        whole.up()
        yield whole


@pytest.fixture(scope="session")
def servers():
    """MariaDB and ZooKeeper only."""
    with Stack("servers") as pair:
        pair.up(*SERVERS)
        os.environ.update({key: value for key, value in pair.env.items() if key.startswith("LOOM_TEST_")})
        yield pair


class Factory:
    """new_stack(...): a stack that is taken down after the test."""

    def __init__(self):
        self.stacks = []

    def __call__(self, *parts, name="private", settings=(), up=True, auth="token"):
        made = Stack(name, settings, auth=auth)
        self.stacks.append(made)
        if up:
            made.up(*parts)
        return made

    def close(self):
        """Take all down; the first problem is raised after the last stack is gone."""
        problems = []
        for made in self.stacks:
            try:
                made.close()
            except AssertionError as error:
                problems.append(error)
        if problems:
            raise problems[0]


@pytest.fixture
def new_stack():
    """A factory of private stacks."""
    factory = Factory()
    try:
        yield factory
    finally:
        factory.close()
