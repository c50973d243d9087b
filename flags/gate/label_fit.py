"""Whether the labels belong to the answers: labels of other requests are independent of them.

By such labels both sides are equally good whatever they answer, so they show no loss of recall,
accuracy or nDCG; inverted labels hide a loss as well. So before the sides are compared by labels,
at least one side must surely agree with them better than by chance.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Final

from flags.gate.evidence import Count, LabelledCell, Output, Quality
from flags.gate.number_format import percent

SURE: Final = 4.0
"""Standard errors that are sure: by chance, 3 of 1,000 migrations reach them at some look up to a
million pairs."""


class Fit(StrEnum):
    """Whether the sides' answers agree with the labels."""

    SHOWN = "shown"
    """A side agrees with them better than by chance."""
    OPEN = "open"
    """It is not shown that a side agrees better than by chance."""
    CONTRARY = "contrary"
    """The primary is wrong more often than by chance."""


@dataclass(frozen=True, slots=True)
class LabelFit:
    """Whether the labels fit the answers. `why` says what is wrong with them; empty if they fit."""

    fit: Fit
    why: str = ""

    def unknown_reason(self, what: str) -> str:
        """Return the reason why the figure `what` is not known, and ask for the probable cause."""
        return f"{self.why}, so {what} is not known: {_CAUSE[self.fit]}?"

    @property
    def is_shown(self) -> bool:
        """Say whether the labels may compare the sides."""
        return self.fit is Fit.SHOWN


FITS: Final = LabelFit(Fit.SHOWN)


def fit_or_early(shown: LabelFit, labelled: int, wanted: int) -> LabelFit:
    """Return the fit that labels show; an open fit of fewer than `wanted` labels counts as fit."""
    return FITS if labelled < wanted and shown.fit is Fit.OPEN else shown


def above_chance(share: Count, chance: float) -> float | None:
    """Return by how many standard errors a share is above the share by chance."""
    variance = max(1.0, share.total * chance * (1 - chance))
    return (share.count - share.total * chance) / sqrt(variance) if share.total else None


def fit(primary: float | None, candidate: float | None) -> Fit:
    """Return the fit, from each side's standard errors above chance, None if unknown."""
    if primary is not None and primary < -SURE:
        return Fit.CONTRARY
    known = [each for each in (primary, candidate) if each is not None]
    return Fit.SHOWN if known and max(known) > SURE else Fit.OPEN


def shares_fit(what: str, verb: str, shares: dict[str, tuple[Count, float]]) -> LabelFit:
    """Return whether labels fit, from each side's (share of right answers, share by chance).

    `what` are the answers and `verb` is what a side does, both for the reason.
    """
    above = {side: above_chance(*each) for side, each in shares.items()}
    how = fit(above.get("primary"), above.get("candidate"))
    if how is Fit.SHOWN:
        return FITS
    words = " and ".join(
        f"the {side} {verb} {percent(count.rate or 0.0)} %, by chance in {percent(chance)} %"
        for side, (count, chance) in shares.items()
    )
    return LabelFit(how, f"{_beginning(how, what)} ({words})")


def correlation_fit(correlations: dict[str, float], labelled: int) -> LabelFit:
    """Return whether true values fit, from their correlation with each side's numbers."""
    above = {side: each * sqrt(labelled) for side, each in correlations.items()}
    how = fit(above.get("primary"), above.get("candidate"))
    if how is Fit.SHOWN:
        return FITS
    words = " and ".join(f"{each:+.3f} for the {side}" for side, each in correlations.items())
    return LabelFit(how, f"{_beginning(how, 'numbers')} (correlation {words})")


def output_fit(output: Output, quality: Quality) -> LabelFit:
    """Return whether the labels of a score fit: by alarms if it has a threshold, else by ranks."""
    if output.alarms is None:
        return rank_fit(quality)
    return alarm_fit(output.labelling.old) if output.labelling is not None else FITS


def alarm_fit(cells: Iterable[LabelledCell]) -> LabelFit:
    """Return whether pairs with an alarm have positive labels more often than other pairs."""
    decided = [
        each
        for each in cells
        if each.primary_alarm is not None and each.candidate_alarm is not None and each.labelled
    ]
    by_side = {
        side: (_positives(decided, side, alarm=True), _positives(decided, side, alarm=False))
        for side in ("primary", "candidate")
    }
    above = {side: _difference(*each) for side, each in by_side.items()}
    how = fit(above["primary"], above["candidate"])
    if how is Fit.SHOWN:
        return FITS
    shares = "; ".join(
        f"positive are {_share(fired)} of the {side}'s alarms and {_share(quiet)} of its other "
        "labelled pairs"
        for side, (fired, quiet) in by_side.items()
    )
    return LabelFit(how, f"{_beginning(how, 'alarms')} ({shares})")


def rank_fit(quality: Quality) -> LabelFit:
    """Return whether positives have higher scores than negatives (ROC AUC above 0.5)."""
    positives, negatives = quality.positives, quality.labelled - quality.positives
    areas = {"primary": quality.primary.roc_auc, "candidate": quality.candidate.roc_auc}
    known = {side: area for side, area in areas.items() if area is not None}
    if not known or not positives or not negatives:
        return FITS  # all labels are equal: other checks say so
    error = sqrt((positives + negatives + 1) / (12 * positives * negatives))
    above = {side: (area - 0.5) / error for side, area in known.items()}
    how = fit(above.get("primary"), above.get("candidate"))
    if how is Fit.SHOWN:
        return FITS
    shares = " and ".join(f"{area:.3f} for the {side}" for side, area in known.items())
    area = f" (ROC AUC {shares}, by chance 0.5)"
    return LabelFit(how, f"{_beginning(how, 'scores')}{area}")


def _positives(cells: list[LabelledCell], side: str, *, alarm: bool) -> Count:
    chosen = [each for each in cells if getattr(each, f"{side}_alarm") is alarm]
    return Count(sum(each.positives for each in chosen), sum(each.labelled for each in chosen))


def _difference(fired: Count, quiet: Count) -> float | None:
    """Return the difference of two shares in standard errors, None if it is undefined."""
    total = fired.total + quiet.total
    if not fired.total or not quiet.total:
        return None
    share = (fired.count + quiet.count) / total
    error = sqrt(share * (1 - share) * (1 / fired.total + 1 / quiet.total))
    return ((fired.rate or 0.0) - (quiet.rate or 0.0)) / error if error else None


def _share(count: Count) -> str:
    return "none" if count.rate is None else f"{percent(count.rate)} %"


def _beginning(how: Fit, what: str) -> str:
    if how is Fit.CONTRARY:
        return f"labels contradict the primary's {what}"
    return f"labels go with neither side's {what}"


_CAUSE: Final = {
    Fit.CONTRARY: "are they the wrong way round, or of other requests",
    Fit.OPEN: "are they of other requests",
}
