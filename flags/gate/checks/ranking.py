"""Checks of a ranking: overlap and order of both sides' lists, and by labels their relevance.

All figures are means of values from -1 to 1, so they have confidence sequences by betting. Labels
often come from the shown list: a caller cannot choose an item that only the other side lists. Such
labels favour the side that answered. So PASS needs the labels of what the *primary* answered, and
FAIL those of what the *candidate* answered. Each is a random part of the requests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from flags.gate.checks.age import after_a_day
from flags.gate.checks.answers import excused, unread_answers, with_enough_labels
from flags.gate.checks.exposure import Exposure, ExposureChecks
from flags.gate.checks.levels import KindChecks, at_once, level_check, mean_of
from flags.gate.checks.parts import PartLimit, Quality, part_checks
from flags.gate.checks.selected import LabelsByAnswer, selected_labels, unfit_labels
from flags.gate.error_rate import error_share
from flags.gate.evidence import UNWRITTEN, AnswerEvidence, Count, Evidence, UnitShare
from flags.gate.label_fit import FITS, LabelFit, fit_or_early, shares_fit
from flags.gate.limit_check import LimitCheck
from flags.gate.limits import Bounds
from flags.gate.number_format import decimal, percent, points, signed
from flags.gate.plain_check import plain
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording
from flags.playbook.model import Playbook, Step


@dataclass(frozen=True, slots=True)
class RankingQuality:
    """How high a side lists relevant items, on the labelled pairs."""

    ndcg: float
    """Mean normalised discounted cumulative gain, from 0 to 1."""
    reciprocal_rank: float
    """Mean of 1 / place of the first relevant item, 0 if none is listed."""
    found: Count
    """Pairs in which the side lists a relevant item."""
    mean_place: float | None
    """Mean place, from 1, of the first relevant item in lists that have one."""
    found_in_sample: Count | None = None
    """The same as `found`, on a sample of at most 5,000 pairs."""
    found_by_chance: float = 0.0
    """Share of this sample in which a list has an item that is relevant to another request."""


@dataclass(frozen=True, slots=True)
class ServedQuality:
    """The mean nDCG of both sides on the labelled pairs that one side answered."""

    served: str
    """The side that answered."""
    labelled: int
    """Labelled pairs that it answered."""
    primary: float
    """Mean nDCG of the primary's lists."""
    candidate: float
    """Mean nDCG of the candidate's lists."""


@dataclass(frozen=True, slots=True)
class RankingEvidence(AnswerEvidence):
    """The evidence on an output that is a ranking: overlap, exposure, and with labels relevance."""

    unreadable: int
    """Pairs in which both sides answered and a ranking could not be read."""
    depth: int
    """Number of compared places: the length of the longest list of the first pairs."""
    persistence: float
    """Probability that a reader goes on to the next item, for `rank_biased_overlap`."""
    overlap: float | None
    """Mean share of the longer list that is in both lists."""
    rank_biased_overlap: float | None
    """Mean overlap with the first places counting most, from 0 to 1."""
    same: Count
    """Pairs with the same ranking."""
    same_first: Count
    """Pairs with the same item on top."""
    lengths: Mapping[str, float | None]
    """Mean length by side."""
    empty: Mapping[str, Count]
    """By side, pairs without any item."""
    items: tuple[Exposure, ...]
    """At most 100, the largest difference first."""
    distinct_items: Mapping[str, int]
    """By side, the number of items that it ever lists, among the 10,000 most listed ones."""
    no_longer_shown: Count
    """Of the primary's places, those of items that the candidate never lists."""
    newly_shown: Count
    """Of the candidate's places, those of items that the primary never lists."""
    items_for_half: Mapping[str, int | None]
    """By side, the smallest number of items that take half of all places."""
    groups: tuple[Exposure, ...]
    """By declared group of items, the places that it takes."""
    primary: RankingQuality | None
    """None without labels."""
    candidate: RankingQuality | None
    """None without labels."""
    by_served: tuple[ServedQuality, ...]
    """The quality of both sides, by the side that answered."""
    levels: Mapping[str, Mapping[str, tuple[UnitShare, ...]]] = field(metadata=UNWRITTEN)
    """Values for the checks, by figure and way of counting (`request`, `block`, `unit`).

    `overlap` and `rbo` lie from 0 to 1. The others are the candidate's value minus the primary's:
    `empty`, `group_<name>`, and nDCG on the pairs that a side answered, `ndcg_primary` and
    `ndcg_candidate`.
    """
    coverage: Mapping[str, Count]
    """By served side, the labelled pairs of all pairs old enough for a label."""
    coverage_p: float | None
    """P-value of Fisher's exact test that the coverage does not depend on the served side."""


EVIDENCE: Final = RankingEvidence
"""Class of the first argument of `checks`."""

_OVERLAP: Final = Wording("{figure} of the listed items are in common", percent, " %")
_ORDER: Final = Wording("rank-biased overlap {figure}", decimal)
_EMPTY: Final = Wording("lists nothing {figure} more often than the primary", points, " points")
_NDCG: Final = Wording(
    "nDCG {figure} against the primary's",
    signed,
    counted="labels",
    wanted="labels",
)


def checks(
    answer: RankingEvidence, evidence: Evidence, playbook: Playbook, step: Step
) -> Iterator[Check]:
    """Yield the checks of an output that is a ranking."""
    yield from _RankingChecks(answer, evidence, playbook, step).checks()


class _RankingChecks(KindChecks[RankingEvidence]):
    def checks(self) -> Iterator[Check]:
        relevance = self._relevance() if self._labelled else None
        quality_shown = relevance is not None and relevance.outcome is Outcome.PASS
        limits = self._gate.advance
        if self._answer.unreadable:
            yield unread_answers(
                self._answer, self._answer.unreadable, limits.uncompared, "a ranking"
            )
        yield self._empty()
        for check in (
            self._in_common("ranking_overlap", "overlap", _OVERLAP, limits.ranking_overlap),
            self._in_common("rank_biased_overlap", "rbo", _ORDER, limits.rank_biased_overlap),
        ):
            yield excused(check, "labels show the relevance") if quality_shown else check
        yield from ExposureChecks(self._answer, self._evidence, self._playbook, self._step).checks()
        if relevance is not None:
            yield relevance
        yield from self._parts(quality_shown=quality_shown)

    def _parts(self, *, quality_shown: bool) -> Iterator[Check]:
        advance = self._gate.advance
        limits = [
            PartLimit(figure, mean_of(0.0), wording, low=low, is_share=True)
            for figure, wording, low in (
                ("overlap", _OVERLAP, advance.ranking_overlap),
                ("rbo", _ORDER, advance.rank_biased_overlap),
            )
            if low > 0
        ]
        limits.append(PartLimit("empty", mean_of(-1.0), _EMPTY, high=advance.empty_rankings))
        loss = -self._ndcg_loss
        worse = PartLimit("ndcg_candidate", mean_of(-1.0), _NDCG, low=loss, is_quality=True)
        is_early = self._playbook.expects_labels and self._answer.early_labels.count > 0
        limits += [worse] if self._labelled or is_early else []
        quality = Quality(worse, "ndcg_primary", advance.min_positives)
        yield from part_checks(
            self._answer, self._playbook, self._step, limits, quality, quality_shown=quality_shown
        )

    def _empty(self) -> Check:
        """Compare how often the sides' lists are empty: after a day, or at any time if far more.

        Both limits are compared with the same wealth, so together they spend one share.
        """
        advance, rollback = self._gate.advance, self._gate.rollback
        share = self._share("empty_rankings")
        base = self._check("empty_rankings", "empty", -1.0, _EMPTY, rolls_back=True)
        later, now = (
            replace(each, high=Bounds(advance.empty_rankings, rollback.limit(limit))).answer(
                self._playbook.error_rate, share
            )
            for each, limit in ((base, "empty_rankings"), (at_once(base), "empty_rankings_now"))
        )
        return now if now.outcome is Outcome.FAIL else after_a_day(self._evidence, later)

    def _in_common(self, name: str, figure: str, wording: Wording, limit: float) -> Check:
        base = self._check(name, figure, 0.0, wording)
        if limit == 0:
            reason = f"{name.replace('_', ' ')} is not asked for"
            return plain(name, Outcome.PASS, base.n, reason, output=self._answer.name)
        return replace(base, low=Bounds(limit, limit)).answer(self._playbook.error_rate)

    def _relevance(self) -> Check:
        answer, playbook = self._answer, self._playbook
        limits = self._gate.advance
        gap = limits.label_coverage_gap
        if open_ := selected_labels(answer, "ndcg_loss", "nDCG", gap, required=self._wanted):
            return open_
        if open_ := unfit_labels(answer, "ndcg_loss", "nDCG", self._fit, self._wanted):
            return open_
        by_answer = LabelsByAnswer(answer, "ndcg", mean_of(-1.0), _NDCG, 1, playbook.error_rate)
        if open_ := by_answer.contradiction("ndcg_loss", "nDCG", required=self._wanted):
            return open_
        passing = self._check("ndcg_loss", "ndcg_primary", -1.0, _NDCG, rolls_back=True)
        failing = self._check("ndcg_loss", "ndcg_candidate", -1.0, _NDCG)
        check = replace(
            passing,
            low=Bounds(-self._ndcg_loss, -self._gate.rollback.ndcg_loss),
            fails_by=failing.fails_by,
            confirmed_by=failing.confirmed_by,
            obstacle=failing.obstacle,
            required=self._wanted,
        ).answer(playbook.error_rate, self._share("ndcg_loss"))
        check = after_a_day(self._evidence, check)
        of = " of what the primary answered"
        check = with_enough_labels(check, passing.n, limits.min_positives, of)
        if check.figure is None:
            reason = "no label of what the primary answered lists a relevant item"
            return replace(check, reason=reason)
        surely = check.high is not None and check.high < -self._ndcg_loss
        return replace(check, required=check.required or surely)

    @property
    def _ndcg_loss(self) -> float:
        """Return the limit, but at most half of the primary's nDCG."""
        limit, primary = self._gate.advance.ndcg_loss, self._answer.primary
        return min(limit, primary.ndcg / 2) if primary is not None and primary.ndcg else limit

    @property
    def _fit(self) -> LabelFit:
        """Return whether relevant items are listed more often than by chance."""
        answer = self._answer
        sides = {"primary": answer.primary, "candidate": answer.candidate}
        shares = {
            side: (each.found_in_sample, each.found_by_chance)
            for side, each in sides.items()
            if each is not None and each.found_in_sample is not None
        }
        if not shares:
            return FITS
        how = shares_fit("lists", "lists a relevant item in", shares)
        return fit_or_early(how, answer.labelled, self._gate.advance.min_positives)

    def _share(self, name: str) -> float:
        return error_share(self._playbook.error_rate, name, self._evidence.sharing)

    def _check(
        self,
        name: str,
        figure: str,
        lowest: float,
        wording: Wording,
        *,
        rolls_back: bool = False,
    ) -> LimitCheck:
        check = level_check(self._answer, name, figure, wording, lowest)
        return replace(check, rolls_back=rolls_back, required=self._required)
