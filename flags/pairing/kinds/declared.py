"""The outputs of `migrate(score=...)`, and the kinds that follow from the answer's types."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

from flags.errors import ReadingError
from flags.pairing.extract import Extract
from flags.pairing.kinds.category import Category
from flags.pairing.kinds.kind import Kind
from flags.pairing.kinds.number import Number
from flags.pairing.kinds.ranking import Ranking
from flags.pairing.kinds.score import Score

Declared = Extract | Score | Number | Kind
"""The declaration of one output: of a kind, or only a path or callable, whose kind then follows
from its type."""

ScoreSpec = Declared | Mapping[str, Declared]


def named_outputs(score: ScoreSpec) -> dict[str, Declared]:
    """Return the declarations by the output's name. Raises ReadingError."""
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


def kind_of_type(answers: type[Any], extract: Callable[[Any], Any]) -> Kind | None:
    """Return the kind of the type of the extracted value; None for a number or an unknown type.

    Words (str, bool, an Enum, literals) are a class, a list of ids (str, int, UUID) is a ranking.
    The type is that of the field of the model class `answers` at the path, or the callable itself.
    """
    path = getattr(extract, "path", None)
    annotation: Any = extract if path is None else _annotation(answers, path)
    if _are_words(annotation):
        return Category(path or extract)
    return Ranking(path or extract) if _are_ids(annotation, declared=path is None) else None


def _annotation(answers: Any, path: str) -> Any:
    found = answers
    for step in path.split("."):
        field = getattr(found, "model_fields", {}).get(step)
        if field is None:
            return None
        found = field.annotation
    return found


def _are_words(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Literal:
        return any(isinstance(each, str | bool) for each in get_args(annotation))
    if origin in (Union, UnionType):
        return all(_are_words(each) for each in get_args(annotation) if each is not NoneType)
    return isinstance(annotation, type) and issubclass(annotation, str | bool | Enum)


def _are_ids(annotation: Any, *, declared: bool) -> bool:
    """Say whether a type is a list of ids; a `list` of unknown items only if it is `declared`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        kinds = [each for each in inner if each is not NoneType]
        return bool(kinds) and all(_are_ids(each, declared=declared) for each in kinds)
    if not inner:
        return declared and annotation in (list, tuple)
    if origin is tuple and (len(inner) != 2 or inner[1] is not Ellipsis):
        return False
    if origin not in (list, tuple, Sequence):
        return False
    return isinstance(inner[0], type) and (
        issubclass(inner[0], str | int | UUID) and not issubclass(inner[0], bool | Enum)
    )
