"""Functions that make text from the dashboard, the service or callers safe to show."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import orjson


def printable(text: str, length: int | None = None) -> str:
    """Replace control characters and lone surrogates; cut the text after `length` characters."""
    is_short = length is None or len(text) <= length
    shown = text if is_short else text[:length] + "\N{HORIZONTAL ELLIPSIS}"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)


def without_credentials(text: str) -> str:
    """Remove user and password from each URL in a text, also from a URL without a scheme."""
    return re.sub(r"(^|//)[^/\s]*@", r"\1", text)


def printable_json(value: Any, option: int = 0) -> bytes:
    """Return JSON. Lone surrogates, which UTF-8 cannot encode, are replaced by `?`."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:
        return orjson.dumps(_without_surrogates(value), option=option)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _without_surrogates(getattr(value, each.name)) for each in fields(value)}
    return value
