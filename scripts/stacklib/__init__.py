# SPDX-License-Identifier: Apache-2.0
"""What scripts/stack is made of: private servers in one folder, for `make run` and the tests."""


class StackError(Exception):
    """Something the person at the terminal has to know; the text says what and what to do."""
