"""The outputs that `migrate(score=...)` names, and the kind of those that are named plainly."""

from collections.abc import Callable, Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from flags.errors import ReadingError
from flags.pairing.extract import Extract
from flags.pairing.kinds.kind import Kind
from flags.pairing.kinds.number import Number
from flags.pairing.kinds.score import Score

Declared = Extract | Score | Number | Kind
"""How one output is named: plainly, then its kind follows from its type, or with its kind."""

ScoreSpec = Declared | Mapping[str, Declared]


def named_outputs(score: ScoreSpec) -> dict[str, Declared]:
    """Return the outputs by name. Raises ReadingError."""
    if isinstance(score, Mapping):
        if score:
            return dict(score)
    elif (extract := _extract_of(score)) is not None:
        return {_name_of(extract): score}
    raise ReadingError(
        f"score is {score!r}: it must be an attribute path of the answer (such as "
        "'fraud_probability'), a callable on the answer, a kind such as Number('price'), or a "
        "mapping of names to these"
    )


def _extract_of(declared: Any) -> Extract | None:
    if isinstance(declared, Score | Number):
        return declared.of
    if isinstance(declared, Kind):
        return next(iter(declared.extracts.values()), None)
    return declared if isinstance(declared, str) or callable(declared) else None


def _name_of(extract: Extract) -> str:
    if isinstance(extract, str):
        return extract.rsplit(".", 1)[-1]
    name = getattr(extract, "__name__", "score")
    return "score" if name == "<lambda>" else str(name)


def holds_classes(answers: type[Any], extract: Callable[[Any], Any], path: str | None) -> bool:
    """Say whether what is read has words as its type: str, bool, an Enum or literals.

    That is the type of the field of the model class `answers` at `path`, or the callable itself.
    """
    if path is None:
        return extract in (str, bool)
    found: Any = answers
    for step in path.split("."):
        field = getattr(found, "model_fields", {}).get(step)
        if field is None:
            return False
        found = field.annotation
    return _are_words(found)


def _are_words(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return any(isinstance(each, str | bool) for each in get_args(annotation))
    if origin in (Union, UnionType):
        return all(_are_words(each) for each in get_args(annotation) if each is not NoneType)
    return isinstance(annotation, type) and issubclass(annotation, str | bool | Enum)
