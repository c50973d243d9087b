"""A replay of transactions to a running service over HTTP."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import pandas as pd

from service.schema import COLUMNS

_COUNTS: Final = frozenset(
    feature for feature in COLUMNS if "_nb_tx_" in feature or feature.startswith("tx_during_")
)
"""Features that are whole numbers; tables hold some of them as floats."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one request: its id, HTTP status, serving side and body."""

    request_id: str
    status: int
    side: str | None
    body: Any


def bodies(transactions: pd.DataFrame) -> list[dict[str, float | int]]:
    """Return the request body of each row."""
    table = transactions[list(COLUMNS.values())].set_axis(list(COLUMNS), axis=1)
    return [
        {name: int(row[name]) if name in _COUNTS else float(row[name]) for name in COLUMNS}
        for row in table.to_dict("records")
    ]


async def replay(
    url: str,
    requests: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    concurrency: int = 16,
    rate: float | None = None,
    done: Callable[[Reply], None] = lambda _: None,
) -> list[Reply]:
    """Post each (request id, body) to `url`/predict, `concurrency` at a time; call `done` for each.

    With `rate` (requests per second) they start at equal intervals, if answers come in time.
    Without it, each starts as soon as another has ended, which saturates the service. A failed
    connection is a reply with status 0, never an exception.
    """
    waiting = iter(requests)
    replies: list[Reply] = []

    begun, sent = time.monotonic(), itertools.count()

    async def worker(session: aiohttp.ClientSession) -> None:
        for request_id, body in waiting:
            if rate is not None:
                await asyncio.sleep(begun + next(sent) / rate - time.monotonic())
            reply = await _post(session, url, request_id, body)
            replies.append(reply)
            done(reply)

    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
    return replies


async def _post(
    session: aiohttp.ClientSession, url: str, request_id: str, body: Mapping[str, Any]
) -> Reply:
    try:
        async with session.post(
            f"{url}/predict", json=body, headers={"X-Request-Id": request_id}
        ) as response:
            content = await response.json(content_type=None)
            return Reply(request_id, response.status, response.headers.get("X-Model-Side"), content)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Reply(request_id, 0, None, type(error).__name__)
