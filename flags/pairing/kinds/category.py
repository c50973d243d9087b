"""A class out of several: its name, and the likeliest classes if there are probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flags.errors import AnswerUnreadableError
from flags.pairing.extract import Extract, extractor, read_value
from flags.pairing.kinds.kind import Column, Equality, Reader, Value

CLASS: Final = "class"
TOP: Final = "top"
COLUMNS: Final[dict[str, Column]] = {CLASS: "word", TOP: "word"}
"""The class, and the likeliest classes in descending order, each between bars: `|cat|dog|fox|`."""

EQUALITY: Final = Equality("class", exact=CLASS, normal=CLASS)

MAX_CHARACTERS: Final = 128
"""Longest name of a class; a longer string is a text."""


@dataclass(frozen=True, slots=True)
class Category:
    """Declare a class, e.g. `Category("species", probabilities="probs")`.

    `of` is a path of the answer or a callable on it: a text, a whole number, a boolean or an Enum.
    `probabilities` leads to a mapping of classes to numbers, of which the `top` largest are
    recorded.
    """

    of: Extract
    probabilities: Extract | None = None
    top: int = 3

    @property
    def extracts(self) -> Mapping[str, Extract]:
        """Return the paths and callables, by argument."""
        if self.probabilities is None:
            return {"score": self.of}
        return {"score": self.of, "probabilities": self.probabilities}

    def reader(self, output: str) -> Reader:
        """Return the function that reads the class and the likeliest classes of an answer."""
        name_of = extractor(self.of, f"score[{output!r}]")
        likely = None
        if self.probabilities is not None:
            likely = extractor(self.probabilities, f"probabilities of {output!r}")

        def read(answer: Any) -> Mapping[str, Value]:
            found = {CLASS: class_name(output, read_value(output, name_of, answer))}
            if likely is not None:
                found[TOP] = self._likeliest(output, read_value(output, likely, answer))
            return found

        return read

    def _likeliest(self, output: str, probabilities: Any) -> str:
        if not isinstance(probabilities, Mapping):
            raise AnswerUnreadableError(
                f"the probabilities of {output} are a {type(probabilities).__name__}, "
                "not a mapping of classes to numbers"
            )
        order = sorted(probabilities, key=lambda each: -float(probabilities[each]))
        return "|" + "".join(f"{class_name(output, each)}|" for each in order[: self.top])


def class_name(output: str, value: Any) -> str:
    """Return the name of a class. Raises AnswerUnreadableError if `value` cannot be a class."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        raise AnswerUnreadableError(f"{output} is a {type(value).__name__}, no name of a class")
    if len(name := str(value)) > MAX_CHARACTERS:
        raise AnswerUnreadableError(
            f"{output} has {len(name):,} characters: the name of a class has {MAX_CHARACTERS} at "
            "most; declare a longer text as Text(...)"
        )
    return name
