"""Write the schema of a verdict, and its page, from the code: `python docs/verdict_schema.py`."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from comparison.report.verdict_schema import schema

PAGE: Final = Path(__file__).parent / "reference" / "verdict.schema.json"
READABLE: Final = PAGE.with_name("verdict.md")

_INTRODUCTION: Final = """\
# Verdict

<!-- Written by docs/verdict_schema.py from comparison/report/verdict_schema.py. -->

The output of `--json` of [`gate`](cli.md#bentoml-migration-gate) and of the commands that run the
gate: the verdict, each check, and its evidence. The [JSON schema](verdict.schema.json) has the same
for programs. An unknown value is null. The counts by level, minute, block of ten minutes and hour,
from which intervals and charts are made, are left out: there are thousands.
"""

_KINDS: Final = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "null",
}


def page() -> str:
    """Return the schema as it is published."""
    return orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode() + "\n"


def readable() -> str:
    """Return the page: a section for each part of the document, in the order of reading."""
    document = schema()
    parts = {"The document": document}
    for name in _found(document, document["$defs"]):
        parts[name] = document["$defs"][name]
    return "\n".join([_INTRODUCTION, *(_section(*part) for part in parts.items())])


def _found(part: Any, definitions: Mapping[str, Any]) -> list[str]:
    """List the definitions that a part leads to, each once, depth first."""
    found: dict[str, None] = {}

    def look(text: str) -> None:
        for name in re.findall(r'"#/\$defs/(\w+)"', text):
            if name not in found:
                found[name] = None
                look(orjson.dumps(definitions[name]).decode())

    look(orjson.dumps(part["properties"]).decode())
    return list(found)


def _section(title: str, part: Mapping[str, Any]) -> str:
    return "\n".join([f"## {title}", "", *_body(part), ""])


def _body(part: Mapping[str, Any]) -> Iterator[str]:
    if description := part.get("description"):
        yield from description.splitlines()
        yield ""
    if "enum" in part:
        yield "One of " + ", ".join(f"`{value}`" for value in part["enum"]) + "."
        return
    yield "| key | value | meaning |"
    yield "| --- | --- | --- |"
    for name, described in part["properties"].items():
        yield f"| `{name}` | {_value(described)} | {described.get('description', '')} |"


def _value(described: Mapping[str, Any]) -> str:
    """Return in words what a value is, with links to the parts."""
    if "$ref" in described:
        name = described["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in described:
        return " or ".join(dict.fromkeys(_value(choice) for choice in described["anyOf"]))
    kind = described.get("type")
    if kind == "array":
        if "prefixItems" in described:
            return "list of " + " and ".join(_value(each) for each in described["prefixItems"])
        return f"list of {_value(described['items'])}" if described.get("items") else "list"
    if kind == "object":
        values = described.get("additionalProperties")
        return f"by name: {_value(values)}" if isinstance(values, dict) else "object"
    shown = _KINDS[str(kind)]
    return f"time, as {shown}" if described.get("format") == "date-time" else shown


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    READABLE.write_text(readable(), encoding="utf-8")
