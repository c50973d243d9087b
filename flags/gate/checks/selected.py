"""Whether labels depend on who answered, or fit neither side: then they cannot compare them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from flags.gate.checks.levels import Shares
from flags.gate.evidence import Count
from flags.gate.label_fit import Fit, LabelFit
from flags.gate.number_format import plural
from flags.gate.plain_check import plain
from flags.gate.sequences.scaled import ScaledSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording

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

    @property
    def levels(self) -> Mapping[str, Mapping[str, Shares]]:
        """Return values by figure and way of counting."""


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


@dataclass(frozen=True, slots=True)
class LabelsByAnswer:
    """Compare the sides by the labels of what each of them answered.

    The flag draws who answers, so either side's answers are a random part of all, and their labels
    say the same. They do not where a label repeats what was answered unless somebody objects, or
    where it is what the caller missed.
    """

    found: Labelled
    figure: str
    """Of `levels`, where those of what a side answered end in its name: `right_primary`."""
    mean: Callable[[Shares], ScaledSequence]
    wording: Wording
    sign: int
    """Of the figure where the candidate is the better one."""
    error_rate: float

    def contradiction(self, check: str, what: str, *, required: bool) -> Check | None:
        """Return the open check of `what` if by each side's answers another side surely is better.

        None if not.
        """
        primary, candidate = self._sure("primary"), self._sure("candidate")
        if not primary or primary == candidate or not candidate:
            return None
        favoured = "the side that answered" if candidate == self.sign else "the other side"
        cause = (
            "do they repeat what was answered"
            if candidate == self.sign
            else "does the answer change what they say"
        )
        said = "; ".join(f"where the {side} did, {self._said(side)}" for side in _SIDES)
        reason = f"labels favour {favoured} ({said}), so {what} is not known: {cause}?"
        open_ = plain(check, Outcome.INCONCLUSIVE, self.found.labelled, reason)
        return replace(open_, output=self.found.name, required=required)

    def of_answers(self, check: Check, rollout: float, loss: float) -> Check:
        """Let neither side's answers alone decide, where the flag draws who answers.

        A candidate fails only if labels of what it answered show a loss, too, and passes only if
        those of what the primary answered exclude a `loss`: labels that repeat what was answered
        would roll back every candidate of a small canary, and let every one of a large one go on.
        """
        if check.outcome is Outcome.FAIL and rollout and self._sure("candidate") != -self.sign:
            said = self._said("candidate") or "there are none"
            reason = (
                f"{check.reason}; no rollback before labels of what the candidate answered surely "
                f"show a loss, too: so far {said}"
            )
            return self._open(check, reason)
        if check.outcome is Outcome.PASS and 0 < rollout < 100 and not self._excludes(loss):
            said = self._said("primary") or "there are none"
            number = self.wording.number(-self.sign * loss)
            reason = (
                f"{check.reason}, but labels of what the primary answered leave "
                f"{number}{self.wording.unit} open: so far {said}"
            )
            return self._open(check, reason)
        return check

    def _open(self, check: Check, reason: str) -> Check:
        failed = check.outcome is Outcome.FAIL
        required = check.required or failed
        return replace(
            check, outcome=Outcome.INCONCLUSIVE, reason=reason, required=required, beyond=failed
        )

    def _excludes(self, loss: float) -> bool:
        """Say whether what the primary answered surely shows less than a loss."""
        sequence = self.mean(self._shares("primary", "unit", "block"))
        if sequence.value is None:
            return False
        surely = sequence.above if self.sign > 0 else sequence.below
        return surely(-self.sign * loss, self.error_rate / 2)

    def _shares(self, side: str, *ways: str) -> Shares:
        levels = self.found.levels.get(f"{self.figure}_{side}", {})
        return next((levels[way] for way in ways if way in levels), ())

    def _sure(self, side: str) -> int:
        """Return the sign that a figure surely has by what a side answered; 0: not known."""
        sequence = self.mean(self._shares(side, "unit", "block"))
        if sequence.value is None:
            return 0
        alpha = self.error_rate / 2
        return int(sequence.above(0, alpha)) - int(sequence.below(0, alpha))

    def _said(self, side: str) -> str:
        """Write the figure of what a side answered; empty where there is none."""
        shares = self._shares(side, "request")
        value, n = self.mean(shares).value, sum(each.units for each in shares)
        return "" if value is None else f"{self.wording.figure(value)} by {plural(n, 'label')}"


_SIDES: Final = ("primary", "candidate")
