"""A parser of flag documents that parses one flag at a time and lets other threads run meanwhile.

`json.loads` holds the interpreter's lock for a whole document: 26 ms for 5,000 flags on an idle
processor, some 400 ms on a busy one. During that time the worker answers no request.
"""

import json
import math
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

_MAX_DEPTH: Final = 100
"""Levels of arrays and objects; the engine refuses more than 127, Python's parser about 1,000."""
_MAX_DIGITS: Final = 400
"""A longer whole number is read as infinity; Python refuses more than 4,300 digits."""
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_FEATURES: Final = "features"

_FLAGS_AT_ONCE: Final = 32
_PAUSE: Final = 0.0002
"""Flags between two pauses, and the seconds of a pause, in which the event loop gets the lock."""

_Item = TypeVar("_Item")


def parse_features(text: str) -> tuple[Any, list[str] | None]:
    """Return a document, and the elements of its array `features` as JSON texts.

    The latter is None if there is no such array. Raises ValueError or RecursionError if `text` is
    not JSON.
    """
    try:
        try:
            found = _stepwise(text)
        except RecursionError:
            found = _stepwise(_without_depth(text))
    except (IndexError, ValueError):  # the standard parser says what is wrong and where
        return json.loads(text, parse_int=_whole_number), None
    features = found.get(_FEATURES)
    return found, features if isinstance(features, _Elements) else None


def parse_element(text: str) -> Any:
    """Return the value of one element of `features`."""
    return _DECODER.decode(text)


class _Elements(list[str]):
    """The elements of an array as JSON texts, as they are in the document."""


def with_pauses(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield the items, with pauses in which other threads run."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _FLAGS_AT_ONCE == 0:
            time.sleep(_PAUSE)


def _stepwise(text: str) -> dict[str, Any]:
    """Parse the object in `text`; its array `features` becomes `_Elements`."""
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
        _, end = _DECODER.raw_decode(
            text, at
        )  # discarded: kept objects would trigger garbage collection
        found.append(text[at:end])
        at = _next(text, end, "]")
        if len(found) % _FLAGS_AT_ONCE == 0:
            time.sleep(_PAUSE)
    return found, at + 1


def _next(text: str, at: int, end: str) -> int:
    """Return the position of the next element, after a comma, or of `end`."""
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
    return int(digits) if len(digits) < _MAX_DIGITS else math.inf


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number)


def _without_depth(text: str) -> str:
    """Replace values at _MAX_DEPTH by NaN, so that only the flag that holds them is refused."""
    kept, depth, begin = [], 0, 0
    for token in _TOKENS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _MAX_DEPTH:
                kept.append(text[begin : token.start()] + "NaN")
        elif token[0] in "]}":
            if depth == _MAX_DEPTH:
                begin = token.end()
            depth -= 1
    return "".join(kept) + (text[begin:] if depth < _MAX_DEPTH else "")
