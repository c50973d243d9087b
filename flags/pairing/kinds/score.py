"""A score: a number that is an alarm if it reaches a threshold."""

from dataclasses import dataclass
from typing import Literal

from flags.pairing.extract import Extract


@dataclass(frozen=True, slots=True)
class Score:
    """Declare a score, e.g. `Score("fraud_probability", threshold=0.5)`.

    `of` and `threshold` are paths of the answer or callables on it; a threshold may be a number.
    With `alarm="below"`, a score below the threshold is an alarm; otherwise a score at or above it.
    """

    of: Extract
    threshold: float | Extract | None = None
    alarm: Literal["above", "below"] = "above"
