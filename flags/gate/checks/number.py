"""Checks of a number without a threshold: its bias, its distance and its error.

The unit of differences is the spread of the primary's numbers, the unit of errors the primary's
mean error, both estimated from the first pairs. Values are cut at four units (winsorised), so they
are bounded, and their mean has a confidence sequence by betting: Waudby-Smith & Ramdas, "Estimating
means of bounded random variables by betting", JRSS B 86 (2024), 1-27. It is the mean of the cut
values: to compare heavier tails, use outcomes (`flags.gate.checks.outcomes`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flags.gate.checks.age import after_a_day
from flags.gate.checks.answers import excused, with_enough_labels
from flags.gate.checks.levels import KindChecks, level_check, mean_of
from flags.gate.checks.parts import PartLimit, Quality, part_checks
from flags.gate.checks.selected import LabelsByAnswer, selected_labels
from flags.gate.error_rate import error_share
from flags.gate.evidence import UNWRITTEN, AnswerEvidence, Count, Evidence, UnitShare
from flags.gate.label_fit import correlation_fit
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import Write, decimal, points, signed, signed_percent, times
from flags.gate.plain_check import plain
from flags.gate.sequences import ShareSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step

BOUND: Final = 4.0
"""Number of units at which differences are cut."""

_SCALE: Final = 5.0
"""Largest ratio of the scales of true values and numbers; beyond it, the units must differ."""


_BIAS: Final = Wording("numbers {figure} spreads from the primary's on average", signed)
_DISTANCE: Final = Wording("numbers {figure} spreads away from the primary's, wherever to", decimal)
_ERROR: Final = Wording("{figure}", signed_percent, " %", counted="labels", wanted="labels")
_GROSS: Final = Wording(
    "errs {figure} more often by ten mean errors and more",
    points,
    " points",
    counted="labels",
    wanted="labels",
)


@dataclass(frozen=True, slots=True)
class NumberErrors:
    """The errors of a side's numbers against the true values, without cutting."""

    mean_absolute_error: float
    root_mean_squared_error: float
    bias: float
    """Mean of the side's numbers minus the true values."""
    r2: float | None
    """Coefficient of determination; None if all true values are equal."""
    pinball: float | None
    """Pinball loss of the quantile that the playbook names; None without one."""
    correlation: float | None = None
    """Correlation with the true values, each cut at four of its own spreads (winsorised)."""
    scale: float | None = None
    """Standard deviation of the true values divided by that of the side's numbers, cut as above."""

    def loss(self, quantile: float | None) -> float | None:
        """Return the mean absolute error, or the mean pinball loss if a quantile is predicted."""
        return self.mean_absolute_error if quantile is None else self.pinball


@dataclass(frozen=True, slots=True)
class NumberEvidence(AnswerEvidence):
    """The evidence on an output that is a number: differences, and with labels errors."""

    spread: float | None
    """Unit of differences: the spread of the primary's first numbers; None if they are equal."""
    error_unit: float | None
    """Unit of errors: the primary's mean error on the first pairs with a label."""
    quantile: float | None
    """Level of the quantile that the numbers predict, from 0 to 1; None: they predict means."""
    bias: float | None
    """Mean of the candidate's numbers minus the primary's."""
    mean_absolute_difference: float | None
    """Mean of the absolute difference of the sides."""
    root_mean_squared_difference: float | None
    """Root of the mean squared difference of the sides."""
    correlation: float | None
    """Pearson's correlation of the sides; None if a side is constant."""
    primary: NumberErrors | None
    """None without labels."""
    candidate: NumberErrors | None
    """None without labels."""
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]] = field(metadata=UNWRITTEN)
    """Values for the checks, by figure (`bias`, `distance`, `error`) and way of counting
    (`request`, `block`, `unit`), divided by the bound of 4 units at which they are cut.

    `error_primary` and `error_candidate` are `error` on the pairs that each side answered. `gross`
    is 1 if the candidate alone has an enormous error, -1 if the primary alone has.
    """
    coverage: Mapping[str, Count]
    """By served side, the labelled pairs of all pairs old enough for a label."""
    coverage_p: float | None
    """P-value of Fisher's exact test that the coverage does not depend on the served side."""


EVIDENCE: Final = NumberEvidence
"""Class of the first argument of `checks`."""


def checks(
    answer: NumberEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output that is a number."""
    yield from _NumberChecks(answer, evidence, playbook, step).checks()


def error_is_shown(evidence: Evidence, playbook: Playbook, step: Step, output: str) -> bool:
    """Say whether labels prove that the candidate's numbers of an output are no worse."""
    answer = next((each for each in evidence.answers if each.name == output), None)
    if not isinstance(answer, NumberEvidence) or not answer.labelled:
        return False
    return _NumberChecks(answer, evidence, playbook, step).is_shown()


def is_within_tolerance(evidence: Evidence, playbook: Playbook, output: str) -> bool:
    """Say whether the pairs that differ by more than the playbook's tolerance are surely few."""
    answer = next((each for each in evidence.answers if each.name == output), None)
    plan = playbook.outputs.get(output)
    if (
        not isinstance(answer, NumberEvidence)
        or not plan
        or not plan.tolerance
        or not answer.spread
    ):
        return False
    most = plan.tolerance / answer.spread / BOUND
    shares = answer.levels.get("distance", {}).get("request", ())
    beyond = sum(each.units for each in shares if each.value > most or each.value >= 1)
    differ = ShareSequence(Count(beyond, sum(each.units for each in shares)))
    return differ.below(_NEGLIGIBLE, playbook.error_rate / 2)


_NEGLIGIBLE: Final = 0.001
"""Share of the pairs that may differ by more than the tolerance."""


def _larger(loss: float, extra: int = 0, /) -> str:
    """Format the increase of a loss: `+35 %`, `31x the primary's`."""
    if loss < _MANY_TIMES:
        return f"{signed_percent(loss, extra)} %"
    return f"{times(1 + loss, extra)}x the primary's"


_MANY_TIMES: Final = 9.0
"""Increase of a loss from which on it is written as a ratio, and not as a percentage."""


class _NumberChecks(KindChecks[NumberEvidence]):
    def __init__(
        self, answer: NumberEvidence, evidence: Evidence, playbook: Playbook, step: Step
    ) -> None:
        super().__init__(answer, evidence, playbook, step)
        plan = playbook.outputs.get(answer.name)
        self._tolerance = (plan.tolerance if plan else None) or 0.0
        self._by_answer = LabelsByAnswer(
            answer, "error", mean_of(-1.0, BOUND), self._worded, -1, playbook.error_rate
        )

    def checks(self) -> Iterator[Check]:
        error = self._error()
        quality_shown = error is not None and error.outcome is Outcome.PASS
        yield from self._agreement(quality_shown=quality_shown)
        if error is not None:
            yield error
            if "gross" in self._answer.levels:
                yield self._gross()
        limits = self._part_limits()
        quality = next((each for each in limits if each.is_quality), None)
        yield from part_checks(
            self._answer,
            self._playbook,
            self._step,
            limits,
            Quality(quality, "error", self._gate.advance.min_positives) if quality else None,
            quality_shown=quality_shown,
        )

    def _part_limits(self) -> list[PartLimit]:
        answer, advance = self._answer, self._gate.advance
        limits = []
        if answer.spread is not None:
            bias, distance = (
                self._at_least(each) for each in (advance.number_bias, advance.number_distance)
            )
            limits += [
                PartLimit("bias", mean_of(-1.0, BOUND), _BIAS, high=bias, low=-bias),
                PartLimit("distance", mean_of(0.0, BOUND), _DISTANCE, high=distance),
            ]
        labels = self._playbook.expects_labels and (answer.labelled or answer.early_labels.count)
        if labels and answer.error_unit is not None and self._contradiction() is None:
            limit = max(advance.error_loss, self._tolerance / answer.error_unit)
            limits.append(
                PartLimit(
                    "error",
                    mean_of(-1.0, BOUND),
                    self._worded,
                    high=limit,
                    is_quality=True,
                )
            )
        return limits

    def _gross(self) -> Check:
        """Compare how often the sides have enormous errors, which the mean of cut errors hides."""
        limit = self._gate.advance.gross_errors
        return replace(
            level_check(self._answer, "gross_errors", "gross", _GROSS, -1.0),
            n=self._answer.labelled,
            available=self._answer.labelled,
            high=Bounds(limit, limit),
            required=False,
            by_unit=None,
            units=0,
        ).answer(self._playbook.error_rate)

    @property
    def _loss(self) -> str:
        return "pinball loss" if self._answer.quantile is not None else "mean absolute error"

    @property
    def _worded(self) -> Wording:
        return replace(_ERROR, what=f"{self._loss} {{figure}} against the primary's")

    def is_shown(self) -> bool:
        error = self._error()
        return error is not None and error.outcome is Outcome.PASS

    def _agreement(self, *, quality_shown: bool) -> Iterator[Check]:
        """Yield bias and distance; labels that show the error excuse both."""
        answer, gate = self._answer, self._gate
        if answer.spread is None:
            reason = (
                "the primary says one number only, so nothing shows how much a difference is: true "
                f"values do, or a threshold (outputs.{answer.name}.threshold in the playbook)"
                if answer.paired
                else "no pair has a number of both sides"
            )
            check = plain("number_bias", Outcome.INCONCLUSIVE, answer.paired, reason)
            yield replace(check, output=answer.name, required=self._required and not quality_shown)
            return
        limits = [self._at_least(each.number_bias) for each in (gate.advance, gate.rollback)]
        share = error_share(self._playbook.error_rate, "number_bias", self._evidence.sharing)
        check = self._check(
            "number_bias",
            "bias",
            -1.0,
            _BIAS,
            Bounds(*limits),
            both_sides=True,
            optional=quality_shown,
        ).answer(self._playbook.error_rate, share)
        mean = None if answer.bias is None else answer.bias / answer.spread
        check = self._with_uncut(check, mean, f"{BOUND:g} spreads", signed)
        if quality_shown:
            yield excused(check, "labels show the error")
        else:
            yield after_a_day(self._evidence, check)
        limit = self._at_least(gate.advance.number_distance)
        check = self._check(
            "number_distance",
            "distance",
            0.0,
            _DISTANCE,
            Bounds(limit, limit),
            optional=quality_shown,
        ).answer(self._playbook.error_rate)
        yield excused(check, "labels show the error") if quality_shown else check

    def _with_uncut(self, check: Check, plain: float | None, bound: str, write: Write) -> Check:
        """Add the mean without cutting to the reason, if it differs by more than a tenth."""
        if plain is None or check.figure is None or check.limit is None:
            return check
        apart = abs(plain - check.figure)
        if apart <= max(0.1 * abs(check.figure), abs(check.limit)):
            return check
        reason = f"{check.reason}; differences are cut at {bound}: {write(plain)} without that"
        return replace(check, reason=reason)

    def _plain_error(self) -> float | None:
        """Return the candidate's mean loss relative to the primary's minus 1, without cutting.

        Infinite if the primary has no error and the candidate has.
        """
        primary, candidate = (
            None if side is None else side.loss(self._answer.quantile)
            for side in (self._answer.primary, self._answer.candidate)
        )
        if primary is None or candidate is None:
            return None
        if not primary:
            return math.inf if candidate else 0.0
        return candidate / primary - 1

    def _at_least(self, spreads: float) -> float:
        """Return the larger one of a limit and the tolerance, in spreads."""
        return max(spreads, self._tolerance / (self._answer.spread or 1.0))

    def _contradiction(self) -> Check | None:
        what = f"the {self._loss}"
        return self._by_answer.contradiction("error_loss", what, required=self._wanted)

    def _error(self) -> Check | None:
        answer, playbook = self._answer, self._playbook
        if not self._labelled or answer.error_unit is None:
            return None
        gap = self._gate.advance.label_coverage_gap
        what = f"the {self._loss}"
        if open_ := selected_labels(answer, "error_loss", what, gap, required=self._wanted):
            return open_
        if why := self._unfit():
            check = plain("error_loss", Outcome.INCONCLUSIVE, answer.labelled, why)
            return replace(check, output=answer.name, required=self._wanted)
        if open_ := self._contradiction():
            return open_
        gate, unit = self._gate, answer.error_unit
        limits = [
            max(each, self._tolerance / unit)
            for each in (gate.advance.error_loss, gate.rollback.error_loss)
        ]
        share = error_share(playbook.error_rate, "error_loss", self._evidence.sharing)
        check = self._check(
            "error_loss",
            "error",
            -1.0,
            self._worded,
            Bounds(*limits),
            optional=not self._wanted,
        ).answer(playbook.error_rate, share)
        rollout = self._evidence.window.rollout
        check = after_a_day(self._evidence, self._by_answer.of_answers(check, rollout, limits[1]))
        check = with_enough_labels(check, answer.labelled, gate.advance.min_positives)
        surely = check.low is not None and check.low > limits[0]
        check = self._with_uncut(check, self._plain_error(), f"{BOUND:g} mean errors", _larger)
        return replace(check, required=check.required or surely)

    def _unfit(self) -> str:
        """Return what is wrong with the true values; empty if they fit a side's numbers.

        Also empty if the labels are too few, or all numbers are equal.
        """
        answer = self._answer
        sides = {"primary": answer.primary, "candidate": answer.candidate}
        fits = {side: each.correlation for side, each in sides.items() if each is not None}
        known = {side: each for side, each in fits.items() if each is not None}
        if answer.labelled < self._gate.advance.min_positives or not known:
            return ""
        how = correlation_fit(known, answer.labelled)
        if not how.is_shown:
            return how.unknown_reason(f"the {self._loss}")
        scales = [each.scale for each in sides.values() if each is not None and each.scale]
        times = max(known.values()) * min(scales)
        if times > _SCALE:
            return (
                f"the true values are about {times:,.0f} times the numbers, so the {self._loss} is "
                "not known: are they in another unit?"
            )
        if max(scales) < 1 / _SCALE:
            times = 1 / max(scales)
            return (
                f"the numbers vary {times:,.0f} times as much as the true values, so the "
                f"{self._loss} is not known: are they in another unit?"
            )
        return ""

    def _check(
        self,
        name: str,
        figure: str,
        lowest: float,
        wording: Wording,
        bounds: Bounds,
        *,
        optional: bool,
        both_sides: bool = False,
    ) -> LimitCheck:
        n = self._answer.labelled if figure == "error" else self._answer.paired
        return replace(
            level_check(self._answer, name, figure, wording, lowest, BOUND),
            n=n,
            available=n,
            high=bounds,
            low=Bounds(-bounds.advance, -bounds.fail) if both_sides else None,
            rolls_back=name != "number_distance",
            required=self._required and not optional,
        )
