"""A number without a threshold, such as a regression's answer. It is recorded as a score."""

from dataclasses import dataclass
from typing import Final

from flags.pairing.extract import Extract
from flags.pairing.kinds.kind import Column

COLUMNS: Final[dict[str, Column]] = {}
"""Numbers have no columns besides those of scores."""

EQUALITY: Final = None
"""Two numbers are hardly ever equal; their difference is compared instead."""


@dataclass(frozen=True, slots=True)
class Number:
    """Declare a number, e.g. `Number("price")`: a path of the answer, or a callable on it."""

    of: Extract
