# SPDX-License-Identifier: Apache-2.0
"""One at a time: two runs that change the same thing would each take it for what the other has not made of it yet."""

import contextlib
import fcntl
import os

from . import DcError


@contextlib.contextmanager
def alone(path, what):
    """Nobody else has this file or folder meanwhile, or a DcError says what is under way. It ends with the process."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DcError(f"{path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DcError(f"{what} is under way already: wait for its end") from None
        yield
    finally:
        os.close(descriptor)
