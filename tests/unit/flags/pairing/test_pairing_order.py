"""When each side is called: the answer first, the shadow after it, an insurance at once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Status
from flags.pairing.request import Request
from flags.pairing.shadow_schedule import AnswerSent
from tests.support.fakes import (
    Conduct,
    FakeAsyncModel,
    FakeModel,
    FixedAssignment,
    Release,
    answer_of,
    until,
)
from tests.support.paired_models import (
    NEVER,
    SOON,
    pairing_of,
)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("active", Side)
async def test_the_answer_does_not_wait_for_the_shadow(
    active: Side, is_async: bool, gate: Release
) -> None:
    """The shadow is held back until the answer is there: waiting for it would never end."""
    kind = FakeAsyncModel if is_async else FakeModel
    models = {
        side: kind(Conduct.ANSWERS if side is active else Conduct.HANGS, 0.7, gate) for side in Side
    }
    pairs = InMemoryPairs()
    pairing = pairing_of(*models.values(), assign=FixedAssignment(active), sink=pairs)

    answer = await asyncio.wait_for(pairing.answer(Request.of("r1", 1)), 20)

    assert answer.served is active
    await asyncio.wait_for(gate.is_reached(), 20)
    assert pairs.pairs == []  # the shadow is still being scored
    gate.open()
    assert await pairing.drain(NEVER) == 0
    assert pairs.pairs[0].observation(active.other).status is Status.OK
    pairing.close()


async def test_the_shadow_is_begun_after_the_answer_when_the_primary_is_active() -> None:
    """The candidate takes no time from a primary that the caller waits for."""
    order: list[str] = []

    async def primary(_: Any) -> Any:
        order.append("primary")
        return answer_of(0.1)

    async def candidate(_: Any) -> Any:
        order.append("candidate")
        return answer_of(0.9)

    pairing = pairing_of(primary, candidate)
    await pairing.answer(Request.of("r1", 1))
    order.append("answered")
    await pairing.drain(NEVER)
    assert order == ["primary", "answered", "candidate"]


async def test_the_shadow_waits_until_the_answer_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flags.pairing.shadow_schedule.MAX_WAIT", NEVER)
    candidate, answer_sent = FakeModel(), AnswerSent()
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(), candidate, sink=pairs)
    await pairing.answer(replace(Request.of("r1", 1), answer_sent=answer_sent))
    assert await pairing.drain(SOON) == 1
    assert candidate.calls == []
    answer_sent.set()
    assert await pairing.drain(NEVER) == 0
    assert pairs.pairs[0].candidate.status is Status.OK
    pairing.close()


async def test_an_answer_that_does_not_leave_holds_its_shadow_up_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flags.pairing.shadow_schedule.MAX_WAIT", SOON)
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(), FakeModel(), sink=pairs)
    await pairing.answer(replace(Request.of("r1", 1), answer_sent=AnswerSent()))
    assert await pairing.drain(NEVER) == 0
    assert pairs.pairs[0].candidate.status is Status.OK
    pairing.close()


@pytest.mark.parametrize("active", Side)
async def test_a_pair_without_a_shadow_is_recorded_once_the_answer_has_left(
    active: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flags.pairing.shadow_schedule.MAX_WAIT", NEVER)
    pairs, answer_sent = InMemoryPairs(), AnswerSent()
    assign = FixedAssignment(active, shadow=False)
    pairing = pairing_of(FakeModel(), FakeModel(), assign=assign, sink=pairs)
    await pairing.answer(replace(Request.of("r1", 1), answer_sent=answer_sent))
    assert await pairing.drain(SOON) == 1
    assert pairs.pairs == []
    answer_sent.set()
    assert await pairing.drain(NEVER) == 0
    assert pairs.pairs[0].observation(active.other).status is Status.SKIPPED
    pairing.close()


async def test_the_insurance_does_not_wait_for_an_answer() -> None:
    """The caller may get the primary's answer."""
    primary = FakeModel()
    candidate = FakeModel(Conduct.RAISES)
    pairing = pairing_of(primary, candidate, assign=FixedAssignment(Side.CANDIDATE))
    answering = pairing.answer(replace(Request.of("r1", 1), answer_sent=AnswerSent()))
    answer = await asyncio.wait_for(answering, NEVER)
    assert answer.served is Side.PRIMARY
    assert answer.fallback
    await pairing.drain(NEVER)
    pairing.close()


async def test_the_primary_is_scored_at_once_when_the_candidate_is_active(gate: Release) -> None:
    """A fallback must not begin only when the candidate has failed."""
    primary = FakeModel()
    candidate = FakeModel(Conduct.HANGS, gate=gate)
    pairing = pairing_of(primary, candidate, assign=FixedAssignment(Side.CANDIDATE))
    answering = asyncio.create_task(pairing.answer(Request.of("r1", 1)))
    await asyncio.wait_for(gate.is_reached(), 20)
    await until(lambda: primary.calls)
    assert not answering.done()
    gate.open()
    assert (await answering).served is Side.CANDIDATE
    await pairing.drain(NEVER)
    pairing.close()


async def test_the_active_candidate_s_call_begins_before_that_of_its_insurance() -> None:
    """A request over a network is under way while the primary has the processor."""
    begun: list[str] = []

    async def primary(_: Any) -> Any:
        begun.append("primary")
        return FakeModel()(1)

    async def candidate(_: Any) -> Any:
        begun.append("candidate")
        await asyncio.sleep(0.01)
        return FakeModel()(1)

    pairing = pairing_of(primary, candidate, assign=FixedAssignment(Side.CANDIDATE))
    assert (await pairing.answer(Request.of("r1", 1))).served is Side.CANDIDATE
    await pairing.drain(NEVER)
    assert begun == ["candidate", "primary"]
    pairing.close()


@pytest.mark.parametrize("active", Side)
async def test_a_caller_that_leaves_still_makes_a_pair(active: Side, gate: Release) -> None:
    models = {
        side: FakeModel(Conduct.HANGS if side is active else Conduct.ANSWERS, 0.7, gate)
        for side in Side
    }
    pairs = InMemoryPairs()
    pairing = pairing_of(*models.values(), assign=FixedAssignment(active), sink=pairs)
    answering = asyncio.create_task(pairing.answer(Request.of("r1", 1)))
    await asyncio.wait_for(gate.is_reached(), 20)

    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    gate.open()

    assert await pairing.drain(NEVER) == 0
    (pair,) = pairs.pairs
    assert pair.served is None
    assert pair.fallback is False
    assert {pair.primary.status, pair.candidate.status} == {Status.OK}
    pairing.close()


@pytest.mark.parametrize("limit", [None, NEVER])
@pytest.mark.parametrize("is_lazy", [False, True])
@pytest.mark.parametrize("active", Side)
async def test_a_primary_on_the_event_loop_is_cancelled_with_its_request(
    active: Side, is_lazy: bool, limit: float | None, gate: Release
) -> None:
    """As by the time limit of the service: whoever waits for the primary's answer gives up."""
    fails = active is Side.CANDIDATE
    candidate = FakeAsyncModel(Conduct.RAISES if fails else Conduct.ANSWERS, 0.7)
    primary = FakeAsyncModel(Conduct.HANGS, 0.7, gate)
    pairs = InMemoryPairs()
    pairing = pairing_of(
        primary,
        candidate,
        assign=FixedAssignment(active),
        sink=pairs,
        limits=Limits(limit, NEVER, NEVER, 64),
        lazy_insurance=is_lazy,
    )
    answering = asyncio.create_task(pairing.answer(Request.of("r1", 1)))
    await asyncio.wait_for(gate.is_reached(), 20)
    await until(lambda: candidate.ended or not fails)

    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering

    assert await pairing.drain(NEVER) == 0  # the gate was never opened
    assert primary.ended == 1
    (pair,) = pairs.pairs
    assert (pair.served, pair.primary.status) == (None, Status.TIMEOUT)
    assert pair.primary.error == "CallerLeftError"
    assert pair.candidate.status is (Status.ERROR if fails else Status.OK)
    pairing.close()
