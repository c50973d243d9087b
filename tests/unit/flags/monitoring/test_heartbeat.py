"""When a worker tells its state, and that nothing comes of it when that fails."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from openfeature import api
from openfeature.event import ProviderEventDetails
from openfeature.provider.in_memory_provider import InMemoryProvider
from prometheus_client import REGISTRY

from flags.monitoring.heartbeat import Heartbeat
from flags.monitoring.metrics import PAIRS, WorkerMetrics
from flags.monitoring.worker_state import FOLDER, WorkerRegistry, WorkerState
from tests.support.fakes import until
from tests.support.worker_states import worker_state
from tests.unit.flags.monitoring.test_metrics import PAIR

DOMAIN = "heartbeat-tests"
NEVER = 1_000.0

Beating = Callable[..., AbstractAsyncContextManager[Heartbeat]]


class Looks:
    """Gives a state, or an error, and counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None

    def __call__(self) -> WorkerState:
        self.count += 1
        if self.error:
            raise self.error
        return worker_state()


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def provider() -> InMemoryProvider:
    made = InMemoryProvider({})
    api.set_provider_and_wait(made, domain=DOMAIN)
    return made


@pytest.fixture
def flag() -> str:
    return f"flag-{uuid.uuid4()}"


@pytest.fixture
def counts(flag: str) -> WorkerMetrics:
    return WorkerMetrics(flag)


@pytest.fixture
def beating(
    tmp_path: Path, looks: Looks, provider: InMemoryProvider, counts: WorkerMetrics
) -> Beating:
    """Return a way to let a heart beat for the length of a block."""

    @asynccontextmanager
    async def start(interval: float) -> AsyncIterator[Heartbeat]:
        heartbeat = Heartbeat(
            looks,
            metrics=counts,
            registry=WorkerRegistry(tmp_path, "FraudDetector"),
            client=api.get_client(DOMAIN),
            interval=interval,
        )
        await heartbeat.start()
        try:
            yield heartbeat
        finally:
            await heartbeat.stop()

    return start


async def test_a_worker_is_listed_as_soon_as_it_has_started_and_not_after_its_end(
    beating: Beating, tmp_path: Path
) -> None:
    async with beating(NEVER):
        assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["w1.json"]
    assert list((tmp_path / FOLDER).iterdir()) == []


async def test_it_beats_again_and_again(beating: Beating, looks: Looks) -> None:
    async with beating(0.01):
        await until(lambda: looks.count > 5)
    after = looks.count
    await asyncio.sleep(0.1)
    assert looks.count == after


async def test_a_change_of_the_flags_is_told_at_once(
    beating: Beating, looks: Looks, provider: InMemoryProvider
) -> None:
    async with beating(NEVER):
        await asyncio.sleep(0.2)  # the SDK tells a new listener that the provider is ready
        before = looks.count
        provider.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=["f"]))
        await until(lambda: looks.count > before)
        before = looks.count
        provider.emit_provider_stale(ProviderEventDetails())
        await until(lambda: looks.count > before)
    after = looks.count
    provider.emit_provider_ready(ProviderEventDetails())
    await asyncio.sleep(0.2)
    assert looks.count == after


async def test_each_beat_and_the_last_one_too_settles_the_counts(
    beating: Beating, counts: WorkerMetrics, flag: str
) -> None:
    def counted() -> float | None:
        return REGISTRY.get_sample_value(PAIRS, {"flag": flag})

    async with beating(0.01):
        counts.count(PAIR)
        await until(lambda: counted() == 1)
    async with beating(NEVER):
        await asyncio.sleep(0.2)
        counts.count(PAIR)
    assert counted() == 2


async def test_the_last_beat_has_ended_when_the_worker_is_gone(
    beating: Beating, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A beat that is being written down while the worker stops does not put it on the list."""
    publish, under_way, go_on = WorkerRegistry.publish, threading.Event(), threading.Event()

    def slowly(self: WorkerRegistry, state: WorkerState) -> None:
        under_way.set()
        go_on.wait(10)
        publish(self, state)

    async with beating(0.01) as heartbeat:
        monkeypatch.setattr(WorkerRegistry, "publish", slowly)
        await asyncio.to_thread(under_way.wait, 10)
        stopping = asyncio.create_task(heartbeat.stop())
        await asyncio.sleep(0.05)
        go_on.set()
        await stopping
        assert list((tmp_path / FOLDER).iterdir()) == []


async def test_a_state_that_cannot_be_told_is_logged_once_and_tried_again(
    beating: Beating, looks: Looks, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    looks.error = RuntimeError("no idea")
    async with beating(0.01):
        await until(lambda: looks.count > 5)
        assert len([each for each in caplog.records if "cannot tell" in each.message]) == 1
        looks.error = None
        await until(lambda: (tmp_path / FOLDER / "w1.json").exists())
        looks.error = RuntimeError("no idea again")
        before = looks.count
        await until(lambda: looks.count > before + 3)
        assert len([each for each in caplog.records if "cannot tell" in each.message]) == 2


async def test_a_heart_that_never_beat_can_be_stopped(
    tmp_path: Path, looks: Looks, provider: InMemoryProvider, counts: WorkerMetrics
) -> None:
    heartbeat = Heartbeat(
        looks,
        metrics=counts,
        registry=WorkerRegistry(tmp_path, "FraudDetector"),
        client=api.get_client(DOMAIN),
    )
    await heartbeat.stop()
    assert looks.count == 0
