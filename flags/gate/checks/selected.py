"""Checks that labels can compare the sides: they fit, and do not depend on the answering side."""

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
    """The part of the evidence on an output that the checks of its labels need."""

    @property
    def name(self) -> str:
        """Return the name of the output."""

    @property
    def labelled(self) -> int:
        """Return how many pairs have a label that counts."""

    @property
    def coverage(self) -> Mapping[str, Count]:
        """Return, by served side, the labelled pairs of all pairs old enough for a label."""

    @property
    def coverage_p(self) -> float | None:
        """Return the p-value that the coverage does not depend on the served side."""

    @property
    def levels(self) -> Mapping[str, Mapping[str, Shares]]:
        """Return the values by figure and way of counting."""


def selected_labels(
    answer: Labelled, check: str, what: str, gap: float, *, required: bool
) -> Check | None:
    """Return an inconclusive check if the share of labelled answers surely depends on the side.

    `gap` is the relative difference that is allowed, `what` the figure that is not compared. None
    if the labels can compare the sides.
    """
    rates = [each.rate for each in answer.coverage.values() if each.rate is not None]
    unequal = len(rates) > 1 and min(rates) < (1 - gap) * max(rates)
    if not unequal or (answer.coverage_p or 0.0) >= _COVERAGE_P:
        return None
    covered = ", ".join(
        f"{side} {each.count:,} of {each.total:,}" for side, each in answer.coverage.items()
    )
    reason = f"labels depend on who answered ({covered}), so {what} is not compared"
    open_ = plain(check, Outcome.INCONCLUSIVE, answer.labelled, reason)
    return replace(open_, output=answer.name, required=required)


def unfit_labels(
    answer: Labelled, check: str, what: str, fit: LabelFit, wanted: bool
) -> Check | None:
    """Return an inconclusive check of `what` if the labels do not fit; None if they fit."""
    if fit.is_shown:
        return None
    open_ = plain(check, Outcome.INCONCLUSIVE, answer.labelled, fit.unknown_reason(what))
    required = wanted or fit.fit is Fit.CONTRARY
    return replace(open_, output=answer.name, required=required)


@dataclass(frozen=True, slots=True)
class LabelsByAnswer:
    """The comparison of the sides on the labels of each side's answers.

    The flag draws the side that answers, so each side's answers are a random part of the requests,
    and both parts should show the same. They do not if a label repeats the answer unless somebody
    objects, or if it is what the answer lacked.
    """

    answer: Labelled
    figure: str
    """Key of `levels`; with a side's name at the end, of the pairs that it answered, such as
    `right_primary`."""
    mean: Callable[[Shares], ScaledSequence]
    wording: Wording
    sign: int
    """Sign of the figure if the candidate is better."""
    error_rate: float

    def contradiction(self, check: str, what: str, *, required: bool) -> Check | None:
        """Return an inconclusive check if labels of the two sides' answers have opposite results.

        `what` is the figure that is not known then. None if there is no such contradiction.
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
        figures = "; ".join(f"where the {side} did, {self._words(side)}" for side in _SIDES)
        reason = f"labels favour {favoured} ({figures}), so {what} is not known: {cause}?"
        open_ = plain(check, Outcome.INCONCLUSIVE, self.answer.labelled, reason)
        return replace(open_, output=self.answer.name, required=required)

    def of_answers(self, check: Check, rollout: float, loss: float) -> Check:
        """Return the check, but inconclusive if the labels of the other side's answers differ.

        FAIL needs that labels of what the candidate answered show a loss, too; PASS needs that
        labels of what the primary answered exclude a `loss`. Else labels that repeat the answer
        would roll back every candidate of a small canary, and advance every one of a large canary.
        """
        if check.outcome is Outcome.FAIL and rollout and self._sure("candidate") != -self.sign:
            words = self._words("candidate") or "there are none"
            reason = (
                f"{check.reason}; no rollback before labels of what the candidate answered surely "
                f"show a loss, too: so far {words}"
            )
            return self._open(check, reason)
        if check.outcome is Outcome.PASS and 0 < rollout < 100 and not self._excludes(loss):
            words = self._words("primary") or "there are none"
            number = self.wording.number(-self.sign * loss)
            reason = (
                f"{check.reason}, but labels of what the primary answered leave "
                f"{number}{self.wording.unit} open: so far {words}"
            )
            return self._open(check, reason)
        return check

    def _open(self, check: Check, reason: str) -> Check:
        failed = check.outcome is Outcome.FAIL
        required = check.required or failed
        return replace(
            check,
            outcome=Outcome.INCONCLUSIVE,
            reason=reason,
            required=required,
            beyond_advance_limit=failed,
        )

    def _excludes(self, loss: float) -> bool:
        """Say whether labels of the primary's answers surely show a smaller loss than `loss`."""
        sequence = self.mean(self._shares("primary", "unit", "block"))
        if sequence.value is None:
            return False
        surely = sequence.above if self.sign > 0 else sequence.below
        return surely(-self.sign * loss, self.error_rate / 2)

    def _shares(self, side: str, *ways: str) -> Shares:
        levels = self.answer.levels.get(f"{self.figure}_{side}", {})
        return next((levels[way] for way in ways if way in levels), ())

    def _sure(self, side: str) -> int:
        """Return the sure sign of the figure on the pairs that a side answered; 0: not known."""
        sequence = self.mean(self._shares(side, "unit", "block"))
        if sequence.value is None:
            return 0
        alpha = self.error_rate / 2
        return int(sequence.above(0, alpha)) - int(sequence.below(0, alpha))

    def _words(self, side: str) -> str:
        """Return the figure on the pairs that a side answered, in words; empty without any."""
        shares = self._shares(side, "request")
        value, n = self.mean(shares).value, sum(each.units for each in shares)
        return "" if value is None else f"{self.wording.figure(value)} by {plural(n, 'label')}"


_SIDES: Final = ("primary", "candidate")
