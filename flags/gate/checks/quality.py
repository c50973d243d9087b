"""Checks of recall and average precision on labelled pairs."""

from collections.abc import Iterator
from typing import Final

from flags.gate.checks.integrity import plain
from flags.gate.error_rate import error_share
from flags.gate.evidence import Evidence, Labelling, Output, Paired
from flags.gate.limit_check import Bounds, LimitCheck, Wording, decimal, percent
from flags.gate.sequences import DifferenceSequence, NormalSequence
from flags.gate.sequences.normal import NONE
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook, Step

_RECALL: Final = Wording(
    "recall {figure} against the primary's", decimal, counted="positives", wanted="labels"
)
_PRECISION: Final = Wording(
    "average precision {figure} against the primary's", decimal, counted="labels", wanted="labels"
)
_PLANNED: Final = 1_000
"""Labels at which the interval of the average precision is tightest, unless a step wants more."""

_COVERAGE_P: Final = 0.001


def quality_checks(evidence: Evidence, playbook: Playbook, step: Step) -> Iterator[Check]:
    """Yield recall and average precision of each output.

    They must pass where the step demands labels. Without that they are looked at if labels are
    there: recall may roll back. Average precision never does, because its interval is asymptotic.
    """
    for output in evidence.outputs:
        if output.quality is not None or step.min_labels:
            yield from _quality(evidence, output, playbook, step)


def _quality(evidence: Evidence, output: Output, playbook: Playbook, step: Step) -> Iterator[Check]:
    gate, quality = playbook.gate_of(step, output=output.name), output.quality
    labelled = quality.labelled if quality else 0
    required = step.min_labels > 0
    if output.alarms is not None:
        caught = quality.caught if quality else Paired(0, 0, 0, 0)
        yield LimitCheck(
            "recall_loss",
            DifferenceSequence(caught),
            _RECALL,
            caught.pairs,
            labelled,
            low=Bounds(-gate.advance.recall_loss, -gate.rollback.recall_loss),
            output=output.name,
            rolls_back=True,
            required=required,
        ).answer(
            playbook.error_rate,
            error_share(playbook.error_rate, "recall_loss", len(evidence.outputs)),
        )
    loss = -gate.advance.average_precision_loss
    yield LimitCheck(
        "average_precision_loss",
        NormalSequence(
            quality.average_precision_difference if quality else NONE,
            quality.standard_error if quality else None,
            labelled,
            max(_PLANNED, step.min_labels),
        ),
        _PRECISION,
        labelled,
        labelled,
        low=Bounds(loss, loss),
        output=output.name,
        required=required,
    ).answer(playbook.error_rate)
    if output.labelling and required:
        yield from _coverage(output.name, output.labelling, gate.advance.label_coverage_gap)


def _coverage(output: str, labelling: Labelling, limit: float) -> Iterator[Check]:
    """Check whether the share of labelled pairs depends on the side that answered."""
    rates = {side: count.rate for side, count in labelling.coverage.items()}
    primary, candidate = rates.get("primary"), rates.get("candidate")
    if primary is None or candidate is None or labelling.coverage_p is None:
        return
    gap = abs(candidate - primary)
    yield plain(
        "label_coverage_gap",
        Outcome.FAIL if gap > limit and labelling.coverage_p < _COVERAGE_P else Outcome.PASS,
        sum(count.total for count in labelling.coverage.values()),
        f"labels have come for {percent(candidate)} % of what the candidate served and "
        f"{percent(primary)} % of what the primary served, limit {percent(limit)} points apart",
        figure=gap,
        limit=limit,
        output=output,
    )
