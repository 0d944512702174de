# SPDX-License-Identifier: Apache-2.0
"""What the values of an inventory may be: a wrong one is told where it stands, before anything is made of it."""

import ipaddress
import re

from . import DcError

CHOICES = {
    "layout": ("machines", "compose", "containers", "single"), "sql_proxy": ("haproxy", "proxysql"),
    "auth_mode": ("token", "headers"), "log_level": ("debug", "info", "warn", "error"), "tls": ("yes", "no", "0", ""),
}
# setting: (what it counts, from, to); more binary logs the server does not keep
NUMBERS = {
    "db_logs_days": ("days", 0, 99), "virtual_router_id": ("a router", 1, 255), "prefix_length": ("bits", 1, 32),
    "haproxy_threads": ("threads", 1, 256), "provisioner_capacity": ("tasks", 1, 1000), "copies": ("copies", 1, 1000),
}
MAY_LACK = ("haproxy_threads",)
MOST_PROVISIONERS, MOST_PORT = 100, 65535
DURATION = re.compile(r"([0-9]{1,9})(|ms|s|m|h|d)")
UNITS = {"": 0.001, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
DAY = 86400
ADDRESS = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.:-]*[0-9A-Za-z])?")
HOSTS = ("address", "db_address", "zookeeper_address")


def _number(where, text, counted, least, most):
    """Refuse what is no whole number in these bounds."""
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise DcError(f"{where} is '{text}', not a number of {counted} from {least} to {most}")


def seconds(text):
    """A duration as services' configuration has it, or None."""
    found = DURATION.fullmatch(text)
    return int(found.group(1)) * UNITS[found.group(2)] if found else None


def _address(where, text):
    """Refuse what is neither an IP address nor a machine's name."""
    if not ADDRESS.fullmatch(text):
        raise DcError(f"{where} is '{text}', which is no address")


def networks(where, text):
    """Addresses and networks that a list names, or a DcError."""
    found = text.replace(",", " ").split()
    for word in found:
        try:
            ipaddress.ip_network(word)
        except ValueError as error:
            raise DcError(f"{where} has '{word}', which is no address and no network (10.1.0.0/16, ::1)") from error
    return found


def _datacenter(path, settings):
    """The section of that name."""
    for key, known in CHOICES.items():
        if settings[key] not in known:
            raise DcError(f"{path}: [datacenter] {key} is '{settings[key]}', not one of {', '.join(filter(None, known))}")
    for key, bounds in NUMBERS.items():
        if settings[key] or key not in MAY_LACK:
            _number(f"{path}: [datacenter] {key}", settings[key], *bounds)
    drain = seconds(settings["provisioner_drain"])
    if drain is None or drain > DAY:
        raise DcError(f"{path}: [datacenter] provisioner_drain is '{settings['provisioner_drain']}', not a duration up to a "
                      "day (20s, 5m, 1h)")
    networks(f"{path}: [datacenter] trusted_proxies", settings["trusted_proxies"])
    moves = settings["virtual_address"]
    try:
        ipaddress.ip_address(moves)
    except ValueError as error:
        raise DcError(f"{path}: [datacenter] virtual_address is '{moves}', which is no IP address") from error


def check(path, inventory):
    """Refuse a wrong value."""
    _datacenter(path, inventory["datacenter"])
    for key, text in inventory["ports"].items():
        _number(f"{path}: [ports] {key}", text, "a port", 1, MOST_PORT)
    for name, own in inventory["hosts"].items():
        _number(f"{path}: [host {name}] provisioners", own["provisioners"], "provisioners", 0, MOST_PROVISIONERS)
        for key in HOSTS:
            if own[key] or key == "address":
                _address(f"{path}: [host {name}] {key}", own[key])


def check_apart(path, inventory):
    """Refuse an address that two machines have, or one of them and all together."""
    owners = {inventory["datacenter"]["virtual_address"]: "[datacenter] virtual_address"}
    for name, own in inventory["hosts"].items():
        other = owners.setdefault(own["address"], f"[host {name}] address")
        if other != f"[host {name}] address":
            raise DcError(f"{path}: [host {name}] address is {own['address']}, which is {other} already")
