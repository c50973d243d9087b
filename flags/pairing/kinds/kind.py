"""The interface of a kind of answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from flags.pairing.extract import Extract

Value = str | float | bool
"""A value that a span can have."""

Column = Literal["word", "text", "number", "count", "truth"]
"""The type of a recorded value; a `word` is one of few different texts."""

Reader = Callable[[Any], Mapping[str, Value]]
"""Return the recorded values of an answer by column; raise AnswerUnreadableError."""


@dataclass(frozen=True, slots=True)
class Equality:
    """How answers of a kind are compared for equality: by which recorded columns."""

    of: str
    """The noun for the answer: class, ranking or text."""
    exact: str
    """Column of the answer itself, or of its digest."""
    normal: str
    """Column of the normal form, without differences that do not matter (case and white space)."""
    shown_by: str = "labels show which side is right"
    """The evidence that is needed if answers differ, as a clause for messages."""


@runtime_checkable
class Kind(Protocol):
    """The declaration of one output that is not a number.

    The module of a kind has `COLUMNS`, the types of its columns by name, and `EQUALITY`, which is
    None if two sides hardly ever give the same answer. A column is recorded as the attribute
    `migration.<side>.<column>.<output>`, and read as `<side>_<column>.<output>`.
    """

    @property
    def extracts(self) -> Mapping[str, Extract]:
        """Return the paths and callables that read answers, by argument."""

    def reader(self, output: str) -> Reader:
        """Return the function that reads an answer. Raises ReadingError if a path is wrong."""
