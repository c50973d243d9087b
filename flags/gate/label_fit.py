"""Whether labels fit the answers: labels of other requests know nothing of what a side decides.

By such labels both sides are equally right, whatever they answer: no loss of recall, accuracy or
nDCG shows, and labels the wrong way round hide one as well. So a side must go with the labels
better than by chance, surely, before the sides are compared by them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Final

from flags.gate.evidence import Count, LabelledCell, Output, Quality
from flags.gate.number_format import percent

SURE: Final = 4.0
"""Standard errors: by chance, 3 of 1,000 cases have them at some look up to a million pairs."""


class Fit(StrEnum):
    """How far a side's answers go with the labels."""

    SHOWN = "shown"
    """Those of a side do, better than by chance."""
    OPEN = "open"
    """Those of neither do, as far as is known."""
    CONTRARY = "contrary"
    """The primary is wrong more often than by chance."""


@dataclass(frozen=True, slots=True)
class LabelFit:
    """Hold how the labels fit, and what is wrong with them in words; empty where they fit."""

    fit: Fit
    why: str = ""

    def unknown(self, what: str) -> str:
        """Say why something is not known, and what may have caused it."""
        return f"{self.why}, so {what} is not known: {_CAUSE[self.fit]}?"

    @property
    def is_shown(self) -> bool:
        """Say whether the labels may compare the sides."""
        return self.fit is Fit.SHOWN


FITS: Final = LabelFit(Fit.SHOWN)


def fit_or_early(found: LabelFit, labelled: int, wanted: int) -> LabelFit:
    """Say nothing yet of fewer labels than are wanted, unless they contradict."""
    return FITS if labelled < wanted and found.fit is Fit.OPEN else found


def by_chance(found: Count, chance: float) -> float | None:
    """Return by how many standard errors a share is above what chance makes of it."""
    variance = max(1.0, found.total * chance * (1 - chance))
    return (found.count - found.total * chance) / sqrt(variance) if found.total else None


def fit(primary: float | None, candidate: float | None) -> Fit:
    """Take how many standard errors each side is better than by chance, None where unknown."""
    if primary is not None and primary < -SURE:
        return Fit.CONTRARY
    known = [each for each in (primary, candidate) if each is not None]
    return Fit.SHOWN if known and max(known) > SURE else Fit.OPEN


def shares_fit(what: str, said: str, found: dict[str, tuple[Count, float]]) -> LabelFit:
    """Compare by side a share of labelled pairs with that by chance; `said` is its verb."""
    above = {side: by_chance(*each) for side, each in found.items()}
    how = fit(above.get("primary"), above.get("candidate"))
    if how is Fit.SHOWN:
        return FITS
    shares = " and ".join(
        f"the {side} {said} {percent(count.rate or 0.0)} %, by chance in {percent(chance)} %"
        for side, (count, chance) in found.items()
    )
    return LabelFit(how, f"{_beginning(how, what)} ({shares})")


def correlation_fit(found: dict[str, float], labelled: int) -> LabelFit:
    """Ask of the correlation of each side's numbers with the true values."""
    above = {side: each * sqrt(labelled) for side, each in found.items()}
    how = fit(above.get("primary"), above.get("candidate"))
    if how is Fit.SHOWN:
        return FITS
    shares = " and ".join(f"{each:+.3f} for the {side}" for side, each in found.items())
    return LabelFit(how, f"{_beginning(how, 'numbers')} (correlation {shares})")


def output_fit(output: Output, quality: Quality) -> LabelFit:
    """Say whether the labels of a score fit: by alarms where it has a threshold, else by ranks."""
    if output.alarms is None:
        return rank_fit(quality)
    return alarm_fit(output.labelling.old) if output.labelling is not None else FITS


def alarm_fit(cells: Iterable[LabelledCell]) -> LabelFit:
    """Ask whether pairs with an alarm of a side have positive labels more often than the others."""
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
    """Ask whether positives have the higher scores, where no threshold tells alarms."""
    positives, negatives = quality.positives, quality.labelled - quality.positives
    areas = {"primary": quality.primary.roc_auc, "candidate": quality.candidate.roc_auc}
    known = {side: area for side, area in areas.items() if area is not None}
    if not known or not positives or not negatives:
        return FITS  # of one kind alone: other checks say so
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
    """Return the difference of two shares in standard errors."""
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
