"""Checks of a number without a threshold: its bias, its distance and its error.

Differences are counted in spreads of the primary's numbers, errors in its mean errors, both as the
first pairs showed them, and cut at four of these (winsorised). So each is bounded, and a sequence
by betting holds at every look: Waudby-Smith & Ramdas, "Estimating means of bounded random variables
by betting", JRSS B 86 (2024), 1-27. The mean of what is cut is what is bounded: heavier tails need
outcomes (`flags.gate.checks.outcomes`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from flags.gate.checks.age import young
from flags.gate.checks.integrity import plain
from flags.gate.checks.selected import labels_depend_on_side
from flags.gate.error_rate import error_share
from flags.gate.evidence import AnswerEvidence, Count, Evidence, UnitShare
from flags.gate.limit_check import Bounds, LimitCheck, Wording, percent
from flags.gate.sequences import MeanSequence
from flags.gate.sequences.scaled import ScaledSequence
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Gate, Playbook, Step
from flags.playbook.stages import Stage

BOUND: Final = 4.0
"""Units at which differences are cut."""

_WAYS: Final = ("request", "block", "unit")


@dataclass(frozen=True, slots=True)
class NumberErrors:
    """Say how far a side's numbers lie from the true values; nothing is cut here."""

    mean_absolute_error: float
    root_mean_squared_error: float
    bias: float
    r2: float | None
    pinball: float | None
    """Of the quantile that the playbook names, None without one."""


@dataclass(frozen=True, slots=True)
class NumberEvidence(AnswerEvidence):
    """Compare the numbers of both sides, and with labels their errors.

    `levels` hold what the checks count, by figure (`bias`, `distance`, `error`) and way of counting
    (`request`, `block`, `unit`): values in parts of the bound, 4 units, which cuts them.
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
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]]
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


class _NumberChecks:
    def __init__(
        self, found: NumberEvidence, evidence: Evidence, playbook: Playbook, step: Step
    ) -> None:
        self._found, self._evidence, self._playbook = found, evidence, playbook
        self._gate: Gate = playbook.gate_of(step, output=found.name)
        self._wanted = playbook.labels_wanted(step) > 0
        self._required = step.stage is not Stage.DEPRECATION
        plan = playbook.outputs.get(found.name)
        self._tolerance = (plan.tolerance if plan else None) or 0.0

    def checks(self) -> Iterator[Check]:
        error = self._error()
        yield from self._agreement(shown=error is not None and error.outcome is Outcome.PASS)
        if error is not None:
            yield error

    def is_shown(self) -> bool:
        error = self._error()
        return error is not None and error.outcome is Outcome.PASS

    def _agreement(self, *, shown: bool) -> Iterator[Check]:
        """Yield bias and distance; labels that show the error make them needless."""
        found, gate = self._found, self._gate
        if found.spread is None:
            reason = "the primary says one number only, so nothing shows how much a difference is"
            check = plain("number_bias", Outcome.INCONCLUSIVE, found.paired, reason)
            yield replace(check, output=found.name, required=self._required and not shown)
            return
        limits = [self._at_least(each.number_bias) for each in (gate.advance, gate.rollback)]
        share = error_share(self._playbook.error_rate, "number_bias", self._evidence.sharing)
        words = "numbers {figure} spreads from the primary's on average"
        check = self._check(
            "number_bias", "bias", -1.0, words, Bounds(*limits), both_sides=True, shown=shown
        ).answer(self._playbook.error_rate, share)
        yield self._open_if_shown(young(self._evidence, check), shown)
        limit = self._at_least(gate.advance.number_distance)
        words = "numbers {figure} spreads away from the primary's, wherever to"
        check = self._check(
            "number_distance", "distance", 0.0, words, Bounds(limit, limit), shown=shown
        ).answer(self._playbook.error_rate)
        yield self._open_if_shown(check, shown)

    def _at_least(self, spreads: float) -> float:
        """Return a limit in spreads, at least the tolerance."""
        return max(spreads, self._tolerance / (self._found.spread or 1.0))

    def _open_if_shown(self, check: Check, shown: bool) -> Check:
        if not shown or check.outcome is not Outcome.FAIL:
            return check
        reason = f"{check.reason}: labels show the error"
        return replace(
            check, outcome=Outcome.INCONCLUSIVE, reason=reason, rolls_back=False, needed=None
        )

    def _error(self) -> Check | None:
        found, playbook = self._found, self._playbook
        if not found.labelled or not playbook.expects_labels or found.error_unit is None:
            return None
        name = "pinball loss" if found.quantile is not None else "mean absolute error"
        if covered := labels_depend_on_side(found, self._gate.advance.label_coverage_gap):
            reason = f"labels depend on who answered ({covered}), so the {name} is not compared"
            check = plain("error_loss", Outcome.INCONCLUSIVE, found.labelled, reason)
            return replace(check, output=found.name, required=self._wanted)
        gate, unit = self._gate, found.error_unit
        limits = [
            max(each, self._tolerance / unit)
            for each in (gate.advance.error_loss, gate.rollback.error_loss)
        ]
        share = error_share(playbook.error_rate, "error_loss", self._evidence.sharing)
        words = f"{name} {{figure}} against the primary's"
        check = self._check(
            "error_loss", "error", -1.0, words, Bounds(*limits), shown=not self._wanted
        ).answer(playbook.error_rate, share)
        wanted = gate.advance.min_positives
        if found.labelled < wanted and check.outcome is Outcome.PASS:
            reason = f"{check.reason}: only {found.labelled:,} labels, {wanted:,} wanted"
            check = replace(check, outcome=Outcome.INCONCLUSIVE, reason=reason)
        surely = check.low is not None and check.low > limits[0]
        return replace(check, required=check.required or surely)

    def _check(
        self,
        name: str,
        figure: str,
        lowest: float,
        words: str,
        bounds: Bounds,
        *,
        shown: bool,
        both_sides: bool = False,
    ) -> LimitCheck:
        found = self._found
        ways = found.levels.get(figure, {})
        by = {way: ScaledSequence(MeanSequence(ways.get(way, ()), lowest), BOUND) for way in _WAYS}
        units = sum(each.units for each in ways.get("block", ())) if found.units else 0
        is_error = figure == "error"
        wording = Wording(
            words,
            _signed_percent if is_error else (_signed if lowest < 0 else _plain),
            " %" if is_error else "",
            counted="labels" if is_error else "n",
            wanted="labels" if is_error else "pairs",
        )
        return LimitCheck(
            name,
            by["request"],
            wording,
            found.labelled if is_error else found.paired,
            found.labelled if is_error else found.paired,
            high=bounds,
            low=Bounds(-bounds.advance, -bounds.fail) if both_sides else None,
            output=found.name,
            rolls_back=name != "number_distance",
            required=self._required and not shown,
            by_unit=by["block"],
            units=units,
            fails_by=by["unit"] if "unit" in ways else by["block"],
        )


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _plain(value: float) -> str:
    return f"{value:.3f}"


def _signed_percent(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{percent(abs(value))}"
