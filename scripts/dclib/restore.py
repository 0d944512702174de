# SPDX-License-Identifier: Apache-2.0
"""A backup in the place of what the database has, and what came after it up to a point in time."""

import datetime
import os
import pathlib
import re
import subprocess

from . import DcError, backup
from .ask import fetch

# What mariadb-dump --master-data=2 says at the top of a dump.
PLACE = re.compile(rb"^-- CHANGE MASTER TO MASTER_LOG_FILE='([^'/]+)', MASTER_LOG_POS=(\d+);", re.M)
# What mariadb-binlog says of each event.
EVENT = re.compile(rb"#(\d{6}) +(\d{1,2}:\d\d:\d\d) server id ")
SHOWN = "%Y-%m-%dT%H:%M:%SZ"


def in_the_way(inventory):
    """Services that run, which would work on a database that is half there."""
    ports = inventory["ports"]
    return [f"{name} on {host}" for host, own in inventory["hosts"].items()
            for name, port in (("loom-api", "api_external"), ("loom-scheduler", "scheduler_admin"))
            if fetch(own["address"], int(ports[port]), "/livez")[0]]


def moment(text):
    """A point in time that was given: UTC, unless it says another zone."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise DcError(f"--until is '{text}', which is no time like 2026-03-01T12:00:00Z") from error
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)


def made_at(path):
    """When a backup was begun, by its name."""
    if not backup.NAME.fullmatch(path.name):
        raise DcError(f"{path.name}: with --until a backup needs the name that it was made with, which says when")
    return datetime.datetime.strptime(path.name[:22], "loom-%Y-%m-%d-%H%M%S").replace(tzinfo=datetime.UTC)


def logs_from(folder, first):
    """The binary log `first` and all after it in a folder, none missing between."""
    base, _, number = first.rpartition(".")
    found = {int(path.suffix[1:]): path for path in pathlib.Path(folder).glob(f"{base}.*") if path.suffix[1:].isdigit()}
    wanted = range(int(number), max(found, default=0) + 1) or [int(number)]
    missing = [each for each in wanted if each not in found]
    if missing:
        raise DcError(f"{folder} lacks {base}.{missing[0]:06}: name a folder with the binary logs of the machine that "
                      f"made the backup, from {first} on (--logs)")
    return [found[each] for each in wanted]


class Replay:
    """What the binary logs have between a backup and a point in time."""

    def __init__(self, path, head, until, folder):
        self.until, made, place = moment(until), made_at(path), PLACE.search(head)
        if self.until < made:
            raise DcError(f"{path.name} is newer than --until: take an older one")
        if self.until > datetime.datetime.now(datetime.UTC):
            raise DcError(f"--until {self.until:{SHOWN}} is still to come")
        if not place:
            raise DcError(f"{path.name} names no binary log: there were none when it was made (db_logs_days)")
        self.position = int(place.group(2))
        self.logs = logs_from(folder, place.group(1).decode("ascii"))

    def run(self, socket):
        """By the server's own administrator. Answers when the last change was."""
        # It takes and tells times in the zone of its process.
        read = backup.start(["mariadb-binlog", "--no-defaults", "--database=loom", f"--start-position={self.position}",
                             f"--stop-datetime={self.until:%Y-%m-%d %H:%M:%S}", *map(str, self.logs)],
                            stdout=subprocess.PIPE, env={**os.environ, "TZ": "UTC"})
        write = backup.start(["mariadb", "--no-defaults", f"--socket={socket}"], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
        last = self.copy(read.stdout, write.stdin)
        write.stdin = None
        read.stdout.close()
        backup.end([write, read])
        return last

    @staticmethod
    def copy(events, to):
        """All lines, to the other; answers when the last change was."""
        last = None
        try:
            with to:
                for line in events:
                    last = EVENT.match(line) or last
                    to.write(line)
        except BrokenPipeError:  # it says itself why it has ended
            pass
        if not last:
            return ""
        when = datetime.datetime.strptime(b" ".join(last.groups()).decode("ascii"), "%y%m%d %H:%M:%S")
        return f"{when:{SHOWN}}"


def restore(inventory, host, path, options):
    """Put a backup in the place of what the database has; when it was broken off, again with `replace`.

    options: replace, dry_run, identity, until and logs, of the command line.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise DcError(f"there is no file {path}")
    paths = backup.values_for(inventory, host)["paths"]
    whole = backup.check(path, options.identity)
    replay = options.until and Replay(path, whole.head, options.until, options.logs or paths["db_data"])
    running = in_the_way(inventory)
    if running:
        raise DcError(f"{', '.join(running)}: still running; stop them on all machines first")
    done = {"file": str(path), "sql_bytes": whole.size, "restored": not options.dry_run}
    with backup.account(inventory, host) as account:
        tables = backup.ask(account, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'loom'")
        if tables != "0" and not options.replace:
            raise DcError(f"the database loom has {tables} tables; --replace deletes all that is in it")
        if not options.dry_run:
            # What is newer than the backup must not stay beside it.
            backup.ask(account, "DROP DATABASE IF EXISTS loom; CREATE DATABASE loom")
            with backup.unpacked(path, options.identity) as sql:
                backup.end([backup.start(["mariadb", account, "loom"], stdin=sql, stdout=subprocess.DEVNULL)])
    if replay:
        done.update(logs=[str(log) for log in replay.logs],
                    last_change="" if options.dry_run else replay.run(f"{paths['db_run']}/mysqld.sock"))
    return done
