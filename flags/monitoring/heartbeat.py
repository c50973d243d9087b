"""The heartbeat of a worker: it publishes its state every second, and when its flags change."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from openfeature.client import OpenFeatureClient
from openfeature.event import ProviderEvent

from flags.export.worker_count import CountFile
from flags.monitoring.metrics import WorkerMetrics
from flags.monitoring.recent_counts import RecentPairs
from flags.monitoring.rollouts_taken import RolloutsTaken
from flags.monitoring.worker_state import (
    PairCounts,
    ShippingCounts,
    WorkerRegistry,
    WorkerState,
)

logger = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two heartbeats."""


class Heartbeat:
    """A task that publishes the worker's state, and removes the states of dead workers.

    The state goes to /metrics and, as a file, to the other workers. The task runs on the event
    loop, so that a worker whose loop hangs is seen as silent; a thread writes the files.
    """

    def __init__(
        self,
        read_state: Callable[[], WorkerState],
        *,
        metrics: WorkerMetrics,
        registry: WorkerRegistry,
        client: OpenFeatureClient,
        recent: RecentPairs | None = None,
        shipping: Callable[[], ShippingCounts] | None = None,
        count: CountFile | None = None,
        taken: RolloutsTaken | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._read_state = read_state
        self._metrics = metrics
        self._registry = registry
        self._client = client
        self._recent = recent
        self._shipping = shipping
        self._count = count
        self._taken = taken
        self._last: PairCounts | None = None
        self._interval = interval
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._on_change: Callable[[Any], None] | None = None
        self._failing = False

    async def start(self) -> None:
        """Publish for the first time, then regularly."""
        loop = asyncio.get_running_loop()

        def changed(_details: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker has ended
                loop.call_soon_threadsafe(self._wake.set)

        self._on_change = changed
        for event in ProviderEvent:
            self._client.add_handler(event, changed)
        await self._beat()
        self._task = asyncio.create_task(self._keep_beating())

    async def stop(self) -> None:
        """Stop, and remove everything of this worker but its counts."""
        if self._task is not None:
            self._stopping = True
            self._wake.set()
            await self._task  # not cancelled: the thread of a beat would outlive the task
            await self._beat()  # with the last counts
        if self._on_change is not None:
            for event in ProviderEvent:
                with contextlib.suppress(ValueError):  # the application cleared all handlers
                    self._client.remove_handler(event, self._on_change)
        self._metrics.settle()
        await asyncio.to_thread(self._withdraw)
        self._metrics.forget(os.getpid())

    async def _keep_beating(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval)
            if self._stopping:
                return
            self._wake.clear()
            await self._beat()

    async def _beat(self) -> None:
        try:
            self._metrics.settle()
            state = self._read_state()
            if self._recent is not None:
                self._recent.flag_seen(state.flag.since)
            await asyncio.to_thread(self._publish, state)
            self._failing = False
        except Exception:  # an observer never costs an answer, nor a worker
            if not self._failing:
                logger.exception("this worker cannot tell its state")
            self._failing = True

    def _write_count(self, pairs: PairCounts, *, closed: bool = False) -> None:
        self._last = pairs
        if self._count is not None:
            with contextlib.suppress(OSError):  # without the folder, pairs are not written either
                self._count.write(pairs.recorded, sum(pairs.dropped.values()), closed=closed)

    def _withdraw(self) -> None:
        if self._last is not None:
            self._write_count(self._last, closed=True)
        self._registry.withdraw()
        if self._recent is not None:
            self._recent.withdraw()

    def _publish(self, state: WorkerState) -> None:
        if self._shipping is not None:
            state = replace(state, shipping=self._shipping())
        self._write_count(state.pairs)
        self._registry.publish(state)
        if self._recent is not None:
            self._recent.publish()
        if self._taken is not None:
            self._taken.note(state.flag.enabled, state.flag.rollout)
        self._metrics.show(state)
        for gone in self._registry.sweep():
            logger.warning("worker %s (process %d) is gone", gone.worker, gone.pid)
            self._metrics.forget(gone.pid)
