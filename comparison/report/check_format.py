"""A check as text: its name, and its figures in their unit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from comparison.evidence.number_format import between, number, percent, points, ratio, signed, span
from comparison.judgement.judgement import Judgement
from comparison.report.check_limits import check_limits
from flags.gate.evidence import Evidence
from flags.gate.limit_check import level
from flags.gate.verdict import Check, Outcome

SIGNS: Final = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}
"""So that no outcome is told by its colour alone."""

USUAL_LEVEL: Final = 0.95
"""Of an interval that names none."""

_BY_GRAVITY: Final = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)

Write = Callable[[float | None], str]


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _rollout(value: float | None) -> str:
    return "-" if value is None else f"{value:g} %"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:,.6g}"


def _relative(value: float | None) -> str:
    if not value:
        return percent(value)
    return f"{'-' if value < 0 else '+'}{percent(abs(value))}"


_UNITS: Final[dict[str, Write]] = {
    "operational_alarm": _plain,
    "rollout": _rollout,
    "hold_time": span,
    "silence": span,
    "pairs": _count,
    "labels": _count,
    "models": _count,
    "primary_served": _count,
    "completeness": percent,
    "worker_ends": percent,
    "noise": percent,
    "batch_disagreement": percent,
    "shadow_sampling": percent,
    "sample_ratio_p": percent,
    "shed_rate": percent,
    "unscored": percent,
    "fallback_rate": percent,
    "label_coverage_gap": percent,
    "failure_rate": points,
    "recall_loss": points,
    "segment_recall_loss": points,
    "young_labels": points,
    "unknown_labels": percent,
    "average_precision_loss": signed,
    "latency_p50": ratio,
    "latency_p95": ratio,
    "latency_p99": ratio,
    "alarm_ratio": ratio,
    "alarm_break": ratio,
    "recent_alarm_ratio": ratio,
    "segment_alarm_ratio": ratio,
    "no_alarm_ratio": ratio,
    "alarm_overlap": percent,
    "segment_alarm_overlap": percent,
    "distribution_ratio": ratio,
    "rank_overlap": percent,
    "uncompared": percent,
    "outcome_ratio": ratio,
    "outcome_ratio_all": ratio,
    "outcome_agreement": ratio,
    "outcome_mixed": percent,
    "outcome_loss": percent,
    "label_ratio": ratio,
    "capacity": _count,
    "win_rate": percent,
    "judge_noise": percent,
    "number_bias": signed,
    "number_distance": number,
    "error_loss": _relative,
    "gross_errors": points,
    "unsaid_labels": percent,
    "item_exposure": points,
    "judge_consistency": percent,
    "unknown_preferences": percent,
    "class_agreement": percent,
    "class_overlap": percent,
    "class_ratio": ratio,
    "accuracy_loss": points,
    "class_recall_loss": points,
    "ranking_overlap": percent,
    "rank_biased_overlap": number,
    "exposure_shift": points,
    "ndcg_loss": signed,
    "empty_rankings": points,
    "text_length": _relative,
    "text_rule": points,
}
"""By the name of a check, what writes its figures; a figure of another check is a plain number."""

_TITLES: Final = {
    "outcome_ratio": "outcomes by flips",
    "outcome_ratio_all": "outcomes of all units",
    "outcome_agreement": "outcomes where alike",
    "outcome_mixed": "units of both sides",
    "outcome_loss": "lost outcomes",
    "label_ratio": "positives by side",
    "alarm_break": "break of the alarm ratio",
    "recent_alarm_ratio": "alarm ratio of late",
    "capacity": "alarms a day",
    "sample_ratio_p": "sample ratio",
    "failure_rate": "failures, in points",
    "labels": "positives among labels",
    "recall_loss": "recall, in points",
    "segment_recall_loss": "recall in segment, in points",
    "young_labels": "young labels, recall in points",
    "unknown_labels": "labels of no pair",
    "average_precision_loss": "average precision, difference",
    "segment_alarm_ratio": "alarm ratio in segment",
    "no_alarm_ratio": "ratio of no alarms",
    "alarm_overlap": "alarms in common",
    "segment_alarm_overlap": "alarms in common in segment",
    "distribution_ratio": "distribution of outputs",
    "rank_overlap": "ranks in common",
    "uncompared": "not compared",
    "judge_noise": "win rate of the same model",
    "number_bias": "mean difference, in spreads",
    "number_distance": "distance, in spreads",
    "error_loss": "mean error, difference",
    "segment_difference": "answers in segments",
    "recent_difference": "answers of late",
    "unlabelled_difference": "answers without a label",
    "gross_errors": "enormous errors, in points",
    "unsaid_labels": "labels of no class",
    "item_exposure": "lists with one item, in points",
    "unknown_preferences": "preferences of no pair",
    "judge_consistency": "same winner in both orders",
    "class_agreement": "same class",
    "class_overlap": "the class least in common",
    "class_ratio": "ratio of the class furthest away",
    "accuracy_loss": "accuracy, in points",
    "class_recall_loss": "recall of the class furthest down, in points",
    "ranking_overlap": "items in common",
    "exposure_shift": "share of a group, in points",
    "ndcg_loss": "nDCG, difference",
    "empty_rankings": "empty rankings, in points",
    "text_length": "length of texts, difference",
    "text_rule": "empty, refusals and formats, in points",
}
"""Where the name of a check, which is a key of the playbook, does not say what its figure is."""


@dataclass(frozen=True, slots=True)
class WrittenCheck:
    """Hold the words of a check's cells; what is not known is a dash."""

    title: str
    about: str
    """Output and segment, or an alarm's name; empty for a check of the whole service."""
    outcome: str
    sign: str
    figure: str
    interval: str
    advance: str
    """The limit to go on."""
    rollback: str
    n: str
    reason: str
    needless: bool
    """Whether going on does not depend on it."""
    pass_note: str
    """Why it passes, where that is not by its limit: a latency may be fast enough by itself."""


def write_check(check: Check, judgement: Judgement, evidence: Evidence) -> WrittenCheck:
    """Return the cells of a check, with the output's name where there are several."""
    window, named = evidence.window, evidence.compared > 1
    age = window.until - window.begun
    limits = check_limits(check, judgement.playbook, judgement.step, age)
    write = _UNITS.get(check.name, number)
    known = check.low is not None or check.high is not None
    advance, rollback = ("-" if each is None else each.written(write) for each in limits)
    about = (check.output if named else None, check.segment, check.subject)
    return WrittenCheck(
        title=title(check.name),
        about=", ".join(part for part in about if part),
        outcome=check.outcome.upper(),
        sign=SIGNS[check.outcome],
        figure=write(check.figure),
        interval=_interval(check, write) if known else "-",
        advance=advance,
        rollback=rollback,
        n=f"{check.n:,}",
        reason=check.reason,
        needless=not check.required,
        pass_note=" (fast enough)" if _is_fast_enough(check) else "",
    )


def _interval(check: Check, write: Write) -> str:
    """Write the bounds, and the level where it is another one than that of all others."""
    bounds = between(write(check.low), write(check.high))
    if check.confidence is None or check.confidence == USUAL_LEVEL:
        return bounds
    return f"{bounds} ({level(check.confidence)})"


def _is_fast_enough(check: Check) -> bool:
    """Say whether a latency passes by `fast_enough`: then no ratio has been decided."""
    return (
        check.name.startswith("latency_")
        and check.outcome is Outcome.PASS
        and check.confidence is None
    )


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """Count the checks of one outcome."""

    outcome: str
    sign: str
    number: int


def count_outcomes(checks: Sequence[Check]) -> tuple[OutcomeCount, ...]:
    """Count the checks by outcome, the gravest first; outcomes that nobody has are left out."""
    outcomes = [check.outcome for check in checks]
    return tuple(
        OutcomeCount(each.upper(), SIGNS[each], outcomes.count(each))
        for each in _BY_GRAVITY
        if each in outcomes
    )


def gravest_first(checks: Iterable[Check]) -> list[Check]:
    """Put what failed before what is not known yet, and that before what passed."""
    return sorted(checks, key=lambda check: (_BY_GRAVITY.index(check.outcome), not check.required))


def title(name: str) -> str:
    """Return the name of a check in words: `alarm_ratio` is `alarm ratio`."""
    return _TITLES.get(name, name.replace("_", " "))
