"""Paths and callables by which values are read out of answers and inputs."""

from collections.abc import Callable, Mapping
from typing import Any

from flags.errors import AnswerUnreadableError, ReadingError

Extract = str | Callable[[Any], Any]
"""An attribute path such as `result.probability` or `0.score`, or a callable on the whole value."""


def extractor(extract: Extract | float, where: str) -> Callable[[Any], Any]:
    """Return `extract` as a callable: one that follows it if it is a path. Raises ReadingError."""
    if callable(extract):
        return extract
    if not isinstance(extract, str) or not all(extract.split(".")):
        raise ReadingError(
            f"{where} is {extract!r}: it must be an attribute path such as 'result.score', "
            "or a callable"
        )
    steps = tuple(extract.split("."))

    def follow(value: Any) -> Any:
        for step in steps:
            value = _step(value, step)
        return value

    follow.path = extract  # type: ignore[attr-defined]  # for the check against the schema
    return follow


def _step(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value[step]
    if step.lstrip("-").isdigit():
        return value[int(step)]
    own = getattr(value, "__dict__", None)
    if own is not None and step in own:  # a pydantic model would search for `iloc`, slowly
        return own[step]
    if hasattr(value, "iloc"):  # a pandas object: the column or key
        return value[step]
    return getattr(value, step)


def read_value(output: str, extract: Callable[[Any], Any], answer: Any) -> Any:
    """Return the value that `extract` reads, a numpy scalar as Python's own type.

    Raises AnswerUnreadableError.
    """
    try:
        value = extract(answer)
        return value.item() if hasattr(value, "item") and not getattr(value, "ndim", 0) else value
    except Exception as error:
        raise AnswerUnreadableError(
            f"{output} cannot be read from an answer of type {type(answer).__name__}: "
            f"{type(error).__name__}"
        ) from error
