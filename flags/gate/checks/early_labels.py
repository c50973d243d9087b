"""Labels before they are demanded: those that are there must not speak against the candidate."""

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

TELLING: Final = 20
"""Positives from which on labels must tell that recall is kept; fewer are only named."""

RECALL: Final = Wording(
    "recall {figure} against the primary's",
    points,
    " points",
    counted="positives",
    wanted="labels",
)


HALF: Final = 0.5
"""Of the positives that the primary catches, as many as the candidate must catch, whatever the
limit in points: where the primary catches 4 %, a candidate that catches nothing loses 4 points."""


def catches_half(caught: Paired, alpha: float, scale: float = 1.0) -> bool:
    """Say whether the candidate surely catches at least half as many positives as the primary."""
    return RatioSequence(caught).scaled(scale).above(HALF, alpha)


def all_caught(labelling: Labelling, limit: float) -> Paired:
    """Return the alarms among all positives that are there, young ones too.

    Those that were selected by what the sides decided, or by who answered, are left out.
    """
    usable: list[LabelledCell] = []
    if selection(labelling.old, limit) is Selection.NONE:
        usable += labelling.old
    if not comes_first_for_alarms(labelling.young, limit):
        usable += labelling.young
    return Paired(0, 0, 0, 0) if answered_labels(usable, labelling.alike) else caught(usable)


def doubt(labelling: Labelling, gate: Gate, error_rate: float) -> Check | None:
    """Return why the labels that are there hold a step that demands none; None if they need not.

    From `TELLING` positives on, recall must be found within the limit to go on, and a loss beyond
    the rollback limit must be excluded. To show the nearer limit is only asked for where labels are
    demanded: that takes four times as many. Both are settled by more labels, so that a candidate
    that loses nothing is not held for ever.
    """
    table = all_caught(labelling, gate.advance.label_coverage_gap)
    sequence = DifferenceSequence(table, 1 / max(1.0, labelling.alike))
    if sequence.value is None or table.pairs < TELLING:
        return None
    is_within = sequence.value >= -gate.advance.recall_loss
    limit = -(gate.rollback if is_within else gate.advance).recall_loss
    labels = sum(each.labelled for each in (*labelling.old, *labelling.young))
    check = LimitCheck(
        "recall_loss", sequence, RECALL, table.pairs, labels, low=Bounds(limit, limit)
    ).answer(error_rate)
    return check if not is_within or check.outcome is not Outcome.PASS else None
