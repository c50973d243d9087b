"""A number without a threshold, as a regression answers. It is recorded as a score without one."""

from dataclasses import dataclass
from typing import Final

from flags.pairing.extract import Extract
from flags.pairing.kinds.kind import Column

COLUMNS: Final[dict[str, Column]] = {}
"""Nothing besides the columns of scores."""

SAMENESS: Final = None
"""Numbers are hardly ever the same; their difference tells more."""


@dataclass(frozen=True, slots=True)
class Number:
    """Declare a number, e.g. `Number("price")`: a path of the answer, or a callable on it."""

    of: Extract
