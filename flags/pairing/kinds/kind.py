"""What a kind of answer has to say when a request is scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from flags.pairing.extract import Extract

Value = str | float | bool
"""What a span can hold."""

Column = Literal["word", "text", "number", "count", "truth"]
"""The type of what is recorded: a word is a text of which there are few."""

Reader = Callable[[Any], Mapping[str, Value]]
"""Return what is recorded of an answer, by its name; raise AnswerUnreadableError."""


@dataclass(frozen=True, slots=True)
class Sameness:
    """Name what is recorded of an answer that is equal where both sides answer the same."""

    of: str
    """What the answer is: a class, a ranking, a text."""
    exact: str
    normal: str
    """The same but for what does not matter, such as case and spaces of a text."""
    shown_by: str = "labels show which side is right"
    """What excuses answers that differ."""


@runtime_checkable
class Kind(Protocol):
    """Declare one output that is not a number.

    The module of a kind has `COLUMNS`: by the name of what is recorded, the type of its column;
    and `SAMENESS`, None where the answers of two sides are hardly ever the same.
    `migration.<side>.<what>.<output>` is the attribute, `<side>_<what>.<output>` the column.
    """

    @property
    def extracts(self) -> Mapping[str, Extract]:
        """Return the paths and callables by which it reads, by the name of the argument."""

    def reader(self, output: str) -> Reader:
        """Return what reads an answer. Raises ReadingError where a path is wrong."""
