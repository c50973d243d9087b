"""The promises of the core: one pair per request, an answer whatever the candidate does."""

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flags.pairing.assignment import Side
from flags.pairing.delivery import Answer
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Observation, Pair, Status
from flags.pairing.pairing import Pairing
from flags.pairing.request import Request
from tests.support.fakes import (
    OUTPUT,
    THRESHOLD,
    Conduct,
    FakeAsyncModel,
    FakeModel,
    FixedAssignment,
    ModelError,
    Release,
    answer_of,
    until,
)
from tests.support.paired_models import (
    CANDIDATE_SCORE,
    NEVER,
    PRIMARY_SCORE,
    SOON,
    pairing_of,
)


@dataclass(frozen=True)
class Case:
    """One combination of an assignment and the behaviour of both models."""

    active: Side
    shadow: bool
    primary: Conduct
    candidate: Conduct
    primary_async: bool = False
    candidate_async: bool = False
    caller_leaves: bool = False
    gate: Release = field(default_factory=Release)
    """The gate at which a candidate waits that outlasts its limit."""

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
    """Answer one request and check all promises about it."""
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
