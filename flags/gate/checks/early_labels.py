"""Labels at steps that demand none: existing labels must not show that the candidate is worse."""

from typing import Final

from flags.gate.answered_labels import answered_labels
from flags.gate.evidence import LabelledCell, Labelling, Paired
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import points
from flags.gate.selection import Selection, caught, comes_first_for_alarms, selection
from flags.gate.sequences import DifferenceSequence, RatioSequence
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.gate import Gate

MIN_EARLY_POSITIVES: Final = 20
"""Number of positives from which on labels must show that recall is kept."""

RECALL: Final = Wording(
    "recall {figure} against the primary's",
    points,
    " points",
    counted="positives",
    wanted="labels",
)


HALF: Final = 0.5
"""The candidate must catch at least this part of the positives that the primary catches, whatever
the limit in points: if the primary catches 4 %, a candidate that catches none loses 4 points."""


def catches_half(caught: Paired, alpha: float, scale: float = 1.0) -> bool:
    """Say whether the candidate surely catches at least half as many positives as the primary."""
    return RatioSequence(caught).scaled(scale).above(HALF, alpha)


def all_caught(labelling: Labelling, limit: float) -> Paired:
    """Return the alarms on all positives, young ones included.

    Labels that depend on the sides' decisions or on the side that answered are left out.
    """
    usable: list[LabelledCell] = []
    if selection(labelling.old, limit) is Selection.NONE:
        usable += labelling.old
    if not comes_first_for_alarms(labelling.young, limit):
        usable += labelling.young
    return (
        Paired(0, 0, 0, 0) if answered_labels(usable, labelling.mean_burst_size) else caught(usable)
    )


def early_recall_check(labelling: Labelling, gate: Gate, error_rate: float) -> Check | None:
    """Return the recall check that holds a step which demands no labels; None if nothing holds.

    From `MIN_EARLY_POSITIVES` on, the estimated recall must be within the advance limit, and a loss
    beyond the rollback limit must be excluded. A proof of the advance limit is required only where
    labels are demanded, since it takes four times as many. More labels settle both, so a candidate
    that loses nothing is not held for ever.
    """
    table = all_caught(labelling, gate.advance.label_coverage_gap)
    sequence = DifferenceSequence(table, 1 / max(1.0, labelling.mean_burst_size))
    if sequence.value is None or table.pairs < MIN_EARLY_POSITIVES:
        return None
    is_within = sequence.value >= -gate.advance.recall_loss
    limit = -(gate.rollback if is_within else gate.advance).recall_loss
    labels = sum(each.labelled for each in (*labelling.old, *labelling.young))
    check = LimitCheck(
        "recall_loss", sequence, RECALL, table.pairs, labels, low=Bounds(limit, limit)
    ).answer(error_rate)
    return check if not is_within or check.outcome is not Outcome.PASS else None
