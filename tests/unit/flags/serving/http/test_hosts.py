"""The host names that requests to the endpoints may have, and the caching of documents."""

import asyncio
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from flags.monitoring.worker_state import WORKERS_PATH, Workers
from flags.serving.http.endpoints import CachedDocument, endpoints
from flags.serving.http.hosts import KnownHosts


def status(host: str, *known: str, server: str = "10.1.2.3") -> int:
    application = KnownHosts(PlainTextResponse("yes"), known)

    async def ask() -> int:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [(b"host", host.encode())],
            "server": (server, 3000),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        await application(scope, receive, send)
        return int(sent[0]["status"])

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:3000", "127.0.0.1", "127.0.0.2:3000", "[::1]:3000", "10.1.2.3:3000"],
)
def test_loopback_and_the_address_served_are_known(host: str) -> None:
    assert status(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:3000",
        "10.1.2.4",
        "evil.example@localhost.example",
        "",
        "[",
        "fraud.example.",
    ],
)
def test_any_other_host_is_refused_in_words(host: str) -> None:
    assert status(host, "fraud.example") == 421


def test_hosts_that_are_named_are_known_on_any_port() -> None:
    assert status("Fraud.Example", "fraud.example") == 200
    assert status("fraud.example:8443", "fraud.example") == 200
    assert status("evil.example", "*") == 200


async def test_a_document_is_made_once_for_all_who_ask_meanwhile() -> None:
    made, go_on = [], threading.Event()

    def make() -> bytes:
        made.append(1)
        go_on.wait(10)
        return b"document"

    document = CachedDocument(make)
    asked = [asyncio.create_task(document.get()) for _ in range(50)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(*asked) == [b"document"] * 50
    assert await document.get() == b"document"
    assert len(made) == 1


async def test_one_that_could_not_be_made_is_tried_again() -> None:
    outcomes = iter([ValueError("no"), b"document"])

    def make() -> bytes:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    document = CachedDocument(make)
    with pytest.raises(ValueError, match="no"):
        await document.get()
    assert await document.get() == b"document"


async def test_the_workers_are_looked_at_anew_each_time() -> None:
    """Otherwise a rollback would count workers as followed that it has not reached yet."""
    looks = []

    def workers() -> Workers:
        looks.append(1)
        return Workers("Fraud", "fraud-v2", datetime.now(UTC), ())

    source: Any = SimpleNamespace(
        workers=workers, settings=SimpleNamespace(migration_hosts=()), data=None
    )
    transport = httpx.ASGITransport(endpoints(source))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for _ in range(3):
            assert (await client.get(WORKERS_PATH)).status_code == 200
    assert len(looks) == 3
