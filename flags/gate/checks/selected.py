"""Whether labels depend on who answered, or fit neither side: then they cannot compare them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from flags.gate.evidence import Count
from flags.gate.label_fit import Fit, LabelFit
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome

_COVERAGE_P: Final = 0.001


class Labelled(Protocol):
    """Hold the evidence on an output with labels."""

    @property
    def name(self) -> str:
        """Return the output."""

    @property
    def labelled(self) -> int:
        """Return how many pairs have a label that counts."""

    @property
    def coverage(self) -> Mapping[str, Count]:
        """Return by served side, labelled of all pairs old enough for a label."""

    @property
    def coverage_p(self) -> float | None:
        """Return the p-value that the coverage does not depend on the served side."""


def selected_labels(
    found: Labelled, check: str, what: str, gap: float, *, required: bool
) -> Check | None:
    """Return the open check of `what` if one side's answers surely have labels less often by `gap`.

    None if not.
    """
    rates = [each.rate for each in found.coverage.values() if each.rate is not None]
    unequal = len(rates) > 1 and min(rates) < (1 - gap) * max(rates)
    if not unequal or (found.coverage_p or 0.0) >= _COVERAGE_P:
        return None
    covered = ", ".join(
        f"{side} {each.count:,} of {each.total:,}" for side, each in found.coverage.items()
    )
    reason = f"labels depend on who answered ({covered}), so {what} is not compared"
    open_ = plain(check, Outcome.INCONCLUSIVE, found.labelled, reason)
    return replace(open_, output=found.name, required=required)


def unfit_labels(
    found: Labelled, check: str, what: str, fit: LabelFit, wanted: bool
) -> Check | None:
    """Return the open check of `what` if the labels go with neither side; None if they do."""
    if fit.is_shown:
        return None
    open_ = plain(check, Outcome.INCONCLUSIVE, found.labelled, fit.unknown(what))
    required = wanted or fit.fit is Fit.CONTRARY
    return replace(open_, output=found.name, required=required)
