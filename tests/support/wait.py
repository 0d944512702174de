# SPDX-License-Identifier: Apache-2.0
"""Waiting for something to become true, with a deadline and a message that says what was missing."""

import time


def wait_for(check, timeout=60, what=None, interval=0.05):
    """Call check() until it is true and return its value; AssertionError after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= deadline:
            name = what or getattr(check, "__name__", "it")
            raise AssertionError(f"waited {timeout} s for {name}; last value: {value!r}")
        time.sleep(interval)
