# SPDX-License-Identifier: Apache-2.0
"""The loom command as a person runs it: at a shell, and on a terminal with a screen."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

from .stack import ENVIRONMENT, build_dir

LOOM = build_dir() / "bin/loom"


def environment(lab, user="ann", url=None, **more):
    """As a person at a shell has it."""
    return {**ENVIRONMENT, "PATH": os.environ["PATH"], "LOOM_URL": url or lab.stack.api.url,
            "LOOM_USER": user, "LOOM_TENANT": lab.name, "TZ": "UTC", **more}


def loom(lab, *words, stdin=None, **options):
    """Run it to its end."""
    return subprocess.run([LOOM, *words], env=environment(lab, **options), capture_output=True, text=True,
                          input=stdin, timeout=60, check=False)


class Terminal:
    """loom on a terminal of its own, with a screen that shows what a person would see."""

    def __init__(self, lab, *words, width=80, height=24, **options):
        env = environment(lab, TERM="xterm", LANG="C.UTF-8", **options)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
            os.execve(LOOM, [str(LOOM), *words], env)
        self.text = ""
        self.code = None
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            while data := os.read(self.fd, 65536):
                self.text += data.decode("utf-8", "replace")
        except OSError:
            pass
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        self.ended.set()

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, seconds=60):
        """Its exit code."""
        assert self.ended.wait(seconds), self.text
        return self.code

    def screen(self):
        """The lines on the screen."""
        lines, row, column = [""], 0, 0
        for code, char in re.findall(r"\x1b\[([?0-9;]*[A-Za-z])|([^\x1b])", self.text):
            if char == "\n":
                row += 1
            elif char == "\r":
                column = 0
            elif char:
                lines[row] = lines[row][:column].ljust(column) + char + lines[row][column + 1:]
                column += 1
            elif code.endswith("A"):
                row -= int(code[:-1])
            elif code == "K":
                lines[row] = lines[row][:column]
            elif code == "J":
                lines[row:] = [lines[row][:column]]
            lines += [""] * (row + 1 - len(lines))
        return lines

    @property
    def cursor_hidden(self):
        return self.text.rfind("\x1b[?25l") > self.text.rfind("\x1b[?25h")
