# SPDX-License-Identifier: Apache-2.0
"""The database written to a file that is whole or not there, and read back from it."""

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
from .ask import fetch
from .render import values_for

NAME = re.compile(r"loom-\d{4}-\d\d-\d\d-\d{6}\.sql\.zst(\.age)?")
SEALED = ".age"
END = b"-- Dump completed"
TAIL = 4096
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
def _account(inventory, host):
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


def _run(argv, **streams):
    """Start a program of a pipe."""
    try:
        return subprocess.Popen(argv, stderr=subprocess.PIPE, **streams)
    except OSError as error:
        raise DcError(f"{argv[0]} cannot be run: {error.strerror} (packages mariadb-client, zstd and age)") from error


def _end(processes):
    """All of a pipe's programs have to end well."""
    said = [(process.args[0], process.communicate()[1] or b"", process.returncode) for process in processes]
    wrong = [f"{name}: {text.decode('utf-8', 'replace').strip() or code}" for name, text, code in said if code]
    if wrong:
        raise DcError("; ".join(wrong))


class Whole:
    """Counts what goes by, and knows its end."""

    def __init__(self):
        self.size, self._tail = 0, b""

    def add(self, chunk):
        """The next piece; answers it."""
        self.size += len(chunk)
        self._tail = (self._tail + chunk)[-TAIL:]
        return chunk

    def check(self, path):
        """Raises where the end of a dump has not come."""
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
    first = [_run(["age", "-d", "-i", str(identity), str(path)], stdout=subprocess.PIPE)] if identity else []
    unpack = _run(["zstd", "-q", "-d", "-c", *([] if first else [str(path)])],
                  stdin=first[0].stdout if first else subprocess.DEVNULL, stdout=subprocess.PIPE)
    for process in first:
        process.stdout.close()
    yield unpack.stdout
    unpack.stdout.close()
    _end([*first, unpack])


def check(path, identity=None):
    """Read a backup back to its end; answers its size as SQL. identity: of the recipient it is sealed to."""
    whole = Whole()
    with unpacked(path, identity) as sql:
        for chunk in pieces(sql):
            whole.add(chunk)
    return whole.check(path)


def _feed(dump, to, whole):
    """What the dump says goes to what packs it."""
    try:
        with to:
            for chunk in pieces(dump.stdout):
                to.write(whole.add(chunk))
    except BrokenPipeError:  # it says itself why it has ended
        dump.kill()


def _dump(account, file, recipients, path):
    """The database, compressed, sealed to the recipients if there are any, on the disk; its size as SQL."""
    whole, written = Whole(), hashlib.sha256()
    dump = _run(["mariadb-dump", account, "--single-transaction", "--routines", "loom"], stdout=subprocess.PIPE)
    pack = _run(["zstd", "-q", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    last = [pack]
    if recipients:
        last.append(_run(["age", *(word for key in recipients for word in ("-r", key))], stdin=pack.stdout,
                         stdout=subprocess.PIPE))
        pack.stdout.close()
    feeder = threading.Thread(target=_feed, args=(dump, pack.stdin, whole))
    pack.stdin = None  # the thread's from here on
    feeder.start()
    for chunk in pieces(last[-1].stdout):
        written.update(chunk)
        file.write(chunk)
    feeder.join()
    _end([*reversed(last), dump])
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
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = datetime.datetime.now(datetime.UTC).strftime("loom-%Y-%m-%d-%H%M%S.sql.zst")
    path = folder / (name + (SEALED if recipients else ""))
    part = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with _account(inventory, host) as account:
            with os.fdopen(descriptor, "wb") as file:
                size = _dump(account, file, recipients, part)
            if not recipients:
                check(part)
            os.replace(part, path)
            # Where `loom doctor` finds it, which sees no machine's disks.
            _ask(account, "INSERT INTO loom.counter (name, value) VALUES ('backup', UNIX_TIMESTAMP() * 1000) "
                          "ON DUPLICATE KEY UPDATE value = VALUES(value)")
    except OSError as error:
        raise DcError(f"{part}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    old = all_of(inventory)[:-keep]
    for other in old:
        other.unlink()
    return {"file": str(path), "bytes": path.stat().st_size, "sql_bytes": size, "deleted": [str(other) for other in old]}


def in_the_way(inventory):
    """Services that run, which would work on a database that is half there."""
    ports = inventory["ports"]
    return [f"{name} on {host}" for host, own in inventory["hosts"].items()
            for name, port in (("loom-api", "api_external"), ("loom-scheduler", "scheduler_admin"))
            if fetch(own["address"], int(ports[port]), "/livez")[0]]


def _ask(account, sql):
    """What the database answers."""
    done = subprocess.run(["mariadb", account, "-N", "-B", "-e", sql], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DcError(f"mariadb: {done.stderr.strip()}")
    return done.stdout.strip()


def restore(inventory, host, path, replace, dry_run, identity=None):
    """Put a backup in the place of what the database has; when it was broken off, again with `replace`."""
    if not pathlib.Path(path).is_file():
        raise DcError(f"there is no file {path}")
    size = check(path, identity)
    running = in_the_way(inventory)
    if running:
        raise DcError(f"{', '.join(running)}: still running; stop them on all machines first")
    with _account(inventory, host) as account:
        tables = _ask(account, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'loom'")
        if tables != "0" and not replace:
            raise DcError(f"the database loom has {tables} tables; --replace deletes all that is in it")
        if not dry_run:
            # What is newer than the backup must not stay beside it.
            _ask(account, "DROP DATABASE IF EXISTS loom; CREATE DATABASE loom")
            with unpacked(path, identity) as sql:
                _end([_run(["mariadb", account, "loom"], stdin=sql, stdout=subprocess.DEVNULL)])
    return {"file": str(path), "sql_bytes": size, "restored": not dry_run}
