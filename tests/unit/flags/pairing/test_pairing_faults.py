"""Inputs, flags, records and models that misbehave: no answer is lost, and nothing leaks."""

import asyncio
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import pytest

from flags.pairing.assignment import Assignment, Side
from flags.pairing.call import Call
from flags.pairing.observation import InMemoryPairs, Status
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.scorer import Scorer
from flags.pairing.tuning import Tuning
from tests.support.fakes import (
    OUTPUT,
    THRESHOLD,
    Conduct,
    FakeModel,
    FixedAssignment,
    MutatingModel,
    RefusingAssignment,
    RefusingSink,
    Uncopyable,
    Unprintable,
    answer_of,
)
from tests.support.paired_models import (
    NEVER,
    READING,
    pairing_of,
)


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
    """The caller gets the primary's answer even if the plugin cannot read its score."""
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


async def test_the_error_of_a_model_is_recorded_by_type_only() -> None:
    """Messages may quote the input."""
    pairs = InMemoryPairs()
    pairing = pairing_of(FakeModel(), FakeModel(Conduct.RAISES), sink=pairs)
    await pairing.answer(Request.of("r1", 1))
    await pairing.drain(NEVER)
    assert pairs.pairs[0].candidate.error == "ModelError"
    assert "4711" not in repr(pairs.pairs[0])
    pairing.close()


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
