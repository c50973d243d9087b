"""Threads that hang must be counted exactly: one miscount and a side is shed for ever."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from flags.pairing.call_queue import in_background
from flags.pairing.side_threads import SideThreads, ThreadCall
from tests.support.fakes import Release, eventually, until

T = TypeVar("T")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return a name for the threads of one test."""
    return f"{request.node.name}-thread"


@pytest.fixture
def threads(name: str) -> Iterator[SideThreads]:
    """Return one thread, closed at the end."""
    made = SideThreads(name)
    yield made
    made.close()


def alive(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


async def test_a_call_runs_in_a_thread_and_its_value_arrives_on_the_loop(
    threads: SideThreads, name: str
) -> None:
    submitted = threads.submit(lambda: threading.current_thread().name)
    assert await submitted.future == f"{name}-1"


async def test_a_call_sees_the_context_in_which_it_was_submitted(threads: SideThreads) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("then")
    submitted = threads.submit(variable.get)
    variable.set("now")
    assert await submitted.future == "then"


async def test_no_thread_is_started_before_the_first_call(name: str) -> None:
    SideThreads(name, 8)
    assert alive(name) == 0


async def test_no_more_threads_than_allowed_are_started_however_many_calls_wait(
    name: str, gate: Release
) -> None:
    threads = SideThreads(name, 3)
    submitted = [threads.submit(gate.wait) for _ in range(10)]
    assert alive(name) == 3
    gate.open()
    await asyncio.gather(*(each.future for each in submitted))
    threads.close()


async def test_a_call_never_waits_behind_another_while_a_thread_may_still_be_started(
    name: str,
) -> None:
    """Submitted one right after the other, while the first thread is only starting up."""
    for _ in range(100):
        threads, gate = SideThreads(name, 2), Release()
        threads.submit(lambda: None)
        hanging = threads.submit(gate.wait)
        behind = threads.submit(lambda: "done")
        assert await asyncio.wait_for(behind.future, 20) == "done"
        gate.open()
        await hanging.future
        threads.close()


async def test_a_thread_is_stuck_from_the_abandoning_of_its_call_to_the_call_s_end(
    threads: SideThreads, gate: Release
) -> None:
    hanging = threads.submit(gate.wait)
    await gate.is_reached()
    assert not threads.all_stuck
    threads.abandon(hanging)
    assert threads.all_stuck
    gate.open()
    await until(lambda: not threads.all_stuck)
    assert await threads.submit(lambda: "again").future == "again"


async def test_only_all_threads_together_are_all_stuck(name: str, gate: Release) -> None:
    threads = SideThreads(name, 2)
    for stuck in (False, True):
        hanging = threads.submit(gate.wait)
        await until(lambda call=hanging: call.state.name == "RUNNING")  # type: ignore[misc]
        threads.abandon(hanging)
        assert threads.all_stuck is stuck
    gate.open()
    await until(lambda: not threads.all_stuck)
    threads.close()


async def test_a_call_that_ends_as_its_limit_does_leaves_no_thread_stuck(
    threads: SideThreads,
) -> None:
    """The call has ended in its thread, but the event loop sees its limit pass first."""
    ended = threads.submit(lambda: None)
    assert eventually(lambda: ended.state.name == "ENDED")  # blocks the loop: nothing is delivered
    assert not ended.future.done()
    threads.abandon(ended)
    assert not threads.all_stuck


async def test_no_order_of_ending_and_abandoning_leaves_a_thread_stuck(
    threads: SideThreads,
) -> None:
    for pause in [number * 1e-6 for number in range(300)]:
        submitted = threads.submit(lambda seconds=pause: threading.Event().wait(seconds))  # type: ignore[misc]
        await asyncio.wait({submitted.future}, timeout=pause)
        threads.abandon(submitted)
    await until(lambda: not threads.all_stuck)


async def test_an_abandoned_call_that_was_not_begun_is_never_begun(
    threads: SideThreads, gate: Release
) -> None:
    begun: list[str] = []
    threads.submit(gate.wait)
    waiting = threads.submit(lambda: begun.append("abandoned"))
    later = threads.submit(lambda: begun.append("later"))
    threads.abandon(waiting)
    assert not threads.all_stuck  # it holds no thread
    gate.open()
    await later.future
    assert begun == ["later"]
    assert waiting.future.cancelled()


async def test_calls_that_nobody_waits_for_let_the_others_pass(
    threads: SideThreads, gate: Release
) -> None:
    begun: list[str] = []
    first = threads.submit(gate.wait)
    shadows = [as_shadow(threads, lambda n=n: begun.append(f"shadow {n}")) for n in range(3)]  # type: ignore[misc]
    awaited = [threads.submit(lambda n=n: begun.append(f"awaited {n}")) for n in range(2)]  # type: ignore[misc]
    gate.open()
    await asyncio.gather(*(each.future for each in (first, *shadows, *awaited)))
    assert begun == ["awaited 0", "awaited 1", "shadow 0", "shadow 1", "shadow 2"]


async def test_what_nobody_waits_for_is_reported_together(
    threads: SideThreads, gate: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flags.pairing.side_threads._REPORT_INTERVAL", 20.0)
    shadows = [as_shadow(threads, call) for call in (lambda: 1, lambda: 2, gate.wait)]
    await gate.is_reached()
    assert all(each.has_ended for each in shadows[:2])
    await asyncio.sleep(0.01)
    assert not any(each.future.done() for each in shadows)
    gate.open()
    assert (await asyncio.gather(*(each.future for each in shadows)))[:2] == [1, 2]


async def test_a_slow_call_does_not_hold_up_the_report_of_those_behind_it(
    threads: SideThreads, gate: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flags.pairing.side_threads._REPORT_INTERVAL", 0.0)
    first = as_shadow(threads, lambda: 1)
    second = as_shadow(threads, lambda: 2)
    hanging = as_shadow(threads, gate.wait)
    assert await asyncio.wait_for(second.future, 20) == 2
    assert first.future.done()
    gate.open()
    await hanging.future


async def test_a_call_that_somebody_waits_for_is_reported_at_once(
    threads: SideThreads, gate: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flags.pairing.side_threads._REPORT_INTERVAL", 20.0)
    awaited, hanging = threads.submit(lambda: "answer"), as_shadow(threads, gate.wait)
    assert await asyncio.wait_for(awaited.future, 20) == "answer"
    gate.open()
    await hanging.future


async def test_a_shadow_asks_whether_an_answer_is_being_made_and_an_answer_does_not(
    name: str,
) -> None:
    asked: list[float] = []

    def wait_until_idle(within: float) -> bool:
        asked.append(within)
        return len(asked) == 3

    threads = SideThreads(name, wait_until_idle=wait_until_idle)
    await threads.submit(lambda: "answer").future
    assert asked == []
    await as_shadow(threads, lambda: "shadow").future
    assert len(asked) == 3
    threads.close()


@pytest.mark.parametrize(("has_waited", "asks"), [(-1.0, 0), (60.0, 5)])
async def test_a_brief_shadow_gives_way_no_longer_than_it_has_been_in_the_queue(
    name: str, has_waited: float, asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under full load there is always a pending answer; batch calls must not starve."""
    monkeypatch.setattr("flags.pairing.side_threads._MAX_BRIEF_WAIT", has_waited)
    asked: list[float] = []

    def wait_until_idle(within: float) -> bool:
        asked.append(within)
        return False

    threads = SideThreads(name, wait_until_idle=wait_until_idle)
    await as_shadow(threads, lambda: "brief", is_brief=True).future
    assert len(asked) == asks
    await as_shadow(threads, lambda: "shadow").future
    assert len(asked) == asks + 5
    threads.close()


async def test_a_shadow_that_gives_way_lets_an_answer_begin_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flags.pairing.side_threads._IDLE_WAITS", (0.001,) * 20_000)
    asked, over = threading.Event(), threading.Event()

    def wait_until_idle(within: float) -> bool:
        asked.set()
        return over.wait(within)

    threads = SideThreads(name, wait_until_idle=wait_until_idle)
    shadow = as_shadow(threads, lambda: "shadow")
    assert eventually(asked.is_set)
    assert await asyncio.wait_for(threads.submit(lambda: "answer").future, 10) == "answer"
    assert not shadow.future.done()
    over.set()
    assert await asyncio.wait_for(shadow.future, 10) == "shadow"
    threads.close()


def as_shadow(
    threads: SideThreads, call: Callable[[], T], *, is_brief: bool = False
) -> ThreadCall[T]:
    """Submit a background call."""

    def submit() -> ThreadCall[T]:
        in_background.set(True)
        return threads.submit(call, is_brief=is_brief)

    return contextvars.copy_context().run(submit)


async def test_idle_threads_end_at_the_close_and_a_hanging_one_after_its_call(
    name: str, gate: Release
) -> None:
    threads = SideThreads(name, 2)
    threads.submit(gate.wait)
    await threads.submit(lambda: None).future
    assert alive(name) == 2
    threads.close()
    await until(lambda: alive(name) == 1)
    gate.open()
    await until(lambda: alive(name) == 0)


def test_a_call_that_outlives_its_event_loop_harms_nobody(
    threads: SideThreads, gate: Release
) -> None:
    async def leave() -> None:
        threads.submit(gate.wait)
        await gate.is_reached()

    asyncio.run(leave())
    gate.open()

    async def ask(call: Callable[[], str]) -> str:
        return await threads.submit(call).future

    assert asyncio.run(ask(lambda: "still there")) == "still there"
