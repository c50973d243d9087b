"""A ranking: ids in order, best first, such as an answer of a search or recommender system."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from uuid import UUID

from flags.errors import AnswerUnreadableError, ReadingError
from flags.pairing.extract import Extract, extractor, read_value
from flags.pairing.kinds.kind import Column, Equality, Reader, Value

RANKING: Final = "ranking"
GROUPS: Final = "groups"
COLUMNS: Final[dict[str, Column]] = {RANKING: "text", GROUPS: "word"}
"""The ids in their order, each between bars: `|17|4|`, and their groups: `|shoes||hats|`."""

EQUALITY: Final = Equality(
    "ranking", RANKING, RANKING, shown_by="labels show which items are relevant"
)

MAX_CHARACTERS: Final = 128
"""Longest id, or name of a group."""

MAX_TOP: Final = 50
"""Most ids that may be recorded of an answer."""

_QUOTED: Final = str.maketrans({"%": "%25", "|": "%7C", "=": "%3D"})


@dataclass(frozen=True, slots=True)
class Ranking:
    """Declare a ranking, e.g. `Ranking("items", item="id", group="category", top=20)`.

    `of` is a path of the answer or a callable on it: a list of ids, or of items that have their id
    at `item`. An id is a text, a whole number, a UUID or an Enum. `group` leads to an item's group,
    by which items are counted. The first `top` ids are recorded: choose as many as a caller sees.
    """

    of: Extract
    item: Extract | None = None
    group: Extract | None = None
    top: int = 10

    def __post_init__(self) -> None:
        if not isinstance(self.top, int) or not 1 <= self.top <= MAX_TOP:
            raise ReadingError(
                f"top is {self.top!r}: it must be a whole number from 1 to {MAX_TOP}"
            )

    @property
    def extracts(self) -> Mapping[str, Extract]:
        """Return the paths and callables, by argument."""
        return {"score": self.of}

    def reader(self, output: str) -> Reader:
        """Return the function that reads the ids, and their groups."""
        list_of = extractor(self.of, f"score[{output!r}]")
        id_of, group_of = (
            None if each is None else extractor(each, f"{word} of {output!r}")
            for word, each in (("item", self.item), ("group", self.group))
        )

        def read(answer: Any) -> Mapping[str, Value]:
            items = _as_list(output, read_value(output, list_of, answer))
            kept: dict[str, Any] = {}
            for item in items:
                value = item if id_of is None else read_value(output, id_of, item)
                kept.setdefault(item_id(output, value), item)  # the first of equal ids counts
                if len(kept) == self.top:
                    break
            found: dict[str, Value] = {RANKING: "|" + "".join(f"{each}|" for each in kept)}
            if group_of is not None:
                groups = (item_id(output, read_value(output, group_of, e)) for e in kept.values())
                found[GROUPS] = "".join(f"|{each}|" for each in groups) or "|"
            return found

        return read


def _as_list(output: str, value: Any) -> Iterable[Any]:
    wrong = isinstance(value, str | bytes | Mapping | AbstractSet)
    if wrong or not isinstance(value, Iterable):
        raise AnswerUnreadableError(f"{output} is a {type(value).__name__}, not a list in an order")
    return value


def item_id(output: str, value: Any) -> str:
    """Return an id as it is recorded. Raises AnswerUnreadableError if `value` cannot be an id."""
    if hasattr(value, "item") and not getattr(value, "ndim", 0):  # a numpy scalar
        value = value.item()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise AnswerUnreadableError(
            f"{output} lists a {type(value).__name__}, which is not an id: "
            "Ranking(..., item=...) says where it is"
        )
    if len(name := str(value)) > MAX_CHARACTERS:
        raise AnswerUnreadableError(
            f"{output} lists an id of {len(name):,} characters: it may have {MAX_CHARACTERS}"
        )
    return name.translate(_QUOTED)
