"""Serve `services.flagged` with several workers, ask it under load, and see what each one does."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Self

import aiohttp
import pandas as pd
import requests
from prometheus_client.parser import text_string_to_metric_families

from comparison.pairs.reader import load_pairs
from flags.export import attributes
from flags.monitoring.metrics import PROVIDER_STATE
from flags.monitoring.worker_state import WORKERS_PATH, Workers
from flags.unleash.local import LocalUnleash
from service.serving import Serving
from tests.support.fakes import eventually
from tests.support.following import following
from tests.support.pair_files import spans_on

AMOUNT = 0.7
"""What is asked unless a test says otherwise: an alarm of the candidate at its own threshold."""


_ASKED_AGAIN = 1.5
"""Seconds after which workers are asked anew: of several, one may have got no question."""

LastPair = Mapping[str, Any]
"""Attributes of a pair's span, by name."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as its caller saw it; times are seconds of the wall clock."""

    request_id: str
    status: int
    """0 where the connection failed."""
    side: str | None
    worker: int | None
    """Process id of the worker that answered."""
    began: float
    ended: float


class FlaggedService:
    """A running service, asked over a new connection for each request, so that workers share."""

    def __init__(self, serving: Serving, pairs: Path, workers: int) -> None:
        self._serving = serving
        self._pairs = pairs
        self._workers = workers
        self._probes = count()

    @property
    def log(self) -> str:
        """Return what the service has logged."""
        return self._serving.log.read_text(errors="replace")

    def told(self, words: str) -> list[str]:
        """Return the log lines that hold `words`."""
        return [line for line in self.log.splitlines() if words in line]

    def ask(
        self, request_ids: Iterable[str], headers: Mapping[str, str] | None = None
    ) -> list[Reply]:
        """Ask once for each id; the replies come in any order."""
        return asyncio.run(_callers(self._serving.url, iter(request_ids), 8, headers=headers))

    def load(self) -> "Load":
        """Return a load of requests that goes on in the background."""
        return Load(self._serving.url)

    def believed(self) -> tuple[list[str], dict[str, int]]:
        """Return what operators are shown: each worker's state, and how many are in which.

        The one is what `bentoml migration status` reads, the other is on /metrics.
        """
        workers = requests.get(f"{self._serving.url}{WORKERS_PATH}", timeout=5)
        metrics = requests.get(f"{self._serving.url}/metrics", timeout=5)
        counted = {
            sample.labels["state"]: int(sample.value)
            for family in text_string_to_metric_families(metrics.text)
            for sample in family.samples
            if sample.name == PROVIDER_STATE and sample.value
        }
        return [each.flag.state for each in Workers.parse(workers.content).workers], counted

    def pairs(self) -> pd.DataFrame:
        """Return every pair on disk."""
        return load_pairs(self._pairs)

    def pairs_of(self, replies: Iterable[Reply], within: float = 60.0) -> pd.DataFrame:
        """Return the pairs of answered requests by request id, once all are on disk."""
        wanted = {reply.request_id for reply in replies if reply.status == 200}
        deadline = time.monotonic() + within
        while True:
            found = self.pairs()
            found = found[found["request_id"].isin(wanted)]
            if len(found) >= len(wanted) or time.monotonic() > deadline:
                assert sorted(found["request_id"]) == sorted(wanted)
                return found.set_index("request_id")
            time.sleep(0.1)

    def follows(self, sees: Callable[[LastPair], object], within: float = 60.0) -> None:
        """Ask until the last pair of every worker satisfies `sees`; fail after some seconds."""
        deadline = time.monotonic() + within
        asked = time.time_ns()
        while True:
            self.ask(f"probe-{next(self._probes)}" for _ in range(4 * self._workers))
            last: list[LastPair] = []

            def complete() -> bool:
                nonlocal last
                last = [pair for pair in self._last_pairs() if pair["begin"] >= asked]
                return len(last) == self._workers

            if eventually(complete, _ASKED_AGAIN, pause=0.05) and all(map(sees, last)):
                return
            assert time.monotonic() < deadline, f"not followed: {last}"

    def _last_pairs(self) -> Iterator[dict[str, Any]]:
        """Read the end of each worker's file, without what may be a torn line."""
        for path in self._pairs.glob("*.jsonl"):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 2**18))
                lines = file.read().split(b"\n")[1:-1]
            spans = (span for line in reversed(lines) for span in reversed(spans_on(line)))
            pairs = (span for span in spans if span["name"] == attributes.PAIR_SPAN)
            if (last := next(pairs, None)) is not None:
                yield _attributes(last) | {"begin": int(last["startTimeUnixNano"])}


def has(attribute: str, value: object) -> Callable[[LastPair], bool]:
    """Return what looks for an attribute of this value, for `follows`."""
    return lambda pair: bool(pair[attribute] == value)


@contextmanager
def served(
    folder: Path, unleash: LocalUnleash, flag: str, *, workers: int = 2, **settings: str
) -> Iterator[FlaggedService]:
    """Serve with `workers` workers that follow `flag` on `unleash`, looking every second."""
    target = "tests.support.services.flagged:Scores"
    with following(unleash, flag, folder, service=target, workers=workers, **settings) as serving:
        yield FlaggedService(serving, folder / "pairs", workers)


class Load:
    """Callers in a thread of their own, each asking again and again until the end of the block."""

    def __init__(self, url: str, callers: int = 4, pause: float = 0.02, name: str = "load") -> None:
        self._url = url
        self._name = name
        self._callers = callers
        self._pause = pause
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="load")
        self.replies: list[Reply] = []

    def since(self, when: float) -> list[Reply]:
        """Return the replies to requests that began after `when`."""
        return [reply for reply in list(self.replies) if reply.began >= when]

    def failed(self) -> list[Reply]:
        """Return the replies that are not answers."""
        return [reply for reply in list(self.replies) if reply.status != 200]

    def _run(self) -> None:
        ids = (f"{self._name}-{number}" for number in count())
        waiting = iter(lambda: None if self._stopping else next(ids), None)
        asyncio.run(_callers(self._url, waiting, self._callers, self._pause, self.replies))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join()


async def _callers(
    url: str,
    request_ids: Iterator[str],
    concurrency: int,
    pause: float = 0.0,
    replies: list[Reply] | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[Reply]:
    replies = [] if replies is None else replies

    async def caller(session: aiohttp.ClientSession) -> None:
        for request_id in request_ids:
            replies.append(await _ask(session, url, request_id, headers or {}))
            await asyncio.sleep(pause)

    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await asyncio.gather(*(caller(session) for _ in range(concurrency)))
    return replies


async def _ask(
    session: aiohttp.ClientSession, url: str, request_id: str, headers: Mapping[str, str]
) -> Reply:
    named = {"X-Request-Id": request_id, **headers}
    began = time.time()
    try:
        async with session.post(f"{url}/judge", json={"amount": AMOUNT}, headers=named) as response:
            answer = await response.json()
            side = response.headers.get("X-Model-Side")
            worker = answer["pid"] if response.status == 200 else None
            return Reply(request_id, response.status, side, worker, began, time.time())
    except (aiohttp.ClientError, TimeoutError):
        return Reply(request_id, 0, None, None, began, time.time())


def _attributes(span: Mapping[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
