"""Rollback is one flip in the dashboard: measure how long the candidate goes on answering."""

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flags.unleash.admin import UnleashAdmin, seed
from flags.unleash.local import LocalUnleash
from tests.support.fakes import eventually
from tests.support.flagged_service import FlaggedService, Load, Reply, served

FLAG = "scores-v2-rollback"
FLIPS = 20
POLL = 1
"""Seconds between looks of a worker at the server."""
PROMISE = 3.0
"""Seconds from the answer of the Admin API to the last answer by the candidate, of any worker."""
SETTLED = 0.3
"""Seconds without an answer by the other side, under load, after which all workers have followed.
The promise itself is judged afterwards, by every answer until the next flip."""


@pytest.mark.slow
def test_a_rollback_takes_effect_within_the_promise_in_every_worker(
    own_unleash: LocalUnleash, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = own_unleash.admin
    seed(admin, FLAG)
    with served(tmp_path, own_unleash, FLAG, FLAGS_REFRESH_INTERVAL=str(POLL)) as service:
        with service.load() as load:
            windows = flips(admin, load)
        assert load.failed() == []
        times = [seconds for window in windows for seconds in rollback_times(load, *window)]
        assert_workers_are_told_apart(service, load.replies)
    assert len(times) == 2 * FLIPS
    p50, longest = statistics.median(times), max(times)
    with capsys.disabled():
        print(f"\nrollback p50 {p50:.2f} s max {longest:.2f} s (poll {POLL} s)")  # noqa: T201 - said by every run
    assert max(times) <= PROMISE


def flips(admin: UnleashAdmin, load: Load) -> list[tuple[float, float]]:
    """Flip on and off again and again; return when each rollback was answered, and when it ended.

    Off and 0 % take turns. The pause before a rollback is random, because the workers would be at
    the same point of their interval each time: all have just followed.
    """
    rng = random.Random(7)
    rollbacks: tuple[Callable[[], None], ...] = (
        lambda: admin.turn_off(FLAG),
        lambda: admin.set_rollout(FLAG, 0),
    )
    windows = []
    for number in range(FLIPS):
        admin.set_rollout(FLAG, 100)
        admin.turn_on(FLAG)
        wait_until_all_answer(load, "candidate")
        time.sleep(rng.uniform(0, POLL))
        rollbacks[number % 2]()
        flipped = time.time()
        wait_until_all_answer(load, "primary")
        windows.append((flipped, time.time()))
    return windows


def wait_until_all_answer(load: Load, side: str) -> None:
    """Return once nobody but `side` has answered for a while, and every worker has answered."""

    def settled() -> bool:
        recent = [reply for reply in load.replies[-500:] if reply.began > time.time() - SETTLED]
        return {reply.side for reply in recent} == {side} and len(by_worker(recent)) == 2

    assert eventually(settled, within=10), f"not every worker answers by the {side}"


def rollback_times(load: Load, flipped: float, ended: float) -> list[float]:
    """Return per worker the seconds from the flip to its last answer by the candidate."""
    window = [reply for reply in load.replies if flipped <= reply.ended < ended]
    return [
        max((reply.ended - flipped for reply in replies if reply.side == "candidate"), default=0.0)
        for replies in by_worker(window).values()
    ]


def by_worker(replies: list[Reply]) -> dict[int | None, list[Reply]]:
    found: dict[int | None, list[Reply]] = {}
    for reply in replies:
        found.setdefault(reply.worker, []).append(reply)
    return found


def assert_workers_are_told_apart(service: FlaggedService, replies: list[Reply]) -> None:
    """By the pair files too, each answer has the side and the worker that its caller saw."""
    pairs = service.pairs_of(replies)
    seen = {reply.request_id: reply for reply in replies}
    assert [seen[request_id].side for request_id in pairs.index] == list(pairs["served"])
    workers = {(seen[each].worker, worker) for each, worker in pairs["worker"].items()}
    assert len(workers) == 2
