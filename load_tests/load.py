"""Load on a running service, with its latency, throughput and processor time."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson
import psutil

SHADOWS: Final = 0.8
"""Seconds after the load in which the last shadows are scored; they belong to the measurement."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of one round of load."""

    durations: tuple[float, ...]
    """Milliseconds of each successful answer at the steady rate, in ascending order."""
    cpu: float
    """Milliseconds of processor time per request at the steady rate, of every process."""
    cpu_at_full_load: float
    """The same at full load."""
    throughput: float
    """Answers per second at full load."""
    failed: int

    @property
    def p50(self) -> float:
        """Return the median duration in milliseconds."""
        return quantile(self.durations, 0.5)


@dataclass(frozen=True, slots=True)
class System:
    """A system under load: its address and its processes."""

    url: str
    roots: tuple[int, ...]
    """Process ids; their descendants belong to the system too."""

    def cpu_seconds(self) -> float:
        """Return the processor time of all processes, from their start."""
        total = 0.0
        for root in map(psutil.Process, self.roots):
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):  # it ended since it was listed
                    times = process.cpu_times()
                    total += times.user + times.system
        return total


class Load:
    """Transactions over HTTP: first at a steady rate, then at full load."""

    def __init__(self, bodies: Sequence[Mapping[str, Any]], *, rate: float, concurrency: int):
        """Send `rate` requests per second, and then `concurrency` at a time."""
        self._bodies = itertools.cycle([orjson.dumps(body) for body in bodies])
        self._numbers = itertools.count()
        self._rate = rate
        self._concurrency = concurrency
        self.sent: Counter[str] = Counter()
        """Requests so far, by the system's URL."""

    async def measure(self, system: System, *, steady: float, full: float) -> Measured:
        """Load `system` for `steady` seconds at the rate, then for `full` seconds fully."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await self._fully(session, system, 0.3)
            await asyncio.sleep(SHADOWS)
            spent = system.cpu_seconds()
            durations = await self._steadily(session, system, steady)
            await asyncio.sleep(SHADOWS)
            between = system.cpu_seconds()
            began = time.perf_counter()
            further = await self._fully(session, system, full)
            elapsed = time.perf_counter() - began
            await asyncio.sleep(SHADOWS)
            end = system.cpu_seconds()
        good = sorted(each for each in durations if each is not None)
        answered = sum(each is not None for each in further)
        return Measured(
            durations=tuple(each * 1e3 for each in good),
            cpu=(between - spent) / len(durations) * 1e3,
            cpu_at_full_load=(end - between) / len(further) * 1e3,
            throughput=answered / elapsed,
            failed=len(durations) - len(good) + len(further) - answered,
        )

    async def durations(self, system: System, seconds: float) -> list[float | None]:
        """Return the milliseconds of each answer at the steady rate; None for a failed one."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await self._fully(session, system, 0.3)
            await asyncio.sleep(SHADOWS)
            found = await self._steadily(session, system, seconds)
        return [None if each is None else each * 1e3 for each in found]

    async def _steadily(
        self, session: aiohttp.ClientSession, system: System, seconds: float
    ) -> list[float | None]:
        begun, tasks = time.perf_counter(), []
        for number in range(round(seconds * self._rate)):
            await asyncio.sleep(begun + number / self._rate - time.perf_counter())
            tasks.append(asyncio.create_task(self._post(session, system)))
        return await asyncio.gather(*tasks)

    async def _fully(
        self, session: aiohttp.ClientSession, system: System, seconds: float
    ) -> list[float | None]:
        end, durations = time.perf_counter() + seconds, []

        async def caller() -> None:
            while time.perf_counter() < end:
                durations.append(await self._post(session, system))

        await asyncio.gather(*(caller() for _ in range(self._concurrency)))
        return durations

    async def _post(self, session: aiohttp.ClientSession, system: System) -> float | None:
        """Return the seconds to the end of the answer; None if it failed."""
        headers = {
            "Content-Type": "application/json",
            "X-Request-Id": f"load-{next(self._numbers)}",
        }
        self.sent[system.url] += 1
        began = time.perf_counter()
        try:
            async with session.post(
                f"{system.url}/predict", data=next(self._bodies), headers=headers
            ) as response:
                await response.read()
                return time.perf_counter() - began if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None


def quantile(rising: Sequence[float], share: float) -> float:
    """Return the quantile `share` of ascending values; NaN if there are none."""
    return rising[int(len(rising) * share)] if rising else float("nan")
