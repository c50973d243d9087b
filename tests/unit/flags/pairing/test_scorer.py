"""A scorer never raises: whatever a model does becomes an observation."""

import asyncio
import functools
import threading
from typing import Any

import pytest

from flags.errors import (
    AnswerUnreadableError,
    NonFiniteScoreError,
    SideBusyError,
    SideStuckError,
)
from flags.pairing.assignment import Side
from flags.pairing.call import Call
from flags.pairing.call_queue import in_background
from flags.pairing.observation import Status
from flags.pairing.reading import Reading
from flags.pairing.scorer import Scored, Scorer
from flags.pairing.side_threads import SideThreads
from tests.support.fakes import (
    Conduct,
    FakeAsyncModel,
    FakeModel,
    ModelError,
    Release,
    answer_of,
    until,
)

READING = Reading.of("probability", 0.5)
KINDS = [FakeModel, FakeAsyncModel]


def scorer_of(model: Any, **options: Any) -> Scorer:
    return Scorer(Side.CANDIDATE, model, options.pop("reading", READING), tag="v2:1", **options)


async def score(model: Any, limit: float | None = None, **options: Any) -> Scored:
    scorer = scorer_of(model, **options)
    try:
        return await scorer.score(Call((1,)), limit)
    finally:
        scorer.close()


@pytest.mark.parametrize("limit", [None, 30.0])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_good_answer_is_read_and_labelled(
    kind: type[FakeModel], limit: float | None
) -> None:
    scored = await score(kind(score=0.5), limit)
    assert scored.ok
    assert scored.answer == answer_of(0.5)
    assert scored.error is None
    seen = scored.observation
    assert (seen.status, seen.model, seen.error) == (Status.OK, "v2:1", None)
    assert seen.scores == {"probability": 0.5}
    assert seen.thresholds == {"probability": 0.5}
    assert seen.decisions == {"probability": True}  # at the threshold counts as positive


@pytest.mark.parametrize("limit", [None, 30.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("conduct", "error"),
    [
        (Conduct.RAISES, ModelError),
        (Conduct.EXITS, SystemExit),
        (Conduct.GIVES_NAN, NonFiniteScoreError),
        (Conduct.GIVES_WRONG_SHAPE, AnswerUnreadableError),
    ],
)
async def test_a_bad_answer_is_an_error_by_type(
    conduct: Conduct, error: type[BaseException], kind: type[FakeModel], limit: float | None
) -> None:
    scored = await score(kind(conduct), limit)
    assert not scored.ok
    assert isinstance(scored.error, error)
    assert scored.observation.status is Status.ERROR
    assert scored.observation.error == error.__name__
    assert scored.observation.duration is not None
    assert scored.answer is None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_past_its_limit_is_a_timeout(kind: type[FakeModel], gate: Release) -> None:
    scored = await score(kind(Conduct.HANGS, gate=gate), 0.3)
    assert scored.observation.status is Status.TIMEOUT
    assert scored.observation.duration == 0.3
    assert isinstance(scored.error, TimeoutError)
    assert str(scored.error) == "the candidate took longer than 0.3 s"


async def test_an_async_call_past_its_limit_is_cancelled(gate: Release) -> None:
    model = FakeAsyncModel(Conduct.HANGS, gate=gate)
    await score(model, 0.3)
    await until(lambda: model.ended == 1)
    assert not gate.opened.is_set()


async def test_calls_are_shed_while_every_thread_hangs_and_taken_again_after(
    gate: Release,
) -> None:
    model = FakeModel(Conduct.HANGS, gate=gate)
    scorer = scorer_of(model)
    assert (await scorer.score(Call((1,)), 0.3)).observation.status is Status.TIMEOUT
    shed = await scorer.score(Call((2,)), 30.0)
    assert shed.observation.status is Status.SHED
    assert shed.observation.duration is None
    assert isinstance(shed.error, SideStuckError)
    gate.open()
    await until(lambda: model.ended == 1)
    model.conduct = Conduct.ANSWERS
    for _ in range(1000):
        scored = await scorer.score(Call((3,)), 30.0)
        if scored.ok:
            break
        await asyncio.sleep(0.01)
    assert scored.ok
    assert (2,) not in model.calls
    scorer.close()


async def test_a_shadow_behind_which_another_hangs_has_not_timed_out(gate: Release) -> None:
    """Its result has not been reported yet: it waits for the next call's result."""

    def model(number: int) -> Any:
        if number == 2:
            gate.wait()
        return answer_of(0.7)

    scorer = scorer_of(model)
    in_background.set(True)
    calls = (scorer.score(Call((number,)), 0.2) for number in (1, 2))
    ended, hung = await asyncio.gather(*calls)
    gate.open()
    assert (ended.observation.status, hung.observation.status) == (Status.OK, Status.TIMEOUT)
    scorer.close()


async def test_a_call_that_waits_in_line_for_its_whole_limit_is_shed(gate: Release) -> None:
    """This shows that the side is busy, not that its answer would be late."""
    model = FakeModel(Conduct.HANGS, gate=gate)
    scorer = scorer_of(model)
    busy_with = asyncio.create_task(scorer.score(Call((1,)), None))
    await gate.is_reached()
    shed = await scorer.score(Call((2,)), 0.3)
    assert shed.observation.status is Status.SHED
    assert shed.observation.error == "SideBusyError"
    assert shed.observation.duration is None
    assert isinstance(shed.error, SideBusyError)
    assert isinstance(shed.error, TimeoutError)  # what a caller of the primary is told
    assert str(shed.error) == "the candidate was busy with other calls for 0.3 s"
    gate.open()
    assert (await busy_with).ok
    assert (await scorer.score(Call((3,)), 30.0)).ok
    assert model.calls == [(1,), (3,)]
    scorer.close()


async def test_a_second_thread_keeps_answering_while_one_hangs(gate: Release) -> None:
    hanging = FakeModel(Conduct.HANGS, gate=gate)

    def model(hangs: bool) -> Any:
        return hanging() if hangs else answer_of(0.7)

    scorer = scorer_of(model, threads=SideThreads("two", 2))
    assert (await scorer.score(Call((True,)), 0.3)).observation.status is Status.TIMEOUT
    assert (await scorer.score(Call((False,)), 30.0)).ok
    scorer.close()


async def test_without_a_limit_a_call_waits_for_a_hanging_thread(gate: Release) -> None:
    """A primary without a limit behaves as without this plugin: its calls queue."""
    model = FakeModel(Conduct.HANGS, gate=gate)
    scorer = scorer_of(model)
    assert (await scorer.score(Call((1,)), 0.3)).observation.status is Status.TIMEOUT
    waiting = asyncio.create_task(scorer.score(Call((2,)), None))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    gate.open()
    assert (await waiting).ok
    scorer.close()


async def test_a_call_that_could_not_be_made_is_the_side_s_error() -> None:
    model = FakeModel()
    scorer = scorer_of(model)
    error = TypeError("cannot be copied")
    scored = await scorer.score(error, None)
    assert scored.error is error
    assert (scored.observation.status, scored.observation.error) == (Status.ERROR, "TypeError")
    assert scored.observation.duration is None
    assert model.calls == []


@pytest.mark.parametrize("status", [Status.SHED, Status.SKIPPED])
def test_a_call_that_was_not_made_is_observed_with_its_model(status: Status) -> None:
    scored = scorer_of(FakeModel()).not_scored(status)
    assert not scored.ok
    assert (scored.observation.status, scored.observation.model) == (status, "v2:1")


async def test_an_answer_that_could_not_be_served_is_an_error() -> None:
    async def refuse(answer: Any) -> None:
        raise ValueError(answer)

    scored = await score(FakeModel(), accept=refuse)
    assert (scored.observation.status, scored.observation.error) == (Status.ERROR, "ValueError")
    assert scored.observation.duration is not None


async def test_an_answer_that_could_be_served_is_good() -> None:
    accepted: list[Any] = []

    async def accept(answer: Any) -> None:
        accepted.append(answer)

    assert (await score(FakeModel(), accept=accept)).ok
    assert accepted == [answer_of(0.7)]


async def test_where_reading_does_not_matter_an_unreadable_answer_is_served() -> None:
    scored = await score(FakeModel(Conduct.GIVES_NAN), unreadable_is_error=False)
    assert scored.ok
    assert scored.observation.error == "NonFiniteScoreError"
    assert scored.observation.scores == {}


async def test_an_unreadable_threshold_is_an_error_as_well() -> None:
    reading = Reading.of("probability", "threshold")
    scored = await score(FakeModel(), reading=reading)
    assert scored.observation.error == "AnswerUnreadableError"


def raise_the_threshold(answer: Any, thresholds: Any) -> Any:
    return {**answer, "alarm": answer["probability"] >= thresholds["probability"]}


async def test_thresholds_that_come_with_a_call_decide_and_are_recorded() -> None:
    scorer = scorer_of(FakeModel(score=0.7), decide=raise_the_threshold)
    own = await scorer.score(Call((1,)), None)
    tuned = await scorer.score(Call((1,)), None, {"probability": 0.9})
    assert own.answer == answer_of(0.7)
    assert own.observation.thresholds == {"probability": 0.5}
    assert own.observation.decisions == {"probability": True}
    assert tuned.answer == {"probability": 0.7, "alarm": False}
    assert tuned.observation.thresholds == {"probability": 0.9}
    assert tuned.observation.decisions == {"probability": False}
    scorer.close()


async def test_an_answer_that_cannot_be_decided_anew_is_an_error() -> None:
    scorer = scorer_of(FakeModel(Conduct.GIVES_WRONG_SHAPE), decide=raise_the_threshold)
    scored = await scorer.score(Call((1,)), None, {"probability": 0.9})
    assert (scored.observation.status, scored.observation.error) == (Status.ERROR, "TypeError")
    scorer.close()


async def test_synchronous_models_run_off_the_event_loop_and_asynchronous_ones_on_it() -> None:
    def name() -> Any:
        return {"probability": 0.5, "thread": threading.current_thread()}

    async def name_async() -> Any:
        return name()

    scorer, scorer_async = scorer_of(name), scorer_of(name_async)
    in_thread = (await scorer.score(Call(), None)).answer["thread"]
    on_loop = (await scorer_async.score(Call(), None)).answer["thread"]
    assert in_thread is not threading.current_thread()
    assert in_thread.name == "candidate-model-1"
    assert in_thread.daemon  # a hanging call must not keep the worker from stopping
    assert on_loop is threading.current_thread()
    scorer.close()


class Predictor:
    """A model as a class, the way BentoML's services have it."""

    async def predict(self, score: float) -> Any:
        return answer_of(score)

    async def __call__(self, score: float) -> Any:
        return answer_of(score)


@pytest.mark.parametrize(
    "model",
    [Predictor(), Predictor().predict, functools.partial(Predictor().predict, score=0.9)],
    ids=["object", "method", "partial"],
)
async def test_every_kind_of_asynchronous_callable_is_awaited(model: Any) -> None:
    args = () if isinstance(model, functools.partial) else (0.9,)
    scored = await scorer_of(model).score(Call(args), 30.0)
    assert scored.answer == answer_of(0.9)


async def test_a_model_that_is_cancelled_from_within_is_an_error() -> None:
    async def model() -> Any:
        raise asyncio.CancelledError

    for limit in (None, 30.0):
        scored = await scorer_of(model).score(Call(), limit)
        assert scored.observation.error == "CancelledError"


async def test_arguments_and_keywords_reach_the_model() -> None:
    def model(*args: Any, **kwargs: Any) -> Any:
        return {"probability": 0.5, "given": (args, kwargs)}

    scorer = scorer_of(model)
    scored = await scorer.score(Call((1, 2), {"three": 3}), None)
    assert scored.answer["given"] == ((1, 2), {"three": 3})
    scorer.close()
