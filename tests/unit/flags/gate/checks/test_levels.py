"""Checks of levels if no pair names a unit: bursts of equal requests do not fail them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flags.gate.checks.levels import Shares, level_check
from flags.gate.evidence import UnitShare
from flags.gate.limits import Bounds
from flags.gate.number_format import points
from flags.gate.verdict import Check, Outcome
from flags.gate.wording import Wording

WORSE = (UnitShare(0.0, 4_000), UnitShare(1.0, 1_000))
MINUTES = (UnitShare(0.0, 800), UnitShare(1.0, 200))
FEW_MINUTES = (UnitShare(0.0, 8), UnitShare(1.0, 2))


@dataclass(frozen=True)
class Answers:
    name: str = "answer"
    labelled: int = 5_000
    units: int = 0
    levels: Mapping[str, Mapping[str, Shares]] = field(default_factory=dict)
    clusters: Mapping[str, float] = field(default_factory=dict)


def answer(found: Answers) -> Check:
    check = level_check(found, "text_rule", "refusal", Wording("{figure}", points), -1.0)
    limits = Bounds(0.05, 0.1)
    return replace(check, high=limits, rolls_back=True, required=False).answer(0.05)


def answers(shares: Shares = WORSE, minutes: Shares = MINUTES, **more: object) -> Answers:
    levels = {"refusal": {"request": shares, "block": shares, "minute": minutes}}
    return replace(Answers(levels=levels), **more)


def test_without_bursts_it_fails() -> None:
    assert answer(answers()).outcome is Outcome.FAIL
    assert answer(answers(clusters={"refusal": 1.2})).outcome is Outcome.FAIL


def test_bursts_without_a_unit_hold_and_ask_for_one() -> None:
    check = answer(answers(clusters={"refusal": 7.3, "length": 1.0}))
    assert (check.outcome, check.beyond_advance_limit, check.required) == (
        Outcome.INCONCLUSIVE,
        True,
        True,
    )
    assert check.reason.endswith(
        ", but differences come in bursts of alike requests (design effect 7.3) and no pair names "
        "a unit, without which requests roll nothing back: `migrate(unit=...)` names it"
    )


def test_few_minutes_hold_however_many_requests_they_have() -> None:
    check = answer(answers(minutes=FEW_MINUTES))
    assert (check.outcome, check.beyond_advance_limit, check.required) == (
        Outcome.INCONCLUSIVE,
        True,
        True,
    )
    assert "each minute counted once does not show it, and no pair names a unit" in check.reason


def test_units_fail_by_themselves() -> None:
    named = answers(minutes=FEW_MINUTES, units=5_000, clusters={"refusal": 7.3})
    assert answer(named).outcome is Outcome.FAIL


def test_what_passes_goes_on_with_bursts() -> None:
    same = answers((UnitShare(0.0, 5_000),), FEW_MINUTES, clusters={"refusal": 7.3})
    assert answer(same).outcome is Outcome.PASS
