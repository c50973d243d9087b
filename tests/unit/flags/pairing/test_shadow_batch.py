"""Shadows in one call: the record of each, also if the call fails."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.pairing.assignment import Assignment, Side
from flags.pairing.batch_size import BatchSize
from flags.pairing.call import Call
from flags.pairing.draw import hash_fraction, is_drawn
from flags.pairing.limits import Limits
from flags.pairing.observation import InMemoryPairs, Pair, Status
from flags.pairing.pairing import Pairing
from flags.pairing.reading import Reading
from flags.pairing.request import Request
from flags.pairing.scorer import Scorer
from flags.pairing.shadow_batch import ShadowBatch
from flags.pairing.shadow_schedule import ShadowSchedule
from flags.pairing.side_threads import SideThreads
from tests.support.fakes import (
    OUTPUT,
    THRESHOLD,
    FakeClock,
    FixedAssignment,
    ModelError,
    Release,
    answer_of,
)

READING = Reading.of(OUTPUT, THRESHOLD)
NEVER = 30.0
SOON = 0.3


class Rows:
    """Inputs are elements of a list."""

    def row(self, call: Call) -> Any:
        return call.args[0]

    def joined(self, rows: Sequence[Any]) -> Any:
        return list(rows)

    def split(self, answer: Any, rows: Sequence[Any]) -> Sequence[Any]:
        if len(answer) != len(rows):
            raise ValueError("not as many")
        return answer


def score(row: dict[str, Any]) -> dict[str, float]:
    """Return the score of an input; raises for an input without an amount."""
    return answer_of(row["amount"])


def score_many(rows: list[dict[str, Any]]) -> list[Any]:
    return [score(row) for row in rows]


@dataclass
class Service:
    """A pairing whose shadows gather and are scored by `many`."""

    many: Callable[[list[Any]], Any] = score_many
    one: Callable[[Any], Any] = score
    single: float = 0.0
    limits: Limits = field(
        default_factory=lambda: Limits(candidate_timeout=NEVER, shadow_timeout=NEVER)
    )
    assign: Any = field(default_factory=lambda: FixedAssignment(Side.PRIMARY))

    def __post_init__(self) -> None:
        self.sizes: list[int] = []
        self.singles = 0
        self.pairs = InMemoryPairs()
        self.schedule = ShadowSchedule(NEVER, max_gathered=1_000)
        threads = SideThreads("candidate")
        candidate = Scorer(Side.CANDIDATE, self._one, READING, tag="v2:1", threads=threads)
        many = Scorer(Side.CANDIDATE, self._many, READING, threads=threads)
        self.pairing = Pairing(
            Scorer(Side.PRIMARY, lambda _: answer_of(0.25), READING, tag="v1:1"),
            candidate,
            assign=self.assign,
            reading=READING,
            sink=self.pairs,
            limits=self.limits,
            batch=ShadowBatch(candidate, many, Rows(), max_size=32, single_share=self.single),
        )

    def _one(self, row: Any) -> Any:
        self.singles += 1
        return self.one(row)

    def _many(self, rows: list[Any]) -> Any:
        self.sizes.append(len(rows))
        return self.many(rows)

    async def answer(self, *rows: Any) -> None:
        """Answer requests for `rows`, whose shadows are gathered."""
        for number, row in enumerate(rows):
            sent = self.schedule.answer_started()
            request = Request(f"r-{number}", Call((row,)), Call((row,)), answer_sent=sent)
            await self.pairing.answer(request)
            sent.set()

    async def score(self) -> list[Pair]:
        """Let the shadows begin; return all pairs in order of their requests."""
        self.schedule.end()
        assert await self.pairing.drain(NEVER) == 0
        self.pairing.close()
        return sorted(self.pairs.pairs, key=lambda pair: int(pair.request_id[2:]))


def scored(service: Service, *rows: Any) -> list[Pair]:
    async def run() -> list[Pair]:
        await service.answer(*rows)
        return await service.score()

    return asyncio.run(run())


def amounts(*values: float) -> list[dict[str, Any]]:
    return [{"amount": value} for value in values]


def test_gathered_shadows_are_scored_in_one_call_and_each_gets_its_answer() -> None:
    service = Service()

    pairs = scored(service, *amounts(0.1, 0.9, 0.3))

    assert (service.sizes, service.singles) == ([3], 0)
    assert [pair.candidate.scores[OUTPUT] for pair in pairs] == [0.1, 0.9, 0.3]
    assert [pair.candidate.decisions[OUTPUT] for pair in pairs] == [False, True, False]
    assert {pair.candidate.batched.size for pair in pairs if pair.candidate.batched} == {3}
    assert {pair.candidate.model for pair in pairs} == {"v2:1"}


def test_a_batch_says_nothing_of_how_long_a_request_takes() -> None:
    pairs = scored(Service(), *amounts(0.1, 0.2))

    assert [pair.candidate.duration for pair in pairs] == [None, None]
    assert all(pair.primary.duration is not None for pair in pairs)


def test_drawn_shadows_are_scored_both_ways_and_timed_by_themselves() -> None:
    service = Service(single=0.3)

    pairs = scored(service, *amounts(*[0.5] * 40))

    drawn = {f"r-{number}" for number in range(40) if is_drawn("single", f"r-{number}", 0.3)}
    assert {pair.request_id for pair in pairs if pair.candidate.duration is not None} == drawn
    assert (sum(service.sizes), service.singles) == (40, len(drawn))
    agreements = {
        pair.request_id: pair.candidate.batched.agrees for pair in pairs if pair.candidate.batched
    }
    assert agreements == {
        pair.request_id: True if pair.request_id in drawn else None for pair in pairs
    }


@pytest.mark.parametrize(
    "wrong",
    [
        lambda rows: score_many(rows)[::-1],
        lambda rows: [answer_of(each[OUTPUT] * 1.01) for each in score_many(rows)],
        lambda rows: [ModelError() for _ in rows],
    ],
    ids=["in another order", "other scores", "only errors"],
)
def test_a_batch_that_comes_to_something_else_is_seen(wrong: Callable[[list[Any]], Any]) -> None:
    pairs = scored(Service(many=wrong, single=0.99), *amounts(0.1, 0.2, 0.3, 0.4))

    assert {pair.candidate.batched.agrees for pair in pairs if pair.candidate.batched} == {False}


def test_the_last_digits_of_a_score_are_not_a_disagreement() -> None:
    def nearly(rows: list[Any]) -> list[Any]:
        return [answer_of(each[OUTPUT] * (1 + 1e-5)) for each in score_many(rows)]

    pairs = scored(Service(many=nearly, single=0.99), *amounts(0.1, 0.2))

    assert {pair.candidate.batched.agrees for pair in pairs if pair.candidate.batched} == {True}


def test_a_call_that_changes_its_inputs_does_not_change_those_of_the_single_one() -> None:
    def spoil(rows: list[Any]) -> list[Any]:
        answers = score_many(rows)
        for row in rows:
            row["amount"] = -1.0
        return answers

    pairs = scored(Service(many=spoil, single=0.99), *amounts(0.1, 0.2, 0.3))

    assert [pair.candidate.scores[OUTPUT] for pair in pairs] == [0.1, 0.2, 0.3]


def test_a_batch_that_fails_is_scored_singly_and_names_the_one_at_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service()

    with caplog.at_level(logging.WARNING):
        pairs = scored(service, {"amount": 0.1}, {}, {"amount": 0.3})

    statuses = [pair.candidate.status for pair in pairs]
    assert statuses == [Status.OK, Status.ERROR, Status.OK]
    assert {pair.candidate.batched.error for pair in pairs if pair.candidate.batched} == {
        "KeyError"
    }
    assert [pair.candidate.duration for pair in pairs] == [None] * 3  # none of them was drawn
    assert "request r-1 fails by itself too (KeyError), and failed a batch of 3" in caplog.text
    assert "r-0" not in caplog.text
    assert (service.sizes, service.singles) == ([3], 3)


@pytest.mark.parametrize("answers", [[], [answer_of(0.1)], 7, None])
def test_an_answer_that_is_not_one_for_each_is_a_batch_that_failed(answers: Any) -> None:
    pairs = scored(Service(many=lambda _: answers), *amounts(0.1, 0.2))

    assert [pair.candidate.scores[OUTPUT] for pair in pairs] == [0.1, 0.2]
    assert all(pair.candidate.batched and pair.candidate.batched.error for pair in pairs)


def test_an_error_in_the_place_of_an_answer_is_that_of_its_row() -> None:
    service = Service(many=lambda rows: [ModelError("4711"), *score_many(rows[1:])])

    pairs = scored(service, *amounts(0.1, 0.2, 0.3))

    assert [pair.candidate.status for pair in pairs] == [Status.ERROR, Status.OK, Status.OK]
    assert pairs[0].candidate.error == "ModelError"
    assert service.singles == 0


def test_an_unreadable_answer_is_the_error_of_its_row() -> None:
    pairs = scored(
        Service(many=lambda rows: [answer_of(float("nan")), *score_many(rows[1:])]),
        *amounts(0.1, 0.2),
    )

    assert [pair.candidate.status for pair in pairs] == [Status.ERROR, Status.OK]


def test_a_shadow_that_is_alone_is_scored_by_itself() -> None:
    service = Service()

    [pair] = scored(service, {"amount": 0.1})

    assert (service.sizes, service.singles) == ([], 1)
    assert pair.candidate.batched is not None
    assert pair.candidate.batched.size == 1
    assert pair.candidate.duration is None  # of those alone, too, only the drawn are timed


def test_a_batch_that_hangs_keeps_no_answer_and_no_pair() -> None:
    gate = Release()
    service = Service(
        many=lambda _: gate.wait(),
        limits=Limits(candidate_timeout=SOON, shadow_timeout=SOON),
    )

    pairs = scored(service, *amounts(0.1, 0.2))
    gate.open()

    assert len(pairs) == 2
    assert {pair.served for pair in pairs} == {Side.PRIMARY}
    # The one thread of the side hangs, and so what follows is not begun.
    assert {pair.candidate.status for pair in pairs} == {Status.SHED}


def test_a_flag_that_flips_changes_nothing_of_what_has_gathered() -> None:
    class Flipping:
        active = Side.PRIMARY

        def __call__(self, request_id: str, attributes: Any) -> Assignment:
            return Assignment(self.active, "flag", "static")

    async def run() -> list[Pair]:
        assign = Flipping()
        service = Service(assign=assign)
        await service.answer(*amounts(0.1, 0.2))
        assign.active = Side.CANDIDATE
        return await service.score()

    pairs = asyncio.run(run())

    assert {pair.assignment.active for pair in pairs} == {Side.PRIMARY}
    assert {pair.candidate.batched.size for pair in pairs if pair.candidate.batched} == {2}


def test_more_shadows_may_wait_where_one_call_scores_many() -> None:
    limits = Limits(candidate_timeout=NEVER, shadow_timeout=NEVER, shadow_concurrency=2)
    service = Service(limits=replace(limits, batched_concurrency=6))
    pairs = scored(service, *amounts(*range(9)))
    statuses = [pair.candidate.status for pair in pairs]
    assert statuses == [Status.OK] * 6 + [Status.SHED] * 3


def test_an_active_candidate_is_scored_by_itself() -> None:
    service = Service(assign=FixedAssignment(Side.CANDIDATE))

    pairs = scored(service, *amounts(0.1, 0.2))

    assert (service.sizes, service.singles) == ([], 2)
    assert {pair.candidate.batched for pair in pairs} == {None}
    assert all(pair.candidate.duration is not None for pair in pairs)


@given(
    rows=st.lists(st.sampled_from([{"amount": 0.1}, {"amount": float("nan")}, {}]), max_size=12),
    single=st.sampled_from([0.0, 0.5, 0.99]),
)
def test_every_request_has_its_pair(rows: list[dict[str, Any]], single: float) -> None:
    pairs = scored(Service(single=single), *rows)

    assert [pair.request_id for pair in pairs] == [f"r-{number}" for number in range(len(rows))]
    for pair, row in zip(pairs, rows, strict=True):
        good = row == {"amount": 0.1}
        assert (pair.candidate.status is Status.OK) == good


def take(size: BatchSize, inputs: int, seconds: float) -> None:
    """Record enough calls of this duration to change the size."""
    for _ in range(3):
        size.record_call(inputs, seconds)


def test_calls_become_as_large_as_they_stay_short() -> None:
    size = BatchSize(32)
    assert size.current == 8
    for expected in (16, 32, 32):
        size.record_call(size.current, 0.002)
        assert size.current == expected
    take(size, 32, 0.02)
    assert size.current == 16


def test_a_call_may_take_as_long_as_two_single_ones() -> None:
    """Most of the time of a slow model's call is the same for one input and for many."""
    size = BatchSize(32)
    size.record_single_call(0.05)

    for inputs in (8, 16):
        size.record_call(inputs, 0.05 + inputs * 0.0003)
    assert size.current == 32
    size.record_call(32, 0.09)
    assert size.current == 32
    take(size, 32, 0.11)
    assert size.current == 16


def test_what_was_too_large_before_a_single_one_was_known_is_tried_at_once() -> None:
    """The first burst of a slow model, without any shadow that is scored singly."""
    size = BatchSize(32)
    while size.current > 1:
        take(size, size.current, 0.05)

    size.record_single_call(0.05)

    assert size.current == 8
    size.record_call(8, 0.052)
    size.record_call(16, 0.055)
    assert size.current == 32


def test_a_call_that_was_held_up_does_not_make_the_next_ones_small() -> None:
    """A single slow call may come from waiting for the processor or for Python's lock."""
    size = BatchSize(8)
    for number in range(50):
        size.record_call(8, 0.036 if number % 3 == 0 else 0.002)
    assert size.current == 8
    for _ in range(3):
        size.record_call(8, 0.036)
    assert size.current == 4


def test_a_size_that_was_too_large_is_left_alone_for_a_while() -> None:
    clock = FakeClock()
    size = BatchSize(32, clock)
    size.record_call(8, 0.006)
    take(size, 16, 0.014)
    assert size.current == 8

    size.record_call(8, 0.006)
    assert size.current == 15
    take(size, 15, 0.011)
    size.record_call(7, 0.006)
    assert size.current == 14

    clock.advance(31)
    size.record_call(14, 0.002)
    assert size.current == 28


def test_few_shadows_in_a_call_say_nothing_of_many() -> None:
    size = BatchSize(32)

    size.record_call(2, 0.001)

    assert size.current == 8


def test_a_method_that_always_fails_is_left_alone_and_tried_again() -> None:
    clock = FakeClock()
    size = BatchSize(32, clock)
    while size.current > 1:
        size.record_failure(size.current)
    clock.advance(29)
    assert size.current == 1
    clock.advance(2)
    assert size.current == 2


def test_a_draw_is_a_share_of_the_names_and_anew_for_each_purpose() -> None:
    names = [f"name-{number}" for number in range(20_000)]

    first = {name for name in names if is_drawn("single", name, 0.05)}
    second = {name for name in names if is_drawn("budget", name, 0.05)}

    assert 900 < len(first) < 1_100  # five standard deviations are 154
    assert 20 < len(first & second) < 90
    assert all(hash_fraction("single", name) < 0.05 for name in first)
    assert not any(is_drawn("single", name, 0.0) for name in names)
    assert all(is_drawn("single", name, 1.0) for name in names)
