"""Labels that follow who answered: an alarm that was answered found what it says, or prevented it.

The flag draws who answers, so among requests that one side alone alarms, positive labels are as
often those of either side's answers. They are not where only answered alarms are looked into and
all else is taken for negative, or where an answered alarm declines what would have turned out bad.
Each request has a label then, and recall is that of the side that answers more: such labels show
nothing about the other (verification bias, as in `flags.gate.selection`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import copysign, log1p, sqrt
from typing import Final, Self

from flags.gate.evidence import Count, LabelledCell
from flags.gate.label_fit import SURE
from flags.gate.sequences import ShareSequence

_SIDES: Final = ("primary", "candidate")

_CONTRARY: Final = 2.0
"""Standard errors the other way, in the requests that the other side alone alarms: then something
else differs between the sides' answers."""


_HARDLY_ANY: Final = 0.01
"""Share of the positives."""


class Follows(StrEnum):
    """How labels follow who answered."""

    FOUND = "found"
    """Positive are those whose alarm was answered."""
    PREVENTED = "prevented"
    """Positive are those whose alarm was not answered."""


_CAUSE: Final = {
    Follows.FOUND: "are answered alarms looked into, and all others taken for negative",
    Follows.PREVENTED: "does an answered alarm prevent what would be positive",
}


@dataclass(frozen=True, slots=True)
class AnsweredLabels:
    """Hold how labels follow who answered, with the counts that show it."""

    follows: Follows
    side: str
    """Whose alarms alone show it."""
    answered: int
    """Positives among them that it answered."""
    positives: int
    expected: float

    def unknown(self, what: str) -> str:
        """Say why something is not known, and what may have caused it."""
        return f"{self.dependence}, so {what} is not known: {_CAUSE[self.follows]}?"

    @property
    def dependence(self) -> str:
        """Say what shows it."""
        return (
            f"labels depend on who answered ({self.positives:,} positives have an alarm of the "
            f"{self.side} alone; it answered {self.answered:,} of them, by chance "
            f"{self.expected:,.1f})"
        )


def raised_and_silent(cells: Sequence[LabelledCell]) -> tuple[Count, Count]:
    """Return, of the positives, those whose answer raised an alarm, and those whose did not.

    Where only answered alarms are looked into, there are hardly any of the second; where an
    answered alarm prevents them, of the first. That shows even if one side answered everything.
    """
    raised = silent = 0
    for each in cells:
        alarm = {"primary": each.primary_alarm, "candidate": each.candidate_alarm}
        if each.served is None or alarm[each.served] is None:
            continue
        if alarm[each.served]:
            raised += each.positives
        else:
            silent += each.positives
    return Count(raised, raised + silent), Count(silent, raised + silent)


def is_some(found: Count, alpha: float) -> bool:
    """Say whether a share of the positives is surely not negligible, or who answered is unknown."""
    return not found.total or ShareSequence(found).above(_HARDLY_ANY, alpha)


def answered_labels(cells: Sequence[LabelledCell], alike: float = 1.0) -> AnsweredLabels | None:
    """Say how labels follow who answered; None if nothing shows that they do.

    `alike` positives count as one.
    """
    found = {side: _Answered.of(cells, side) for side in _SIDES}
    above = {side: each.deviation(alike) for side, each in found.items()}
    side = max(above, key=lambda each: abs(above[each]))
    together = _Answered.sum(found.values()).deviation(alike)
    surest = max(above[side], together, key=abs)
    is_contrary = any(each * surest < -_CONTRARY * abs(surest) for each in above.values())
    if abs(surest) < SURE or is_contrary:
        return None
    follows = Follows.FOUND if surest > 0 else Follows.PREVENTED
    shown = found[side]
    return AnsweredLabels(follows, side, shown.answered, shown.positives, shown.expected)


@dataclass(frozen=True, slots=True)
class _Answered:
    """Count the positives that a side alone alarms, and which of them it answered.

    How many it should have answered follows from positives on which both sides decide alike: there,
    the answer is the same whoever gives it.
    """

    answered: int
    positives: int
    expected: float
    variance: float
    """Of a hypergeometric number: the side's answers to all these positives are fixed."""

    @classmethod
    def of(cls, cells: Sequence[LabelledCell], side: str) -> Self:
        own, alone = _answers(cells, side, [(side == "primary", side == "candidate")])
        own_alike, together = _answers(cells, side, [(True, True), (False, False)])
        every = alone + together
        share = (own + own_alike) / every if every else 0.0
        expected = alone * share
        return cls(own, alone, expected, expected * (1 - share) * together / max(1, every - 1))

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        columns = zip(
            *((each.answered, each.positives, each.expected, each.variance) for each in parts),
            strict=True,
        )
        return cls(*map(sum, columns))

    def deviation(self, alike: float) -> float:
        """Return the standard errors of a normal number that is as likely as Bennett's bound says.

        A hypergeometric number is a sum of independent truths (Vatutin & Mikhailov, Theory Probab.
        Appl. 27 (1982)), so the bound (Bennett, JASA 57 (1962), 33-45) holds of few ones, too.
        """
        if not self.variance:
            return 0.0
        part = abs(self.answered - self.expected) / self.variance
        exponent = self.variance * ((1 + part) * log1p(part) - part) / max(1.0, alike)
        return copysign(sqrt(2 * exponent), self.answered - self.expected)


def _answers(
    cells: Sequence[LabelledCell], side: str, fired: Sequence[tuple[bool, bool]]
) -> tuple[int, int]:
    """Count the positives with these alarms that a side answered, and all that were answered."""
    chosen = [
        each
        for each in cells
        if (each.primary_alarm, each.candidate_alarm) in fired and each.served is not None
    ]
    own = sum(each.positives for each in chosen if each.served == side)
    return own, sum(each.positives for each in chosen)
