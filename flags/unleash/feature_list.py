"""A parser of flag documents that takes one flag at a time, and lets other threads in between.

`json.loads` holds the interpreter's lock for a whole document: 26 ms for 5,000 flags on an idle
processor, and some 400 ms on a busy one, in which the worker answers nobody.
"""

import json
import math
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

_DEEPEST: Final = 100
"""Levels of arrays and objects; the engine refuses more than 127, Python's parser about 1,000."""
_DIGITS: Final = 400
"""Of a whole number that is worth reading; Python refuses more than 4,300."""
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_FEATURES: Final = "features"

_AT_ONCE: Final = 32
_BREATH: Final = 0.0002
"""Flags between two rests, and the seconds of a rest, in which the event loop gets the lock."""

_Item = TypeVar("_Item")


def parse_features(text: str) -> tuple[Any, list[str] | None]:
    """Return a document, and the elements of its array `features` as texts, None without it.

    Each element is JSON. Raises ValueError or RecursionError if `text` is not JSON.
    """
    try:
        try:
            found = _stepwise(text)
        except RecursionError:
            found = _stepwise(_without_depth(text))
    except (IndexError, ValueError):  # what is wrong, and where, says the parser of the whole
        return json.loads(text, parse_int=_whole_number), None
    features = found.get(_FEATURES)
    return found, features if isinstance(features, _Elements) else None


def parsed(text: str) -> Any:
    """Return the value of one element."""
    return _DECODER.decode(text)


class _Elements(list[str]):
    """The elements of an array, each as it stands in the document."""


def with_rests(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items, with rests for other threads between them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _AT_ONCE == 0:
            time.sleep(_BREATH)


def _stepwise(text: str) -> dict[str, Any]:
    """Return the object in `text`, its array `features` as `_Elements`."""
    found: dict[str, Any] = {}
    at = _expect("{", text, _skip(text, 0))
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _expect(":", text, _skip(text, at))
        if key == _FEATURES and text[at] == "[":
            found[key], at = _array(text, at)
        else:
            found[key], at = _DECODER.raw_decode(text, at)
        at = _next(text, at, "}")
    if _skip(text, at + 1) != len(text):
        raise ValueError("there is more than one object")
    return found


def _array(text: str, at: int) -> tuple[_Elements, int]:
    """Return the elements of the array that begins at `at`, and where it ends."""
    found = _Elements()
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)  # kept, the objects would call for the collector
        found.append(text[at:end])
        at = _next(text, end, "]")
        if len(found) % _AT_ONCE == 0:
            time.sleep(_BREATH)
    return found, at + 1


def _next(text: str, at: int, end: str) -> int:
    """Return where the next element begins, or `end` stands; there is a comma before the first."""
    at = _skip(text, at)
    if text[at] == end:
        return at
    at = _expect(",", text, at)
    if text[at] == end:
        raise ValueError("there is a comma before the end")
    return at


def _expect(sign: str, text: str, at: int) -> int:
    if text[at] != sign:
        raise ValueError(f"there is no {sign}")
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) < _DIGITS else math.inf


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number)


def _without_depth(text: str) -> str:
    """Return the text with a NaN for what lies too deep, so that only that flag is refused."""
    kept, depth, begin = [], 0, 0
    for token in _TOKENS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _DEEPEST:
                kept.append(text[begin : token.start()] + "NaN")
        elif token[0] in "]}":
            if depth == _DEEPEST:
                begin = token.end()
            depth -= 1
    return "".join(kept) + (text[begin:] if depth < _DEEPEST else "")
