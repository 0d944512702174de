# SPDX-License-Identifier: Apache-2.0
"""The database written to a file that is whole or not there."""

import contextlib
import datetime
import hashlib
import os
import pathlib
import re
import subprocess
import tempfile
import threading

from . import DcError
from .alone import alone
from .render import values_for

NAME = re.compile(r"loom-\d{4}-\d\d-\d\d-\d{6}\.sql\.zst(\.age)?")
SEALED = ".age"
END = b"-- Dump completed"
EDGE = 4096
PIECE = 1 << 20


def folder_of(inventory):
    """Where backups are."""
    return pathlib.Path(inventory["paths"]["backups"])


def all_of(inventory):
    """All that this program made, the newest last."""
    folder = folder_of(inventory)
    return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name)) if folder.is_dir() else []


def newest(inventory):
    """The newest one, or None."""
    return next(reversed(all_of(inventory)), None)


@contextlib.contextmanager
def account(inventory, host):
    """Options for MariaDB's clients: the services' account, whose password no other user sees."""
    values = values_for(inventory, host)
    if not values["db_password"]:
        raise DcError(f"{inventory['paths']['db_password_file']} is not there, empty, or not readable")
    own = values["host"]
    with tempfile.NamedTemporaryFile("w", prefix="loom-backup-") as file:  # mode 0600
        file.write(f"[client]\nhost={own['db_address']}\nport={values['ports']['db']}\nuser=loom\n"
                   f"password=\"{values['db_password']}\"\n")
        file.flush()
        yield f"--defaults-extra-file={file.name}"


def ask(options, sql):
    """What the database answers."""
    done = subprocess.run(["mariadb", options, "-N", "-B", "-e", sql], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DcError(f"mariadb: {done.stderr.strip()}")
    return done.stdout.strip()


def start(argv, **streams):
    """Start a program of a pipe."""
    try:
        return subprocess.Popen(argv, stderr=subprocess.PIPE, **streams)
    except OSError as error:
        raise DcError(f"{argv[0]} cannot be run: {error.strerror} (packages mariadb-client, zstd and age)") from error


def end(processes):
    """All of a pipe's programs have to end well."""
    said = [(process.args[0], process.communicate()[1] or b"", process.returncode) for process in processes]
    wrong = [f"{name}: {text.decode('utf-8', 'replace').strip() or code}" for name, text, code in said if code]
    if wrong:
        raise DcError("; ".join(wrong))


class Whole:
    """Counts what goes by, and knows its beginning and its end."""

    def __init__(self):
        self.size, self.head, self._tail = 0, b"", b""

    def add(self, chunk):
        """The next piece; answers it."""
        self.size += len(chunk)
        if len(self.head) < EDGE:
            self.head = (self.head + chunk)[:EDGE]
        self._tail = (self._tail + chunk)[-EDGE:]
        return chunk

    def check(self, path):
        """Raises where the end of a dump has not come; else its size."""
        if END not in self._tail:
            raise DcError(f"{path} is not whole: it does not end with '{END.decode()}'")
        return self.size


def pieces(stream):
    """All of it, piece by piece."""
    return iter(lambda: stream.read(PIECE), b"")


@contextlib.contextmanager
def unpacked(path, identity):
    """A backup as SQL: a stream."""
    if str(path).endswith(SEALED) and not identity:
        raise DcError(f"{path} is sealed to a recipient: say --identity FILE, which has his key")
    first = [start(["age", "-d", "-i", str(identity), str(path)], stdout=subprocess.PIPE)] if identity else []
    unpack = start(["zstd", "-q", "-d", "-c", *([] if first else [str(path)])],
                  stdin=first[0].stdout if first else subprocess.DEVNULL, stdout=subprocess.PIPE)
    for process in first:
        process.stdout.close()
    yield unpack.stdout
    unpack.stdout.close()
    end([*first, unpack])


def check(path, identity=None):
    """Read a backup back to its end; answers what was seen. identity: of the recipient it is sealed to."""
    whole = Whole()
    with unpacked(path, identity) as sql:
        for chunk in pieces(sql):
            whole.add(chunk)
    whole.check(path)
    return whole


def _feed(dump, to, whole):
    """What the dump says goes to what packs it."""
    try:
        with to:
            for chunk in pieces(dump.stdout):
                to.write(whole.add(chunk))
    except BrokenPipeError:  # it says itself why it has ended
        dump.kill()


def _dump(options, file, recipients, path):
    """The database, compressed, sealed to the recipients if there are any, on the disk; its size as SQL."""
    whole, written = Whole(), hashlib.sha256()
    place = ["--master-data=2"] if ask(options, "SELECT @@log_bin") == "1" else []  # where restore --until goes on
    dump = start(["mariadb-dump", options, "--single-transaction", "--routines", *place, "loom"], stdout=subprocess.PIPE)
    pack = start(["zstd", "-q", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    last = [pack]
    if recipients:
        last.append(start(["age", *(word for key in recipients for word in ("-r", key))], stdin=pack.stdout,
                         stdout=subprocess.PIPE))
        pack.stdout.close()
    feeder = threading.Thread(target=_feed, args=(dump, pack.stdin, whole))
    pack.stdin = None  # the thread's from here on
    feeder.start()
    for chunk in pieces(last[-1].stdout):
        written.update(chunk)
        file.write(chunk)
    feeder.join()
    end([*reversed(last), dump])
    file.flush()
    os.fsync(file.fileno())
    size = whole.check(path)
    with path.open("rb") as again:
        if hashlib.file_digest(again, "sha256").digest() != written.digest():
            raise DcError(f"{path} does not read back as it was written: look at the disk")
    return size


def make(inventory, host, keep, recipients=()):
    """A new backup, from this host's own node; the older ones but `keep` are deleted. Answers what it did."""
    folder = folder_of(inventory)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DcError(f"{folder}: {error.strerror}") from error
    with alone(folder, f"a backup to {folder}"):
        for part in folder.glob("loom-*.part"):  # of one that was killed
            part.unlink()
        path, size = _write(inventory, host, folder, recipients)
        old = all_of(inventory)[:-keep]
        for other in old:
            other.unlink()
    return {"file": str(path), "bytes": path.stat().st_size, "sql_bytes": size, "deleted": [str(other) for other in old]}


def _write(inventory, host, folder, recipients):
    """(the new one, its size as SQL); it has its name when it is whole."""
    name = datetime.datetime.now(datetime.UTC).strftime("loom-%Y-%m-%d-%H%M%S.sql.zst")
    path = folder / (name + (SEALED if recipients else ""))
    part = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with account(inventory, host) as options:
            with os.fdopen(descriptor, "wb") as file:
                size = _dump(options, file, recipients, part)
            if not recipients:
                check(part)
            os.replace(part, path)
            # Where `loom doctor` finds it, which sees no machine's disks.
            ask(options, "INSERT INTO loom.counter (name, value) VALUES ('backup', UNIX_TIMESTAMP() * 1000) "
                          "ON DUPLICATE KEY UPDATE value = VALUES(value)")
    except OSError as error:
        raise DcError(f"{part}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return path, size
