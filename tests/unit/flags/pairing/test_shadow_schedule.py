"""Shadows begin together, between two answers, and never wait for long."""

import asyncio
from dataclasses import replace

import pytest

from flags.pairing.assignment import Side
from flags.pairing.observation import InMemoryPairs, Status
from flags.pairing.request import Request
from flags.pairing.shadow_schedule import AnswerSent, ShadowSchedule
from tests.support.fakes import FakeModel, FixedAssignment, until
from tests.support.paired_models import pairing_of

NEVER = 30.0
"""Seconds that no test lasts."""
SOON = 0.05
MANY = 100


async def gather(answer_sent: AnswerSent) -> "asyncio.Task[None]":
    """Return a task that waits for the schedule after `answer_sent`."""
    task = asyncio.create_task(answer_sent.wait())
    await asyncio.sleep(0)
    return task


async def is_held(*tasks: "asyncio.Task[None]") -> bool:
    """Say whether none of these tasks has begun after SOON seconds."""
    done, _ = await asyncio.wait(tasks, timeout=SOON)
    return not done


async def test_what_has_gathered_begins_together_after_the_interval() -> None:
    schedule = ShadowSchedule(4 * SOON, MANY)
    order: list[int] = []
    tasks = []
    for number in range(3):
        answer_sent = schedule.answer_started()
        answer_sent.set()
        task = await gather(answer_sent)
        task.add_done_callback(lambda _, n=number: order.append(n))  # type: ignore[misc]
        tasks.append(task)
    assert await is_held(*tasks)
    await asyncio.wait_for(tasks[0], NEVER)
    await asyncio.sleep(0)
    assert order == [0, 1, 2]


async def test_the_next_ones_gather_anew() -> None:
    schedule = ShadowSchedule(SOON, MANY)
    for _ in range(2):
        answer_sent = schedule.answer_started()
        answer_sent.set()
        task = await gather(answer_sent)
        assert not task.done()
        await asyncio.wait_for(task, NEVER)


async def test_many_at_a_time_do_not_wait_for_the_interval() -> None:
    schedule = ShadowSchedule(NEVER, 3)
    answers_sent = [schedule.answer_started() for _ in range(4)]
    tasks = [await gather(each) for each in answers_sent[:2]]
    assert await is_held(*tasks)
    tasks.append(await gather(answers_sent[2]))
    await asyncio.wait_for(asyncio.gather(*tasks), NEVER)
    assert await is_held(await gather(answers_sent[3]))
    schedule.end()


async def test_it_waits_for_the_answers_that_are_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flags.pairing.shadow_schedule.MAX_WAIT", NEVER)
    schedule = ShadowSchedule(0.001, MANY)
    first, second = schedule.answer_started(), schedule.answer_started()
    first.set()
    task = await gather(first)
    assert await is_held(task)
    second.set()
    await asyncio.wait_for(task, NEVER)


async def test_answers_without_a_pause_hold_it_up_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flags.pairing.shadow_schedule.MAX_WAIT", SOON)
    schedule = ShadowSchedule(0.001, MANY)
    schedule.answer_started()
    await asyncio.wait_for(await gather(schedule.answer_started()), NEVER)


async def test_an_answer_that_leaves_before_the_interval_is_over_begins_nothing() -> None:
    schedule = ShadowSchedule(NEVER, MANY)
    answer_sent = schedule.answer_started()
    task = await gather(answer_sent)
    answer_sent.set()
    assert await is_held(task)
    schedule.end()


async def test_after_the_end_nothing_is_held() -> None:
    schedule = ShadowSchedule(NEVER, MANY)
    task = await gather(schedule.answer_started())
    assert await is_held(task)
    schedule.end()
    await asyncio.wait_for(task, NEVER)
    await asyncio.wait_for(schedule.answer_started().wait(), NEVER)


async def test_one_that_is_cancelled_takes_no_other_along() -> None:
    schedule = ShadowSchedule(SOON, MANY)
    first, second = await gather(schedule.answer_started()), await gather(schedule.answer_started())
    first.cancel()
    await asyncio.wait_for(second, NEVER)
    assert first.cancelled()


@pytest.mark.parametrize("active", Side)
async def test_pairs_that_have_gathered_are_all_recorded(active: Side) -> None:
    pairs, candidate = InMemoryPairs(), FakeModel()
    pairing = pairing_of(FakeModel(), candidate, assign=FixedAssignment(active), sink=pairs)
    schedule = ShadowSchedule(NEVER, MANY)
    for number in range(5):
        answer_sent = schedule.answer_started()
        request = replace(Request.of(f"r{number}", 1), answer_sent=answer_sent)
        assert (await pairing.answer(request)).served is active
        answer_sent.set()
    assert await pairing.drain(SOON) == 5
    assert pairs.pairs == []
    assert len(candidate.calls) == (5 if active is Side.CANDIDATE else 0)
    schedule.end()
    await until(lambda: len(pairs.pairs) == 5)
    assert [pair.request_id for pair in pairs.pairs] == [f"r{number}" for number in range(5)]
    assert {pair.observation(active.other).status for pair in pairs.pairs} == {Status.OK}
    assert await pairing.drain(NEVER) == 0
    pairing.close()


async def test_a_thread_waits_for_the_answers_that_are_being_made() -> None:
    schedule = ShadowSchedule(NEVER, MANY)
    schedule.wait_until_idle(NEVER)
    first, second = schedule.answer_started(), schedule.answer_started()
    waiting = asyncio.create_task(asyncio.to_thread(schedule.wait_until_idle, NEVER))
    first.set()
    assert await is_held(waiting)
    second.set()
    await asyncio.wait_for(waiting, NEVER)


async def test_a_thread_does_not_wait_for_long() -> None:
    schedule = ShadowSchedule(NEVER, MANY)
    schedule.answer_started()
    await asyncio.wait_for(asyncio.to_thread(schedule.wait_until_idle, 0.01), NEVER)
