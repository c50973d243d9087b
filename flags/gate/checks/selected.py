"""Whether labels depend on who answered."""

from collections.abc import Mapping
from typing import Final, Protocol

from flags.gate.evidence import Count

_COVERAGE_P: Final = 0.001


class Covered(Protocol):
    """Hold, by served side, labelled of all pairs old enough, and a p-value that they are alike."""

    @property
    def coverage(self) -> Mapping[str, Count]:
        """Return the counts."""

    @property
    def coverage_p(self) -> float | None:
        """Return the p-value."""


def labels_depend_on_side(found: Covered, gap: float) -> str:
    """Return the coverage in words if one side's answers surely have labels less often by `gap`.

    Empty if not.
    """
    rates = [each.rate for each in found.coverage.values() if each.rate is not None]
    unequal = len(rates) > 1 and min(rates) < (1 - gap) * max(rates)
    if not unequal or (found.coverage_p or 0.0) >= _COVERAGE_P:
        return ""
    return ", ".join(
        f"{side} {each.count:,} of {each.total:,}" for side, each in found.coverage.items()
    )
