"""The limit on concurrent calls: callers go before shadows, and no connection leaks."""

import asyncio

import pytest

from flags.pairing.call_queue import QueuePosition, current_position, in_background
from flags.serving.remote.connections import Connections
from tests.support.fakes import until


async def test_callers_go_before_shadows_that_came_earlier() -> None:
    connections, order, free = Connections(1), [], asyncio.Event()

    async def call(name: str, *, shadow: bool) -> None:
        in_background.set(shadow)
        async with connections.one():
            order.append(name)
            await free.wait()

    first = asyncio.create_task(call("first", shadow=True))
    await until(lambda: order)
    rest = [
        asyncio.create_task(call("shadow", shadow=True)),
        asyncio.create_task(call("caller", shadow=False)),
    ]
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(first, *rest)
    assert order == ["first", "caller", "shadow"]


async def test_a_call_that_waits_says_so_until_it_begins() -> None:
    connections, position, seen = Connections(1), QueuePosition(), asyncio.Event()

    async def call() -> None:
        current_position.set(position)
        async with connections.one():
            seen.set()

    async with connections.one():
        waiting = asyncio.create_task(call())
        await until(lambda: position.in_line)
    await waiting
    assert seen.is_set()
    assert not position.in_line


async def test_calls_that_are_cancelled_while_they_wait_cost_no_connection() -> None:
    connections = Connections(1)

    async def call() -> None:
        async with connections.one():
            pass

    async with connections.one():
        waiting = [asyncio.create_task(call()) for _ in range(3)]
        await asyncio.sleep(0)
        for each in waiting[:2]:
            each.cancel()
    for each in waiting[:2]:
        with pytest.raises(asyncio.CancelledError):
            await each
    await waiting[2]
    async with asyncio.timeout(5), connections.one():
        pass


async def test_a_call_that_is_cancelled_as_its_turn_comes_hands_it_on() -> None:
    connections = Connections(1)

    async def call() -> None:
        async with connections.one():
            pass

    async with connections.one():
        waiting = asyncio.create_task(call())
        await asyncio.sleep(0)
    waiting.cancel()  # before it could run
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5), connections.one():
        pass
