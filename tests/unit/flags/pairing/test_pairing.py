"""The promises of the core: one pair per request, an answer whatever the candidate does."""

import asyncio
import itertools
import logging
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags.errors import SideBusyError
from flags.pairing.assignment import Assign, Assignment, Side
from flags.pairing.call import Call
from flags.pairing.delivery import Answer
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Observation, Pair, PairSink, Status
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.scorer import Scorer
from flags.pairing.shadow_schedule import AnswerSent
from flags.pairing.side_threads import SideThreads
from flags.pairing.tuning import Tuning
from tests.support.fakes import (
    OUTPUT,
    THRESHOLD,
    BusyThreads,
    Conduct,
    FakeAsyncModel,
    FakeModel,
    FixedAssignment,
    ModelError,
    MutatingModel,
    RefusingAssignment,
    RefusingSink,
    Release,
    StubbornAsyncModel,
    Uncopyable,
    Unprintable,
    answer_of,
    until,
)

READING = Reading.of(OUTPUT, THRESHOLD)
PRIMARY_SCORE, CANDIDATE_SCORE = 0.2, 0.7
NEVER = 30.0
"""A limit in seconds that no call of these tests reaches."""
SOON = 0.3
"""A limit in seconds for a call that would never end by itself; it has begun by then."""


def pairing_of(
    primary: Any,
    candidate: Any,
    *,
    assign: Assign | None = None,
    sink: PairSink | None = None,
    limits: Limits | None = None,
    reading: Reading = READING,
    primary_threads: SideThreads | None = None,
) -> Pairing:
    return Pairing(
        Scorer(
            Side.PRIMARY,
            primary,
            reading,
            tag="v1:1",
            threads=primary_threads,
            unreadable_is_error=False,
        ),
        Scorer(Side.CANDIDATE, candidate, reading, tag="v2:1"),
        assign=assign or FixedAssignment(Side.PRIMARY),
        reading=reading,
        sink=sink if sink is not None else InMemoryPairs(),
        limits=limits or Limits(candidate_timeout=NEVER, shadow_timeout=NEVER),
    )


@dataclass(frozen=True)
class Case:
    """One combination of what the flag says and how both models behave."""

    active: Side
    shadow: bool
    primary: Conduct
    candidate: Conduct
    primary_async: bool = False
    candidate_async: bool = False
    caller_leaves: bool = False
    gate: Release = field(default_factory=Release)
    """Where the candidate waits if it outlasts its limit."""

    @property
    def limits(self) -> Limits:
        """Only a call that never ends by itself gets a short limit: nothing depends on speed."""
        limit = SOON if self.candidate.outlasts_its_limit else NEVER
        return Limits(candidate_timeout=limit, shadow_timeout=NEVER)

    @property
    def candidate_is_scored(self) -> bool:
        return self.active is Side.CANDIDATE or self.shadow

    @property
    def answers(self) -> Side | None:
        """The side whose answer the caller must get; None where it must get the primary's error."""
        if self.active is Side.CANDIDATE and self.candidate is Conduct.ANSWERS:
            return Side.CANDIDATE
        return None if self.primary is Conduct.RAISES else Side.PRIMARY

    @property
    def candidate_seen(self) -> tuple[Status, str | None]:
        """The candidate's status and error type as they must be recorded."""
        if not self.candidate_is_scored:
            return Status.SKIPPED, None
        return {
            Conduct.ANSWERS: (Status.OK, None),
            Conduct.RAISES: (Status.ERROR, "ModelError"),
            Conduct.EXITS: (Status.ERROR, "SystemExit"),
            Conduct.STOPS: (
                Status.ERROR,
                "ModelError" if self.candidate_async else "StopIteration",
            ),
            Conduct.GIVES_NAN: (Status.ERROR, "NonFiniteScoreError"),
            Conduct.GIVES_WRONG_SHAPE: (Status.ERROR, "AnswerUnreadableError"),
            Conduct.HANGS: (Status.TIMEOUT, "TimeoutError"),
            Conduct.ANSWERS_LATE: (Status.TIMEOUT, "TimeoutError"),
        }[self.candidate]

    @property
    def primary_seen(self) -> tuple[Status, str | None]:
        """The primary's status and error type as they must be recorded."""
        unused = self.active is Side.CANDIDATE and self.answers is Side.CANDIDATE
        if unused and not self.shadow:
            return Status.SKIPPED, None
        if self.primary is Conduct.RAISES:
            return Status.ERROR, "ModelError"
        return Status.OK, None

    def primary_model(self) -> FakeModel:
        kind = FakeAsyncModel if self.primary_async else FakeModel
        return kind(self.primary, PRIMARY_SCORE)

    def candidate_model(self) -> FakeModel:
        kind = FakeAsyncModel if self.candidate_async else FakeModel
        return kind(self.candidate, CANDIDATE_SCORE, self.gate)


async def outcome_of(pairing: Pairing, request: Request) -> Answer | BaseException:
    try:
        return await pairing.answer(request)
    except Exception as error:
        return error


async def hold(case: Case) -> None:
    """Answer one request and check everything that is promised of it."""
    pairs, candidate = InMemoryPairs(), case.candidate_model()
    pairing = pairing_of(
        case.primary_model(),
        candidate,
        assign=FixedAssignment(case.active, shadow=case.shadow),
        sink=pairs,
        limits=case.limits,
    )
    outcome = await outcome_of(pairing, Request.of("r1", {"amount": 1}))
    assert await pairing.drain(NEVER) == 0
    if case.candidate is Conduct.ANSWERS_LATE:  # the late answer must change nothing
        case.gate.open()
        await until(lambda: candidate.ended == len(candidate.calls))
        await asyncio.sleep(0.01)
    case.gate.open()
    pairing.close()
    check(case, outcome, pairs.pairs)


def check(case: Case, outcome: Answer | BaseException, pairs: list[Pair]) -> None:
    (pair,) = pairs
    check_outcome(case, outcome)
    assert pair.request_id == "r1"
    assert pair.assignment.active is case.active
    assert pair.served is case.answers
    assert pair.fallback is (case.active is Side.CANDIDATE and case.answers is Side.PRIMARY)
    assert (pair.primary.status, pair.primary.error) == case.primary_seen
    assert (pair.candidate.status, pair.candidate.error) == case.candidate_seen
    assert pair.started <= pair.ended
    check_observation(pair.primary, PRIMARY_SCORE)
    check_observation(pair.candidate, CANDIDATE_SCORE)


def check_outcome(case: Case, outcome: Answer | BaseException) -> None:
    if case.answers is None:
        assert isinstance(outcome, ModelError)  # the primary's own, as without us
        return
    assert isinstance(outcome, Answer)
    score = PRIMARY_SCORE if case.answers is Side.PRIMARY else CANDIDATE_SCORE
    assert outcome.value == answer_of(score)
    assert outcome.served is case.answers
    assert outcome.fallback is (case.answers is not case.active)
    assert outcome.model == ("v1:1" if case.answers is Side.PRIMARY else "v2:1")


def check_observation(seen: Observation, score: float) -> None:
    if seen.status is Status.OK:
        assert seen.scores == {OUTPUT: score}
        assert seen.thresholds == {OUTPUT: THRESHOLD}
        assert seen.decisions == {OUTPUT: score >= THRESHOLD}
        assert seen.duration is not None
        assert seen.duration >= 0
    else:
        assert not seen.scores
        assert not seen.decisions


CANDIDATES = [conduct for conduct in Conduct if conduct is not Conduct.IS_SLOW]
PRIMARIES = [Conduct.ANSWERS, Conduct.RAISES, Conduct.IS_SLOW]


@pytest.mark.parametrize("candidate", CANDIDATES)
@pytest.mark.parametrize("primary", PRIMARIES)
@pytest.mark.parametrize("active", Side)
async def test_one_pair_and_the_right_answer(
    active: Side, primary: Conduct, candidate: Conduct
) -> None:
    """Every combination; the eight with and without shadow, sync and async, run side by side."""
    cases = [
        Case(active, shadow, primary, candidate, primary_async, candidate_async)
        for shadow, primary_async, candidate_async in itertools.product((True, False), repeat=3)
    ]
    await asyncio.gather(*map(hold, cases))


cases = st.builds(
    Case,
    active=st.sampled_from(Side),
    shadow=st.booleans(),
    primary=st.sampled_from(PRIMARIES),
    candidate=st.sampled_from([each for each in CANDIDATES if not each.outlasts_its_limit]),
    caller_leaves=st.booleans(),
)


@given(st.lists(cases, min_size=1, max_size=12), st.integers(1, 4), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_requests_at_the_same_time_keep_their_own_pairs(
    cases: list[Case], concurrency: int, is_async: bool
) -> None:
    """On one pairing, in any mix; some reach the limit of shadows, some callers leave."""
    asyncio.run(hold_together(cases, concurrency, is_async))


async def hold_together(cases: list[Case], concurrency: int, is_async: bool) -> None:
    sink = InMemoryPairs()
    pairing = pairing_of(
        *(models_of(cases) if not is_async else async_models_of(cases)),
        assign=lambda request_id, attributes: FixedAssignment(
            cases[int(request_id)].active, shadow=cases[int(request_id)].shadow
        )(request_id, attributes),
        sink=sink,
        limits=Limits(None, NEVER, NEVER, concurrency),
    )
    calls = [
        asyncio.create_task(outcome_of(pairing, Request.of(str(index), index)))
        for index in range(len(cases))
    ]
    await asyncio.sleep(0)
    for call, case in zip(calls, cases, strict=True):
        if case.caller_leaves:
            call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert await pairing.drain(NEVER) == 0
    pairing.close()

    pairs = {int(pair.request_id): pair for pair in sink.pairs}
    assert len(sink.pairs) == len(cases)
    assert sorted(pairs) == list(range(len(cases)))
    for index, case in enumerate(cases):
        check_among_others(case, index, outcomes[index], pairs[index])


def models_of(cases: list[Case]) -> tuple[Any, Any]:
    return (
        lambda index: FakeModel(cases[index].primary, float(index))(index),
        lambda index: FakeModel(cases[index].candidate, index + 0.5)(index),
    )


def async_models_of(cases: list[Case]) -> tuple[Any, Any]:
    async def primary(index: int) -> Any:
        return await FakeAsyncModel(cases[index].primary, float(index))(index)

    async def candidate(index: int) -> Any:
        return await FakeAsyncModel(cases[index].candidate, index + 0.5)(index)

    return primary, candidate


def check_among_others(case: Case, index: int, outcome: Answer | BaseException, pair: Pair) -> None:
    if case.caller_leaves:
        assert pair.served is None
        assert pair.fallback is False
        return
    assert pair.served is case.answers
    assert pair.fallback is (case.active is Side.CANDIDATE and case.answers is Side.PRIMARY)
    if case.answers is None:
        assert isinstance(outcome, ModelError)
    else:
        assert isinstance(outcome, Answer)
        own = float(index) if case.answers is Side.PRIMARY else index + 0.5
        assert outcome.value == answer_of(own)
    expected = {Side.PRIMARY: case.primary_seen[0], Side.CANDIDATE: case.candidate_seen[0]}
    for side in Side:
        waited_for = side in (case.active, case.answers or Side.PRIMARY)
        shed = set() if waited_for or not case.shadow else {Status.SHED}
        assert pair.observation(side).status in {expected[side], *shed}


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
    answer_sent.happened()
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
    answer_sent.happened()
    assert await pairing.drain(NEVER) == 0
    assert pairs.pairs[0].observation(active.other).status is Status.SKIPPED
    pairing.close()


async def test_the_insurance_does_not_wait_for_an_answer() -> None:
    """It may be what the caller gets."""
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
    """A fallback that has spent its whole limit in line does not get a second one."""
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
    """One call may wait its limit out; the next ones must not queue behind a stuck thread."""
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


@pytest.mark.parametrize("active", Side)
async def test_neither_model_sees_what_the_other_does_to_its_input(active: Side) -> None:
    primary, candidate = MutatingModel(), MutatingModel()
    given = {"amount": 5, "items": ["a"]}
    pairing = pairing_of(primary, candidate, assign=FixedAssignment(active))
    await pairing.answer(Request.of("r1", given))
    await pairing.drain(NEVER)
    assert primary.seen == candidate.seen == [(5, ["a"])]
    pairing.close()


@pytest.mark.parametrize("active", Side)
async def test_what_is_recorded_of_the_input_is_what_came_in(active: Side) -> None:
    """Segments and features are read before a model can change the input."""
    reading = Reading.of(OUTPUT, THRESHOLD, segments=["country"], features=["amount"])
    pairs = InMemoryPairs()

    def change(row: dict[str, Any]) -> Any:
        row["country"], row["amount"] = "changed", -1
        return answer_of(0.7)

    pairing = pairing_of(
        change, change, assign=FixedAssignment(active), sink=pairs, reading=reading
    )
    await pairing.answer(Request.of("r1", {"country": "FR", "amount": 5}))
    await pairing.drain(NEVER)
    (pair,) = pairs.pairs
    assert (pair.segments, pair.features) == ({"country": "FR"}, {"amount": 5.0})
    pairing.close()


@pytest.mark.parametrize("value", [Unprintable(), 10**400])
async def test_a_value_that_cannot_be_recorded_costs_no_answer(value: Any) -> None:
    """Python's float() raises OverflowError for a large integer, which JSON allows."""
    reading = Reading.of(OUTPUT, segments=["x"], features={"y": "x"})
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(), FakeModel(), sink=pairs, reading=reading)
    request = Request("r1", Call(({},)), Call(({},)), inputs={"x": value})
    await asyncio.wait_for(pairing.answer(request), 20)
    await pairing.drain(NEVER)
    assert pairs.pairs[0].features == {}
    pairing.close()


@pytest.mark.parametrize("active", Side)
async def test_an_input_that_cannot_be_copied_fails_the_candidate_only(active: Side) -> None:
    pairs = InMemoryPairs()
    candidate = FakeModel()
    pairing = pairing_of(FakeModel(), candidate, assign=FixedAssignment(active), sink=pairs)
    answer = await pairing.answer(Request.of("r1", Uncopyable()))
    await pairing.drain(NEVER)
    (pair,) = pairs.pairs
    assert answer.served is Side.PRIMARY
    assert answer.fallback is (active is Side.CANDIDATE)
    assert (pair.primary.status, pair.candidate.status) == (Status.OK, Status.ERROR)
    assert pair.candidate.error == "TypeError"
    assert candidate.calls == []
    pairing.close()


async def test_keywords_of_a_model_may_be_named_as_ours() -> None:
    def model(*, request_id: float, cls: float) -> Any:
        return answer_of(request_id + cls)

    pairing = pairing_of(model, model)
    answer = await pairing.answer(Request.of("r1", request_id=0.25, cls=0.5))
    assert answer.value == answer_of(0.75)
    await pairing.drain(NEVER)
    pairing.close()


async def test_a_flag_source_that_raises_leaves_the_primary_answering(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(), FakeModel(), assign=RefusingAssignment(), sink=pairs)
    answer = await pairing.answer(Request.of("r1", 1))
    await pairing.drain(NEVER)
    assert answer.served is Side.PRIMARY
    assert pairs.pairs[0].assignment.reason == "error"
    assert pairs.pairs[0].assignment.error == "ConnectionError"
    assert "r1 could not be assigned" in caplog.text
    pairing.close()


async def test_a_sink_that_raises_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    pairing = pairing_of(FakeModel(), FakeModel(), sink=RefusingSink())
    assert (await pairing.answer(Request.of("r1", 1))).served is Side.PRIMARY
    assert await pairing.drain(NEVER) == 0
    assert "the pair of request r1 could not be recorded" in caplog.text
    pairing.close()


async def test_an_answer_of_the_primary_is_served_even_if_its_score_cannot_be_read() -> None:
    """What we can read of the primary's answer is our concern, not the caller's."""
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(Conduct.GIVES_WRONG_SHAPE, 0.25), FakeModel(), sink=pairs)
    assert (await pairing.answer(Request.of("r1", 1))).value == [[0.25, 0.75]]
    await pairing.drain(NEVER)
    assert pairs.pairs[0].primary.status is Status.OK
    assert pairs.pairs[0].primary.scores == {}
    assert pairs.pairs[0].primary.error == "AnswerUnreadableError"
    pairing.close()


@pytest.mark.parametrize("conduct", [Conduct.EXITS, Conduct.STOPS])
async def test_an_error_that_would_end_the_server_reaches_the_caller_as_an_ordinary_one(
    conduct: Conduct,
) -> None:
    pairing = pairing_of(FakeModel(conduct), FakeModel())
    with pytest.raises(RuntimeError, match="the model raised S"):
        await pairing.answer(Request.of("r1", 1))
    await pairing.drain(NEVER)
    pairing.close()


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


async def test_the_error_of_a_model_is_recorded_by_type_only() -> None:
    """Messages may quote the input."""
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(), FakeModel(Conduct.RAISES), sink=pairs)
    await pairing.answer(Request.of("r1", 1))
    await pairing.drain(NEVER)
    assert pairs.pairs[0].candidate.error == "ModelError"
    assert "4711" not in repr(pairs.pairs[0])
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


async def test_a_fault_of_our_own_is_an_error_for_the_caller_and_not_a_hang(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def assign(request_id: str, attributes: Mapping[str, str]) -> Any:
        return "no assignment"

    pairing = pairing_of(FakeModel(), FakeModel(), assign=assign)
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="was not answered"):
        await asyncio.wait_for(pairing.answer(Request.of("r1", 1)), 20)
    assert "a pair could not be made" in caplog.text


@pytest.mark.parametrize("active", Side)
async def test_a_threshold_from_the_flag_is_the_candidate_s_only(active: Side) -> None:
    def decide(answer: Any, thresholds: Mapping[str, float]) -> Any:
        return {**answer, "alarm": answer[OUTPUT] >= thresholds[OUTPUT]}

    def assign(request_id: str, attributes: Mapping[str, str]) -> Assignment:
        return Assignment(active, "flag", "static", payload='{"threshold": 0.9}')

    pairs = InMemoryPairs()
    pairing = Pairing(
        Scorer(Side.PRIMARY, FakeModel(score=0.7), READING),
        Scorer(Side.CANDIDATE, FakeModel(score=0.7), READING, decide=decide),
        assign=assign,
        reading=READING,
        sink=pairs,
        tuning=Tuning([OUTPUT], decide),
    )
    answer = await pairing.answer(Request.of("r1", 1))
    await pairing.drain(NEVER)
    (pair,) = pairs.pairs
    assert pair.primary.thresholds == {OUTPUT: THRESHOLD}
    assert pair.candidate.thresholds == {OUTPUT: 0.9}
    assert (pair.primary.decisions, pair.candidate.decisions) == ({OUTPUT: True}, {OUTPUT: False})
    tuned = {**answer_of(0.7), "alarm": False}
    assert answer.value == (tuned if active is Side.CANDIDATE else answer_of(0.7))
    pairing.close()


request_context: ContextVar[str] = ContextVar("request_context")


@pytest.mark.parametrize("is_async", [False, True])
async def test_both_models_run_in_the_context_of_the_request(is_async: bool) -> None:
    """Tracing and BentoML's own context travel in context variables."""
    seen: list[str] = []

    def note(_: Any) -> Any:
        seen.append(request_context.get("lost"))
        return answer_of(0.5)

    async def note_async(value: Any) -> Any:
        return note(value)

    request_context.set("of this request")
    model = note_async if is_async else note
    pairing = pairing_of(model, model)
    await pairing.answer(Request.of("r1", 1))
    await pairing.drain(NEVER)
    assert seen == ["of this request"] * 2
    pairing.close()


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
