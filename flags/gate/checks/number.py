"""Checks of a number without a threshold: its bias, its distance and its error.

Differences are counted in spreads of the primary's numbers, errors in its mean errors, both as the
first pairs showed them, and cut at four of these (winsorised). So each is bounded, and a sequence
by betting holds at every look: Waudby-Smith & Ramdas, "Estimating means of bounded random variables
by betting", JRSS B 86 (2024), 1-27. The mean of what is cut is what is bounded: heavier tails need
outcomes (`flags.gate.checks.outcomes`).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flags.gate.checks.age import young
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
"""Units at which differences are cut."""

_SCALE: Final = 5.0
"""Times that true values may be the numbers, or vary less: no model is so far from its target."""


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
    """Say how far a side's numbers lie from the true values; nothing is cut here."""

    mean_absolute_error: float
    root_mean_squared_error: float
    bias: float
    r2: float | None
    pinball: float | None
    """Of the quantile that the playbook names, None without one."""
    correlation: float | None = None
    """With the true values, each cut at four of its own spreads (winsorised)."""
    scale: float | None = None
    """Standard deviation of the true values by that of the side's numbers, likewise cut."""

    def loss(self, quantile: float | None) -> float | None:
        """Return the mean of what is compared: absolute errors, or pinball losses of a quantile."""
        return self.mean_absolute_error if quantile is None else self.pinball


@dataclass(frozen=True, slots=True)
class NumberEvidence(AnswerEvidence):
    """Compare the numbers of both sides, and with labels their errors.

    `levels` hold what the checks count, by figure (`bias`, `distance`, `error`) and way of counting
    (`request`, `block`, `unit`): values in parts of the bound, 4 units, which cuts them; `error` of
    the pairs that each side answered, `error_primary` and `error_candidate`; and `gross`: whether
    the candidate alone (1) or the primary alone (-1) errs enormously.
    """

    spread: float | None
    """Unit of differences: the spread of the primary's first numbers; None where they are equal."""
    error_unit: float | None
    """Unit of errors: the primary's mean error on the first pairs with a label."""
    quantile: float | None
    bias: float | None
    """Mean of the candidate's numbers less the primary's."""
    mean_absolute_difference: float | None
    root_mean_squared_difference: float | None
    correlation: float | None
    primary: NumberErrors | None
    candidate: NumberErrors | None
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]] = field(metadata=UNWRITTEN)
    coverage: Mapping[str, Count]
    """By served side, labelled of all pairs old enough for a label."""
    coverage_p: float | None


EVIDENCE: Final = NumberEvidence
"""What `flags.gate.checks.answers` hands to `checks`."""


def checks(
    found: NumberEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output."""
    yield from _NumberChecks(found, evidence, playbook, step).checks()


def error_is_shown(evidence: Evidence, playbook: Playbook, step: Step, output: str) -> bool:
    """Say whether labels prove that the candidate's numbers of an output are no worse."""
    found = next((each for each in evidence.answers if each.name == output), None)
    if not isinstance(found, NumberEvidence) or not found.labelled:
        return False
    return _NumberChecks(found, evidence, playbook, step).is_shown()


def is_within_tolerance(evidence: Evidence, playbook: Playbook, output: str) -> bool:
    """Say whether hardly any pair surely differs by more than what the playbook says matters."""
    found = next((each for each in evidence.answers if each.name == output), None)
    plan = playbook.outputs.get(output)
    if not isinstance(found, NumberEvidence) or not plan or not plan.tolerance or not found.spread:
        return False
    most = plan.tolerance / found.spread / BOUND
    shares = found.levels.get("distance", {}).get("request", ())
    beyond = sum(each.units for each in shares if each.value > most or each.value >= 1)
    differ = ShareSequence(Count(beyond, sum(each.units for each in shares)))
    return differ.below(_HARDLY_ANY, playbook.error_rate / 2)


_HARDLY_ANY: Final = 0.001
"""Share of the pairs."""


def _larger(loss: float, more: int = 0, /) -> str:
    """Write how much larger a loss is: `+35 %`, `31x the primary's`."""
    if loss < _MANY_TIMES:
        return f"{signed_percent(loss, more)} %"
    return f"{times(1 + loss, more)}x the primary's"


_MANY_TIMES: Final = 9.0
"""From which on a percentage says less than a ratio."""


class _NumberChecks(KindChecks[NumberEvidence]):
    def __init__(
        self, found: NumberEvidence, evidence: Evidence, playbook: Playbook, step: Step
    ) -> None:
        super().__init__(found, evidence, playbook, step)
        plan = playbook.outputs.get(found.name)
        self._tolerance = (plan.tolerance if plan else None) or 0.0
        self._by_answer = LabelsByAnswer(
            found, "error", mean_of(-1.0, BOUND), self._worded, -1, playbook.error_rate
        )

    def checks(self) -> Iterator[Check]:
        error = self._error()
        shown = error is not None and error.outcome is Outcome.PASS
        yield from self._agreement(shown=shown)
        if error is not None:
            yield error
            if "gross" in self._found.levels:
                yield self._gross()
        limits = self._part_limits()
        quality = next((each for each in limits if each.is_quality), None)
        yield from part_checks(
            self._found,
            self._playbook,
            self._step,
            limits,
            Quality(quality, "error", self._gate.advance.min_positives) if quality else None,
            shown=shown,
        )

    def _part_limits(self) -> list[PartLimit]:
        found, advance = self._found, self._gate.advance
        limits = []
        if found.spread is not None:
            bias, distance = (
                self._at_least(each) for each in (advance.number_bias, advance.number_distance)
            )
            limits += [
                PartLimit("bias", mean_of(-1.0, BOUND), _BIAS, high=bias, low=-bias),
                PartLimit("distance", mean_of(0.0, BOUND), _DISTANCE, high=distance),
            ]
        labels = self._playbook.expects_labels and (found.labelled or found.young.count)
        if labels and found.error_unit is not None and self._contradiction() is None:
            limit = max(advance.error_loss, self._tolerance / found.error_unit)
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
        """Compare how often the sides err enormously: the errors that are cut hardly show it."""
        limit = self._gate.advance.gross_errors
        return replace(
            level_check(self._found, "gross_errors", "gross", _GROSS, -1.0),
            n=self._found.labelled,
            available=self._found.labelled,
            high=Bounds(limit, limit),
            required=False,
            by_unit=None,
            units=0,
        ).answer(self._playbook.error_rate)

    @property
    def _loss(self) -> str:
        return "pinball loss" if self._found.quantile is not None else "mean absolute error"

    @property
    def _worded(self) -> Wording:
        return replace(_ERROR, what=f"{self._loss} {{figure}} against the primary's")

    def is_shown(self) -> bool:
        error = self._error()
        return error is not None and error.outcome is Outcome.PASS

    def _agreement(self, *, shown: bool) -> Iterator[Check]:
        """Yield bias and distance; labels that show the error make them needless."""
        found, gate = self._found, self._gate
        if found.spread is None:
            reason = (
                "the primary says one number only, so nothing shows how much a difference is: true "
                f"values do, or a threshold (outputs.{found.name}.threshold in the playbook)"
                if found.paired
                else "no pair has a number of both sides"
            )
            check = plain("number_bias", Outcome.INCONCLUSIVE, found.paired, reason)
            yield replace(check, output=found.name, required=self._required and not shown)
            return
        limits = [self._at_least(each.number_bias) for each in (gate.advance, gate.rollback)]
        share = error_share(self._playbook.error_rate, "number_bias", self._evidence.sharing)
        check = self._check(
            "number_bias", "bias", -1.0, _BIAS, Bounds(*limits), both_sides=True, shown=shown
        ).answer(self._playbook.error_rate, share)
        mean = None if found.bias is None else found.bias / found.spread
        check = self._with_uncut(check, mean, f"{BOUND:g} spreads", signed)
        if shown:
            yield excused(check, "labels show the error")
        else:
            yield young(self._evidence, check)
        limit = self._at_least(gate.advance.number_distance)
        check = self._check(
            "number_distance", "distance", 0.0, _DISTANCE, Bounds(limit, limit), shown=shown
        ).answer(self._playbook.error_rate)
        yield excused(check, "labels show the error") if shown else check

    def _with_uncut(self, check: Check, plain: float | None, bound: str, write: Write) -> Check:
        """Say what a mean is where nothing is cut, if that is another one by a tenth and more."""
        if plain is None or check.figure is None or check.limit is None:
            return check
        apart = abs(plain - check.figure)
        if apart <= max(0.1 * abs(check.figure), abs(check.limit)):
            return check
        reason = f"{check.reason}; differences are cut at {bound}: {write(plain)} without that"
        return replace(check, reason=reason)

    def _plain_error(self) -> float | None:
        """Return by which part the candidate's mean loss is larger, infinite if it alone errs."""
        primary, candidate = (
            None if side is None else side.loss(self._found.quantile)
            for side in (self._found.primary, self._found.candidate)
        )
        if primary is None or candidate is None:
            return None
        if not primary:
            return math.inf if candidate else 0.0
        return candidate / primary - 1

    def _at_least(self, spreads: float) -> float:
        """Return a limit in spreads, at least the tolerance."""
        return max(spreads, self._tolerance / (self._found.spread or 1.0))

    def _contradiction(self) -> Check | None:
        what = f"the {self._loss}"
        return self._by_answer.contradiction("error_loss", what, required=self._wanted)

    def _error(self) -> Check | None:
        found, playbook = self._found, self._playbook
        if not self._labelled or found.error_unit is None:
            return None
        gap = self._gate.advance.label_coverage_gap
        what = f"the {self._loss}"
        if open_ := selected_labels(found, "error_loss", what, gap, required=self._wanted):
            return open_
        if why := self._unfit():
            check = plain("error_loss", Outcome.INCONCLUSIVE, found.labelled, why)
            return replace(check, output=found.name, required=self._wanted)
        if open_ := self._contradiction():
            return open_
        gate, unit = self._gate, found.error_unit
        limits = [
            max(each, self._tolerance / unit)
            for each in (gate.advance.error_loss, gate.rollback.error_loss)
        ]
        share = error_share(playbook.error_rate, "error_loss", self._evidence.sharing)
        check = self._check(
            "error_loss", "error", -1.0, self._worded, Bounds(*limits), shown=not self._wanted
        ).answer(playbook.error_rate, share)
        rollout = self._evidence.window.rollout
        check = young(self._evidence, self._by_answer.of_answers(check, rollout, limits[1]))
        check = with_enough_labels(check, found.labelled, gate.advance.min_positives)
        surely = check.low is not None and check.low > limits[0]
        check = self._with_uncut(check, self._plain_error(), f"{BOUND:g} mean errors", _larger)
        return replace(check, required=check.required or surely)

    def _unfit(self) -> str:
        """Say what is wrong with the true values: empty if a side's numbers go with them.

        Of few labels nothing is said yet; nor of a primary that always says the same.
        """
        found = self._found
        sides = {"primary": found.primary, "candidate": found.candidate}
        fits = {side: each.correlation for side, each in sides.items() if each is not None}
        known = {side: each for side, each in fits.items() if each is not None}
        if found.labelled < self._gate.advance.min_positives or not known:
            return ""
        how = correlation_fit(known, found.labelled)
        if not how.is_shown:
            return how.unknown(f"the {self._loss}")
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
        shown: bool,
        both_sides: bool = False,
    ) -> LimitCheck:
        n = self._found.labelled if figure == "error" else self._found.paired
        return replace(
            level_check(self._found, name, figure, wording, lowest, BOUND),
            n=n,
            available=n,
            high=bounds,
            low=Bounds(-bounds.advance, -bounds.fail) if both_sides else None,
            rolls_back=name != "number_distance",
            required=self._required and not shown,
        )
