# SPDX-License-Identifier: Apache-2.0
"""A catalog with secrets that are nowhere else, and where they are found."""

import uuid

from .lab import service, template

MASK = "********"
CLOUD = {"name": "cloud", "parameters": {
    "admin": {"fields": {"token": {"label": "Token", "type": "text", "sensitive": True},
                         "url": {"label": "URL", "type": "text"}}},
    "user": {"fields": {"pass": {"label": "Password", "type": "password"},
                        "zone": {"label": "Zone", "type": "text"}}}}}
KEYED = {"name": "keyed", "parameters": {
    "admin": {"fields": {"license": {"label": "License", "type": "text", "sensitive": True}}}}}


def secret():
    """One that is nowhere else."""
    return f"s3cret-{uuid.uuid4().hex}"


def found(stack, *secrets):
    """Files of a stack that hold one of them: tables, redo logs, logs of services, anything."""
    return [str(path) for path in stack.dir.rglob("*") if path.is_file() and not path.is_symlink()
            and any(word.encode() in path.read_bytes() for word in secrets)]


def register(stack, *types):
    """As a provisioner does."""
    for document in types:
        kind = "automatortypes" if document["name"] == "keyed" else "providertypes"
        answer = stack.internal.put(f"/v2/plugins/{kind}/{document['name']}", document)
        assert answer.status == 200, answer


def keyed_service(value):
    """A service whose action has a secret."""
    document = service("vault", actions=("install",))
    document["provisioner"]["actions"]["install"] = {
        "type": "keyed", "fields": {"script": "x", "license": value}}
    return document


def load(lab, token, licence):
    """A catalog with a provider and a service that have secrets."""
    lab.load({
        "providers": [{"name": "lab", "providertype": "cloud",
                       "provisioner": {"token": token, "url": "http://cloud"}}],
        "hardwaretypes": [{"name": "small", "providermap": {"lab": {"flavor": "s"}}}],
        "imagetypes": [{"name": "deb", "providermap": {"lab": {"image": "i"}}}],
        "services": [keyed_service(licence)],
        "clustertemplates": [template("one", ["vault"])]})
