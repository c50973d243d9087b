"""A score: a number that is held against a threshold, from which on it is an alarm."""

from dataclasses import dataclass
from typing import Literal

from flags.pairing.extract import Extract


@dataclass(frozen=True, slots=True)
class Score:
    """Declare a score, e.g. `Score("fraud_probability", threshold=0.5)`.

    `of` and `threshold` are paths of the answer or callables on it; a threshold may be a number.
    With `alarm="below"`, a score below the threshold is an alarm, else one that is not.
    """

    of: Extract
    threshold: float | Extract | None = None
    alarm: Literal["above", "below"] = "above"
