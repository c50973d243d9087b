"""Checks of the exposure in rankings: how often single items and groups of items are listed.

Labels do not excuse a change here: they come from listed items, so they depend on the lists.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from flags.gate.checks.levels import KindChecks, Levelled, level_check
from flags.gate.limits import Bounds
from flags.gate.number_format import percent, points
from flags.gate.plain_check import plain
from flags.gate.verdict import BY_GRAVITY, Check, Outcome
from flags.gate.wording import Wording

_GROUP: Final = "group_"
"""Prefix of the figures of groups."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """The number of pairs in which each side lists an item, or of places that a group takes."""

    name: str
    """The item, or the group."""
    primary: int
    """Number in the primary's lists."""
    candidate: int
    """Number in the candidate's lists."""


class Listed(Levelled, Protocol):
    """The part of the evidence on a ranking that the checks of exposure need."""

    @property
    def paired(self) -> int:
        """Return the number of pairs of lists."""

    @property
    def items(self) -> tuple[Exposure, ...]:
        """Return the items whose exposure has changed most."""


class ExposureChecks(KindChecks[Listed]):
    """The checks of the exposure in an output's rankings."""

    def checks(self) -> Iterator[Check]:
        """Yield the group whose share of all places has changed most, and the item that gained
        most."""
        if groups := [*self._groups()]:
            yield min(groups, key=_gravity)
        if self._answer.items and self._answer.paired:
            yield self._item()

    def _groups(self) -> Iterator[Check]:
        limit = self._gate.advance.exposure_shift
        for figure in self._answer.levels:
            if not figure.startswith(_GROUP):
                continue
            words = f"{{figure}} of the places to the group {figure.removeprefix(_GROUP)!r}"
            yield replace(
                level_check(
                    self._answer, "exposure_shift", figure, Wording(words, points, " points"), -1.0
                ),
                high=Bounds(limit, limit),
                low=Bounds(-limit, -limit),
                required=self._required,
            ).answer(self._playbook.error_rate)

    def _item(self) -> Check:
        """Check the item whose share of the candidate's lists is most above that of the primary's.

        It has no interval: with many lists, chance hardly changes it.
        """
        paired, limit = self._answer.paired, self._gate.advance.item_exposure
        most = max(self._answer.items, key=lambda each: each.candidate - each.primary)
        shares = most.primary / paired, most.candidate / paired
        gain = shares[1] - shares[0]
        reason = (
            f"{most.name!r} is in {percent(shares[1])} % of the candidate's lists and "
            f"{percent(shares[0])} % of the primary's, limit {points(limit)} points"
        )
        outcome = Outcome.FAIL if gain > limit else Outcome.PASS
        check = plain("item_exposure", outcome, paired, reason, figure=gain, limit=limit)
        return replace(check, output=self._answer.name, required=False)


def _gravity(check: Check) -> tuple[int, float]:
    """Sort key of checks of one name: by outcome, then by the size of the change."""
    return BY_GRAVITY.index(check.outcome), -abs(check.figure or 0.0)
