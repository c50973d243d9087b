"""Text made safe to show: some names come from the dashboard, the service or callers."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import orjson


def printable(text: str, most: int | None = None) -> str:
    """Replace what could steer a terminal, or has no UTF-8; cut off after `most` characters."""
    shown = text if most is None or len(text) <= most else text[:most] + "\N{HORIZONTAL ELLIPSIS}"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)


def without_credentials(text: str) -> str:
    """Remove the user and password of each URL in a text, also of a URL without a scheme."""
    return re.sub(r"(^|//)[^/\s]*@", r"\1", text)


def printable_json(value: Any, option: int = 0) -> bytes:
    """Return JSON; half a character, which JSON's escapes allow and UTF-8 does not, is replaced."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:
        return orjson.dumps(_whole(value), option=option)


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_whole(key): _whole(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _whole(getattr(value, each.name)) for each in fields(value)}
    return value
