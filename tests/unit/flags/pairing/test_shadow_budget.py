"""A budget of shadows: units are sampled by a hash, and no pair is lost."""

import asyncio
from typing import Any

import pytest

from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import Call
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Pair, Status
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.scorer import Scorer
from flags.pairing.shadow_budget import ShadowBudget
from flags.pairing.unit import Units
from tests.support.fakes import OUTPUT, THRESHOLD, FakeClock, FixedAssignment, answer_of

READING = Reading.of(OUTPUT, THRESHOLD)
NEVER = 30.0


def windows(
    budget: ShadowBudget, clock: FakeClock, *, count: int, rate: float, cost: float
) -> list[float]:
    """Send requests of units at a rate for some windows; return the load of each window."""
    spent = []
    for window in range(count):
        used = 0.0
        for number in range(round(5 * rate)):
            clock.advance(1 / rate)
            if budget.admits(f"unit-{window}-{number}"):
                budget.spend(cost)
                used += cost
        spent.append(used / 5)
    return spent


def test_shadows_take_their_share_of_the_processor() -> None:
    clock = FakeClock()
    budget = ShadowBudget(0.2, clock)

    spent = windows(budget, clock, count=12, rate=200, cost=0.005)

    assert spent[0] == pytest.approx(1.0)  # nobody knew what one costs
    assert all(each == pytest.approx(0.2, rel=0.25) for each in spent[2:])


def test_what_fits_is_scored_wholly() -> None:
    clock = FakeClock()
    budget = ShadowBudget(0.2, clock)

    windows(budget, clock, count=4, rate=20, cost=0.005)

    assert budget.share == 1


def test_the_share_follows_the_load() -> None:
    clock = FakeClock()
    budget = ShadowBudget(0.1, clock)
    windows(budget, clock, count=4, rate=200, cost=0.005)
    assert budget.share == pytest.approx(0.1, rel=0.1)

    windows(budget, clock, count=4, rate=20, cost=0.005)

    assert budget.share == pytest.approx(1.0, rel=0.1)


def test_some_units_are_scored_whatever_a_score_costs() -> None:
    clock = FakeClock()
    budget = ShadowBudget(0.01, clock)

    windows(budget, clock, count=4, rate=100, cost=10.0)

    assert budget.share == 0.01


def test_the_units_of_a_smaller_share_are_in_every_larger_one() -> None:
    budget = ShadowBudget(0.5, FakeClock())
    units = [f"unit-{number}" for number in range(2_000)]

    def admitted(share: float) -> set[str]:
        budget.share = share
        return {unit for unit in units if budget.admits(unit)}

    small, large = admitted(0.2), admitted(0.6)
    assert small < large
    assert len(small) == pytest.approx(400, rel=0.2)
    assert len(large) == pytest.approx(1_200, rel=0.1)


class Attributed(FixedAssignment):
    """A flag that is sticky on the user."""

    def __call__(self, request_id: str, attributes: Any) -> Assignment:
        return Assignment(self.active, "flag", "split", shadow=self.shadow, stickiness="userId")


async def pairs_of(
    assign: FixedAssignment, budget: ShadowBudget, *, lazy: bool = False
) -> list[Pair]:
    pairs = InMemoryPairs()
    pairing = Pairing(
        Scorer(Side.PRIMARY, lambda _: answer_of(0.2), READING),
        Scorer(Side.CANDIDATE, lambda _: answer_of(0.7), READING, spend=budget.spend),
        assign=assign,
        reading=READING,
        sink=pairs,
        limits=Limits(candidate_timeout=NEVER, shadow_timeout=NEVER),
        units=Units.of(None, b"k" * 16),
        budget=budget,
        lazy_insurance=lazy,
    )
    for number in range(60):
        user = {"userId": f"user-{number % 20}"}
        request = Request(f"r-{number}", Call((1,)), Call((1,)), attributes=user)
        await pairing.answer(request)
    assert await pairing.drain(NEVER) == 0
    pairing.close()
    return pairs.pairs


def test_a_unit_is_in_or_out_with_all_that_it_sends_and_every_pair_is_recorded() -> None:
    budget = ShadowBudget(1.0, FakeClock())
    budget.share = 0.5

    pairs = asyncio.run(pairs_of(Attributed(Side.PRIMARY), budget))

    assert len(pairs) == 60
    by_unit: dict[str | None, set[Status]] = {}
    for pair in pairs:
        by_unit.setdefault(pair.unit, set()).add(pair.candidate.status)
        assert pair.candidate.sampled == 0.5
        assert pair.served is Side.PRIMARY
    assert {frozenset(each) for each in by_unit.values()} == {
        frozenset({Status.OK}),
        frozenset({Status.SKIPPED}),
    }


def test_a_shadow_that_the_flag_switches_off_is_none_of_the_budget() -> None:
    budget = ShadowBudget(1.0, FakeClock())
    budget.share = 0.5

    pairs = asyncio.run(pairs_of(Attributed(Side.PRIMARY, shadow=False), budget))

    assert {pair.candidate.status for pair in pairs} == {Status.SKIPPED}
    assert {pair.candidate.sampled for pair in pairs} == {None}


def test_an_insurance_is_scored_whatever_the_budget() -> None:
    budget = ShadowBudget(1.0, FakeClock())
    budget.share = 0.01

    pairs = asyncio.run(pairs_of(Attributed(Side.CANDIDATE), budget))

    assert {pair.primary.status for pair in pairs} == {Status.OK}
    assert {pair.primary.sampled for pair in pairs} == {None}


def test_a_lazy_insurance_is_a_shadow_to_the_budget() -> None:
    budget = ShadowBudget(1.0, FakeClock())
    budget.share = 0.01

    pairs = asyncio.run(pairs_of(Attributed(Side.CANDIDATE), budget, lazy=True))

    assert {pair.served for pair in pairs} == {Side.CANDIDATE}
    assert Status.SKIPPED in {pair.primary.status for pair in pairs}
    assert {pair.primary.sampled for pair in pairs} == {0.01}
