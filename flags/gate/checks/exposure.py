"""Checks of what rankings show: single items, and groups of them.

Labels excuse nothing here: they come from what is listed, and so follow the lists.
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
"""What the figures of groups begin with."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Count the pairs in which each side lists an item, or the places of a group of items."""

    name: str
    primary: int
    candidate: int


class Shown(Levelled, Protocol):
    """Hold what the lists of an output show."""

    @property
    def paired(self) -> int:
        """Return the pairs of lists."""

    @property
    def items(self) -> tuple[Exposure, ...]:
        """Return the items whose exposure has changed most."""


class ExposureChecks(KindChecks[Shown]):
    """Check what the lists of an output show."""

    def checks(self) -> Iterator[Check]:
        """Yield the group whose share of all places has changed most, and the item that gained."""
        if groups := [*self._groups()]:
            yield min(groups, key=_gravity)
        if self._found.items and self._found.paired:
            yield self._item()

    def _groups(self) -> Iterator[Check]:
        limit = self._gate.advance.exposure_shift
        for figure in self._found.levels:
            if not figure.startswith(_GROUP):
                continue
            words = f"{{figure}} of the places to the group {figure.removeprefix(_GROUP)!r}"
            yield replace(
                level_check(
                    self._found, "exposure_shift", figure, Wording(words, points, " points"), -1.0
                ),
                high=Bounds(limit, limit),
                low=Bounds(-limit, -limit),
                required=self._required,
            ).answer(self._playbook.error_rate)

    def _item(self) -> Check:
        """Look at the item that is shown most often beside how often the primary shows it.

        The exposure of many items is a matter of their number: no interval is needed.
        """
        paired, limit = self._found.paired, self._gate.advance.item_exposure
        most = max(self._found.items, key=lambda each: each.candidate - each.primary)
        shares = most.primary / paired, most.candidate / paired
        gain = shares[1] - shares[0]
        reason = (
            f"{most.name!r} is in {percent(shares[1])} % of the candidate's lists and "
            f"{percent(shares[0])} % of the primary's, limit {points(limit)} points"
        )
        outcome = Outcome.FAIL if gain > limit else Outcome.PASS
        check = plain("item_exposure", outcome, paired, reason, figure=gain, limit=limit)
        return replace(check, output=self._found.name, required=False)


def _gravity(check: Check) -> tuple[int, float]:
    """Order checks of one name: what failed first, then what has changed most."""
    return BY_GRAVITY.index(check.outcome), -abs(check.figure or 0.0)
