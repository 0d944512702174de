# SPDX-License-Identifier: Apache-2.0
"""The table of routes, as /openapi.json tells it, to be walked by tests."""

import re

METHODS = ("get", "put", "post", "delete", "patch")
SAMPLES = {"string": "sample", "integer": 1, "number": 1, "boolean": True, "object": {}, "array": []}


def operations(doc):
    """(method, path, operation) of all."""
    return [(method, path, item[method]) for path, item in doc["paths"].items()
            for method in METHODS if method in item]


def resolve(doc, schema):
    """The schema itself where this is a reference."""
    while "$ref" in schema:
        part = doc
        for key in schema["$ref"].removeprefix("#/").split("/"):
            part = part[key]
        schema = part
    return schema


def sample(doc, schema):
    """The least document that the schema lets through."""
    schema = resolve(doc, schema)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(doc, schema["properties"][name]) for name in schema.get("required", ())}
    if kind == "array":
        return [sample(doc, schema["items"]) for _ in range(schema.get("minItems", 0))]
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    return SAMPLES.get(kind, "sample")


def body_schema(doc, operation):
    """Of the body, or None."""
    if "requestBody" not in operation:
        return None
    content = operation["requestBody"]["content"]
    return resolve(doc, content["application/json"]["schema"]) if "application/json" in content else None


def path_of(cluster, path, operation):
    """The path with names in it: of this cluster, else of things that there are not."""
    owner = operation["x-loom-permission"]["owner"]
    names = {"version": "1", "part": "1", "job": f"{cluster}-001"}
    names["id"] = {"cluster": cluster, "task": f"{cluster}-001-001", "claim": f"{cluster}-001-001"}.get(owner, "7")
    return re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "sample"), path)


def is_stream(operation):
    """Whether a right answer has no end."""
    return "text/event-stream" in operation["responses"]["200"].get("content", {})


def asked(doc):
    """The operations that ask who it is."""
    return [(method, path, operation) for method, path, operation in operations(doc) if operation["security"]]
