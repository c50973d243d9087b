"""Labels that depend on which side answered: its alarms find positives, or prevent them.

The flag draws the side that answers. So among the requests with an alarm of one side alone,
positive labels should be equally frequent whichever side answered. They are not if only the alarms
of the answering side are investigated and all other requests count as negative, or if such an
alarm declines a request that would have turned out positive. Then every request has a label, but
recall favours the side that answers more, and the labels show nothing about the other side
(verification bias, as in `flags.gate.selection`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import copysign, log1p, sqrt
from typing import Final, Self

from flags.gate.evidence import Count, LabelledCell
from flags.gate.label_fit import SURE
from flags.gate.selection import caught
from flags.gate.sequences import DifferenceSequence, ShareSequence

_SIDES: Final = ("primary", "candidate")

_CONTRARY: Final = 2.0
"""Standard errors. If one side deviates by more in the opposite direction, the cause is not that
its alarms were answered, but another difference between the sides' answers."""

_NEGLIGIBLE: Final = 0.01
"""Share of the positives up to which a group of them is negligible."""


class Follows(StrEnum):
    """How labels depend on the side that answered."""

    FOUND = "found"
    """Requests are positive if the side that alarmed answered."""
    PREVENTED = "prevented"
    """Requests are positive if the side that alarmed did not answer."""


_CAUSE: Final = {
    Follows.FOUND: "are answered alarms looked into, and all others taken for negative",
    Follows.PREVENTED: "does an answered alarm prevent what would be positive",
}


@dataclass(frozen=True, slots=True)
class AnsweredLabels:
    """How labels depend on the side that answered, with the counts that show it."""

    follows: Follows
    side: str
    """The side on whose lone alarms the dependence is clearest."""
    answered: int
    """Positives with an alarm of `side` alone that it answered."""
    positives: int
    """All positives with an alarm of `side` alone."""
    expected: float
    """How many of these it would have answered by chance."""

    def unknown_reason(self, what: str) -> str:
        """Return the reason why the figure `what` is not known, and ask for the probable cause."""
        return f"{self.dependence}, so {what} is not known: {_CAUSE[self.follows]}?"

    @property
    def dependence(self) -> str:
        """Return the dependence in words, with the counts that show it."""
        return (
            f"labels depend on who answered ({self.positives:,} positives have an alarm of the "
            f"{self.side} alone; it answered {self.answered:,} of them, by chance "
            f"{self.expected:,.1f})"
        )


def positives_by_answered_alarm(cells: Sequence[LabelledCell]) -> tuple[Count, Count]:
    """Count, of all positives, the ones with and without an alarm of the side that answered.

    If only answered alarms are investigated, hardly any positive is without such an alarm. If they
    prevent positives, hardly any is with one. Both show even if one side answered everything.
    """
    with_alarm = without_alarm = 0
    for each in cells:
        alarm = {"primary": each.primary_alarm, "candidate": each.candidate_alarm}
        if each.served is None or alarm[each.served] is None:
            continue
        if alarm[each.served]:
            with_alarm += each.positives
        else:
            without_alarm += each.positives
    total = with_alarm + without_alarm
    return Count(with_alarm, total), Count(without_alarm, total)


def is_substantial(positives: Count, alpha: float) -> bool:
    """Say whether a share of the positives is surely not negligible, or there are no positives."""
    return not positives.total or ShareSequence(positives).above(_NEGLIGIBLE, alpha)


def is_loss_shown(cells: Sequence[LabelledCell], alpha: float, independent: float = 1.0) -> bool:
    """Say whether labels of the candidate's answers surely show a loss of recall.

    If answered alarms are investigated more often than others, labels favour the side that
    answered, so they are not the cause of a loss on the candidate's answers. If the primary's
    answers surely show a gain, labels may favour the other side: then no loss is shown. If it is
    not known which side answered, this returns True. `independent` is the effective share of
    independent positives.
    """
    by_answer = {
        side: DifferenceSequence(caught(each for each in cells if each.served == side), independent)
        for side in _SIDES
    }
    if not any(each.table.pairs for each in by_answer.values()):
        return True
    return by_answer["candidate"].below(0, alpha) and not by_answer["primary"].above(0, alpha)


def answered_labels(
    cells: Sequence[LabelledCell], cluster_size: float = 1.0
) -> AnsweredLabels | None:
    """Return how labels depend on the side that answered; None if no dependence is shown.

    Positives come in clusters of `cluster_size` (of one unit, say), each of which counts as one.
    """
    found = {side: _Answered.of(cells, side) for side in _SIDES}
    deviations = {side: each.deviation(cluster_size) for side, each in found.items()}
    side = max(deviations, key=lambda each: abs(deviations[each]))
    together = _Answered.sum(found.values()).deviation(cluster_size)
    surest = max(deviations[side], together, key=abs)
    is_contrary = any(each * surest < -_CONTRARY * abs(surest) for each in deviations.values())
    if abs(surest) < SURE or is_contrary:
        return None
    follows = Follows.FOUND if surest > 0 else Follows.PREVENTED
    shown = found[side]
    return AnsweredLabels(follows, side, shown.answered, shown.positives, shown.expected)


@dataclass(frozen=True, slots=True)
class _Answered:
    """The positives with an alarm of one side alone, and how many of them this side answered.

    The expected number follows from the positives on which both sides decide alike: there, the
    answer is the same whichever side gives it.
    """

    answered: int
    positives: int
    expected: float
    variance: float
    """Hypergeometric: the number of the side's answers to all these positives is fixed."""

    @classmethod
    def of(cls, cells: Sequence[LabelledCell], side: str) -> Self:
        own, alone = _answers(cells, side, [(side == "primary", side == "candidate")])
        own_agreed, agreed = _answers(cells, side, [(True, True), (False, False)])
        every = alone + agreed
        share = (own + own_agreed) / every if every else 0.0
        expected = alone * share
        return cls(own, alone, expected, expected * (1 - share) * agreed / max(1, every - 1))

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        columns = zip(
            *((each.answered, each.positives, each.expected, each.variance) for each in parts),
            strict=True,
        )
        return cls(*map(sum, columns))

    def deviation(self, cluster_size: float) -> float:
        """Return how far `answered` is from `expected`, in standard errors of a normal variable.

        The probability of the deviation is bounded by Bennett's inequality (JASA 57 (1962), 33-45)
        and converted to a normal quantile. A hypergeometric number is a sum of independent
        Bernoulli variables (Vatutin & Mikhailov, Theory Probab. Appl. 27 (1982)), so the bound is
        valid for small numbers, too.
        """
        if not self.variance:
            return 0.0
        part = abs(self.answered - self.expected) / self.variance
        exponent = self.variance * ((1 + part) * log1p(part) - part) / max(1.0, cluster_size)
        return copysign(sqrt(2 * exponent), self.answered - self.expected)


def _answers(
    cells: Sequence[LabelledCell], side: str, alarms: Sequence[tuple[bool, bool]]
) -> tuple[int, int]:
    """Count the positives in the cells of `alarms`: answered by a side, and answered at all."""
    chosen = [
        each
        for each in cells
        if (each.primary_alarm, each.candidate_alarm) in alarms and each.served is not None
    ]
    own = sum(each.positives for each in chosen if each.served == side)
    return own, sum(each.positives for each in chosen)
