"""Exposure in rankings: the most changed group and item are reported, whatever labels show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest

from flags.gate.checks.exposure import Exposure, ExposureChecks
from flags.gate.evidence import UnitShare
from flags.gate.verdict import Check, Outcome
from flags.playbook.model import Playbook
from tests.support.evidence import FLAG, evidence

PAIRS: Final = 20_000

Levels = Mapping[str, Mapping[str, tuple[UnitShare, ...]]]


@dataclass(frozen=True)
class Lists:
    """The part of a ranking's evidence that the checks of exposure need."""

    items: tuple[Exposure, ...] = ()
    levels: Levels = field(default_factory=dict)
    clusters: Mapping[str, float] = field(default_factory=dict)
    paired: int = PAIRS
    units: int = 0
    name: str = "items"


def checked(lists: Lists) -> list[Check]:
    playbook = Playbook(flag=FLAG)
    step = playbook.steps_at(10)[0]
    return [*ExposureChecks(lists, evidence(rollout=10), playbook, step).checks()]


def groups(**shares: float) -> Levels:
    """Return levels in which each group's share differs by the same amount in every pair."""
    return {
        f"group_{name}": dict.fromkeys(("request", "block", "unit"), (UnitShare(share, PAIRS),))
        for name, share in shares.items()
    }


def test_lists_without_groups_and_items_are_not_checked() -> None:
    assert checked(Lists()) == []
    assert checked(Lists((Exposure("a", 1, 2),), paired=0)) == []


@pytest.mark.parametrize("shift", [-0.2, 0.2])
def test_the_group_that_lost_or_gained_most_is_told(shift: float) -> None:
    [check] = checked(Lists(levels=groups(shoes=0.01, hats=shift, bags=0.05)))
    assert (check.name, check.outcome, check.required) == ("exposure_shift", Outcome.FAIL, True)
    assert "'hats'" in check.reason
    assert not check.rolls_back


def test_groups_that_hardly_changed_pass() -> None:
    [check] = checked(Lists(levels=groups(shoes=0.01, hats=-0.02)))
    assert check.outcome is Outcome.PASS
    assert "'hats'" in check.reason


@pytest.mark.parametrize(("candidate", "outcome"), [(6_000, Outcome.PASS), (7_000, Outcome.FAIL)])
def test_the_item_that_gained_most_is_told(candidate: int, outcome: Outcome) -> None:
    items = (Exposure("a", 9_000, 9_100), Exposure("b", 1_500, candidate), Exposure("c", 5_000, 0))
    [check] = checked(Lists(items))
    assert (check.name, check.outcome, check.required) == ("item_exposure", outcome, False)
    assert check.figure == pytest.approx((candidate - 1_500) / PAIRS)
    assert check.reason.startswith("'b' is in ")
