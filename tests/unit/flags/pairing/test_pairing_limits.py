"""The limits of pairing: time, concurrent shadows, unfinished pairs at the end."""

import asyncio
import threading

import pytest

from flags.errors import SideBusyError
from flags.pairing.assignment import Assignment, Side
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Status
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.scorer import Scorer
from tests.support.fakes import (
    BusyThreads,
    Conduct,
    FakeAsyncModel,
    FakeModel,
    FixedAssignment,
    Release,
    StubbornAsyncModel,
    until,
)
from tests.support.paired_models import (
    NEVER,
    SOON,
    pairing_of,
)


async def test_shadows_beyond_the_concurrency_limit_are_shed(gate: Release) -> None:
    pairs = InMemoryPairs()
    candidate = FakeAsyncModel(Conduct.HANGS, gate=gate)
    pairing = pairing_of(
        FakeAsyncModel(), candidate, sink=pairs, limits=Limits(None, None, NEVER, 2)
    )
    for index in range(5):
        await pairing.answer(Request.of(str(index), index))
    await until(lambda: len(pairs.pairs) == 3)
    assert {pair.candidate.status for pair in pairs.pairs} == {Status.SHED}
    gate.open()
    assert await pairing.drain(NEVER) == 0
    assert len(candidate.calls) == 2

    await pairing.answer(Request.of("later", 5))
    assert await pairing.drain(NEVER) == 0
    assert pairs.pairs[-1].candidate.status is Status.OK  # room again


async def test_an_insurance_that_waits_in_line_until_nobody_needs_it_is_shed(
    gate: Release,
) -> None:
    primary, threads, pairs = FakeModel(), BusyThreads(gate), InMemoryPairs()
    pairing = pairing_of(
        primary,
        FakeModel(),
        assign=FixedAssignment(Side.CANDIDATE),
        sink=pairs,
        limits=Limits(None, NEVER, SOON),
        primary_threads=threads,
    )
    assert (await pairing.answer(Request.of("r1", 1))).served is Side.CANDIDATE
    assert await pairing.drain(NEVER) == 0
    (pair,) = pairs.pairs
    assert (pair.primary.status, pair.primary.error) == (Status.SHED, "SideBusyError")
    assert pair.primary.duration is None
    gate.open()
    pairing.close()
    assert primary.calls == []


async def test_a_primary_in_line_behind_others_is_waited_for_once(gate: Release) -> None:
    """A fallback that has waited in the queue for its whole limit does not get a second limit."""
    threads, pairs = BusyThreads(gate), InMemoryPairs()
    pairing = pairing_of(
        FakeModel(),
        FakeModel(Conduct.RAISES),
        assign=FixedAssignment(Side.CANDIDATE),
        sink=pairs,
        limits=Limits(SOON, NEVER, NEVER),
        primary_threads=threads,
    )
    with pytest.raises(SideBusyError, match="the primary was busy"):
        await pairing.answer(Request.of("r1", 1))
    assert await pairing.drain(NEVER) == 0
    assert (pairs.pairs[0].primary.status, pairs.pairs[0].served) == (Status.SHED, None)
    assert threads.submitted == 1
    gate.open()
    pairing.close()


@pytest.mark.parametrize("reason", ["shadow flag off", "no room for shadows"])
async def test_a_primary_that_was_no_shadow_is_scored_when_the_candidate_fails(
    reason: str, gate: Release
) -> None:
    """Sampling or shedding the shadow must not cost the fallback."""
    pairs = InMemoryPairs()
    pairing = pairing_of(
        FakeAsyncModel(),
        FakeAsyncModel(Conduct.RAISES),
        assign=FixedAssignment(Side.CANDIDATE, shadow=reason != "shadow flag off"),
        sink=pairs,
        limits=Limits(None, NEVER, NEVER, 0 if reason == "no room for shadows" else 32),
    )
    answer = await pairing.answer(Request.of("r1", 1))
    assert (answer.served, answer.fallback) == (Side.PRIMARY, True)
    await pairing.drain(NEVER)
    assert pairs.pairs[0].primary.status is Status.OK


async def test_calls_of_a_hanging_candidate_are_shed_at_once_and_resume_after_it(
    gate: Release,
) -> None:
    """One call may wait for its whole limit; the next calls must not wait for a stuck thread."""
    candidate = FakeModel(Conduct.HANGS, gate=gate)
    pairs = InMemoryPairs()
    pairing = pairing_of(
        FakeModel(),
        candidate,
        assign=FixedAssignment(Side.CANDIDATE),
        sink=pairs,
        limits=Limits(None, SOON, NEVER),
    )
    for index in range(3):
        assert (await pairing.answer(Request.of(str(index), index))).fallback
    assert await pairing.drain(NEVER) == 0
    assert [pair.candidate.status for pair in pairs.pairs] == [
        Status.TIMEOUT,
        Status.SHED,
        Status.SHED,
    ]
    assert [pair.candidate.error for pair in pairs.pairs][1:] == ["SideStuckError"] * 2
    assert candidate.calls == [(0,)]

    gate.open()
    candidate.conduct = Conduct.ANSWERS
    for index in range(3, 1000):
        answer = await pairing.answer(Request.of(str(index), index))
        if answer.served is Side.CANDIDATE:
            break
        await asyncio.sleep(0.01)
    assert answer.served is Side.CANDIDATE
    await pairing.drain(NEVER)
    pairing.close()


async def test_a_candidate_that_swallows_its_cancellation_costs_its_limit_only() -> None:
    candidate = StubbornAsyncModel()
    pairs = InMemoryPairs()
    pairing = pairing_of(
        FakeAsyncModel(),
        candidate,
        assign=FixedAssignment(Side.CANDIDATE),
        sink=pairs,
        limits=Limits(None, SOON, NEVER),
    )
    answer = await asyncio.wait_for(pairing.answer(Request.of("r1", 1)), 20)
    assert answer.fallback
    assert await pairing.drain(NEVER) == 0
    assert pairs.pairs[0].candidate.status is Status.TIMEOUT
    candidate.gate.open()
    await asyncio.sleep(0.02)
    assert candidate.cancelled == 1
    assert len(pairs.pairs) == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_primary_past_its_own_limit_is_a_timeout_for_the_caller(
    is_async: bool, gate: Release
) -> None:
    kind = FakeAsyncModel if is_async else FakeModel
    pairs = InMemoryPairs()
    pairing = pairing_of(
        kind(Conduct.HANGS, gate=gate), kind(), sink=pairs, limits=Limits(SOON, NEVER, NEVER)
    )
    with pytest.raises(TimeoutError, match=f"the primary took longer than {SOON} s"):
        await pairing.answer(Request.of("r1", 1))
    await pairing.drain(NEVER)
    assert pairs.pairs[0].primary.status is Status.TIMEOUT
    assert pairs.pairs[0].served is None
    pairing.close()


async def test_drain_waits_for_the_shadow_and_says_what_remains(gate: Release) -> None:
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(), FakeModel(Conduct.HANGS, gate=gate), sink=pairs)
    await pairing.answer(Request.of("r1", 1))
    assert await pairing.drain(0.02) == 1
    assert pairs.pairs == []
    threading.Timer(0.02, gate.open).start()
    assert await pairing.drain(NEVER) == 0
    assert len(pairs.pairs) == 1
    pairing.close()


async def test_drain_has_nothing_to_wait_for_without_requests() -> None:
    assert await pairing_of(FakeModel(), FakeModel()).drain(NEVER) == 0


@pytest.mark.parametrize(
    ("limits", "side", "shadow", "expected"),
    [
        (Limits(), Side.PRIMARY, False, None),
        (Limits(), Side.PRIMARY, True, 5.0),
        (Limits(), Side.CANDIDATE, False, 1.0),
        (Limits(), Side.CANDIDATE, True, 1.0),
        (Limits(candidate_timeout=None), Side.CANDIDATE, True, 5.0),
        (Limits(primary_timeout=2.0), Side.PRIMARY, True, 2.0),
        (Limits(primary_timeout=9.0), Side.PRIMARY, True, 5.0),
        (Limits(primary_timeout=9.0), Side.PRIMARY, False, 9.0),
    ],
)
def test_the_limit_of_a_shadow_is_the_lower_of_its_own_and_the_shadow_s(
    limits: Limits, side: Side, shadow: bool, expected: float | None
) -> None:
    assert limits.of(side, shadow=shadow) == expected


async def test_the_insurance_has_the_primarys_own_limit_not_that_of_a_shadow() -> None:
    """A slow primary answers in place of a failed candidate, however long a shadow may take."""

    async def slow(_: object) -> dict[str, float]:
        await asyncio.sleep(0.3)
        return {"score": 0.2}

    async def failing(_: object) -> dict[str, float]:
        raise ValueError("no")

    sink, reading = InMemoryPairs(), Reading.of("score")
    pairing = Pairing(
        Scorer(Side.PRIMARY, slow, reading),
        Scorer(Side.CANDIDATE, failing, reading),
        assign=lambda _id, _attributes: Assignment(Side.CANDIDATE, "flag", "static"),
        reading=reading,
        sink=sink,
        limits=Limits(shadow_timeout=0.05),
    )
    answer = await pairing.answer(Request.of("id", 1))
    assert (answer.value, answer.served, answer.fallback) == ({"score": 0.2}, Side.PRIMARY, True)
    assert sink.pairs[0].primary.status is Status.OK


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_primary_that_hangs_behind_a_served_candidate_is_given_up(
    is_async: bool, gate: Release
) -> None:
    def hang(_: object) -> dict[str, float]:
        gate.wait()
        return {"score": 0.2}

    async def hang_async(_: object) -> dict[str, float]:
        await asyncio.sleep(3600)
        return {"score": 0.2}

    sink, reading = InMemoryPairs(), Reading.of("score")
    pairing = Pairing(
        Scorer(Side.PRIMARY, hang_async if is_async else hang, reading),
        Scorer(Side.CANDIDATE, lambda _: {"score": 0.4}, reading),
        assign=lambda _id, _attributes: Assignment(Side.CANDIDATE, "flag", "static"),
        reading=reading,
        sink=sink,
        limits=Limits(shadow_timeout=0.05),
    )
    answer = await pairing.answer(Request.of("id", 1))
    assert answer.served is Side.CANDIDATE
    assert await pairing.drain(5) == 0
    assert sink.pairs[0].primary.status is Status.TIMEOUT
