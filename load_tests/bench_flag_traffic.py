"""Measure the cost of one worker's polls: bytes in each direction, and processor time of Unleash.

First a worker's provider polls a real Unleash (extra `dashboard`) with the flags of one migration,
through a relay that counts bytes (of HTTP; TCP and IP add about 400 per poll). Then one client
polls without pause, each time without a change (304), which gives the processor time of Unleash and
its database.

    python load_tests/bench_flag_traffic.py
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import requests

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from openfeature.evaluation_context import EvaluationContext  # noqa: E402 - needs the line above

from flags.unleash.admin import seed  # noqa: E402
from flags.unleash.local import LocalUnleash  # noqa: E402
from flags.unleash.provider import FlagServer, UnleashProvider  # noqa: E402

FLAG: Final = "fraud-detector-v2"
INTERVAL: Final = 1
"""Seconds between two polls, as needed for the promise of a rollback within three seconds."""
WORKERS: Final = 1_000


@dataclass(slots=True)
class Relayed:
    """Bytes and connections that went through the relay."""

    sent: int = 0
    received: int = 0
    connections: int = 0


@contextlib.contextmanager
def relay(port: int) -> Iterator[tuple[int, Relayed]]:
    """Relay TCP to a port of this machine; yield the relay's port and its counts."""
    counted, loop = Relayed(), asyncio.new_event_loop()

    async def pump(
        source: asyncio.StreamReader, sink: asyncio.StreamWriter, direction: str
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                setattr(counted, direction, getattr(counted, direction) + len(data))
                sink.write(data)
                await sink.drain()
        sink.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counted.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back, "sent"), pump(there, writer, "received"))

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], counted
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def poll_traffic(unleash: LocalUnleash, seconds: float) -> tuple[float, float, float, int]:
    """Return the bytes sent and received per poll without a change, the polls per second, and the
    bytes received by a poll after a change.
    """
    port = int(unleash.url.rpartition(":")[2])
    with relay(port) as (own, counted):
        server = FlagServer(
            f"http://127.0.0.1:{own}/api", unleash.client_token, refresh_interval=INTERVAL
        )
        provider = UnleashProvider(server)
        provider.initialize(EvaluationContext())
        time.sleep(3 * INTERVAL)
        before, began = Relayed(counted.sent, counted.received, counted.connections), time.time()
        time.sleep(seconds)
        polls = counted.connections - before.connections
        sent, received = counted.sent - before.sent, counted.received - before.received
        rate = polls / (time.time() - began)
        provider.shutdown()
    found = requests.get(
        f"{unleash.sdk_url}/client/features",
        headers={"Authorization": unleash.client_token},
        timeout=10,
    )
    return sent / polls, received / polls, rate, len(found.content)


def processor_time(unleash: LocalUnleash, seconds: float) -> tuple[float, int]:
    """Return the processor seconds of Unleash and Postgres per poll, and the number of polls."""
    family = [psutil.Process(pid) for pid in (unleash.server.pid, unleash.postgres.pid) if pid]
    family += [child for each in family for child in each.children(recursive=True)]
    url, session = f"{unleash.sdk_url}/client/features", requests.Session()
    session.headers["Authorization"] = unleash.client_token
    session.headers["If-None-Match"] = session.get(url, timeout=10).headers["ETag"]
    before, polls, deadline = processor_seconds(family), 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert session.get(url, timeout=10).status_code == 304  # noqa: S101
        polls += 1
    return (processor_seconds(family) - before) / polls, polls


def processor_seconds(family: Sequence[psutil.Process]) -> float:
    """Return the sum of the processes' processor time."""
    times = [process.cpu_times() for process in family if process.is_running()]
    return sum(each.user + each.system for each in times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_flag_traffic.py")
    parser.add_argument("--seconds", type=float, default=60.0, help="to watch one worker")
    parser.add_argument("--full", type=float, default=15.0, help="seconds of polls without pause")
    parser.add_argument("--migrations", type=int, default=1, help="flags are two for each")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as temporary,
        LocalUnleash(Path(temporary) / "unleash", port=0) as unleash,
    ):
        for number in range(options.migrations):
            seed(unleash.admin, FLAG if not number else f"{FLAG}-{number}")
        sent, received, rate, document = poll_traffic(unleash, options.seconds)
        cost, polls = processor_time(unleash, options.full)
    print(
        f"{2 * options.migrations} flags; a poll that finds nothing new: {sent:.0f} bytes sent, "
        f"{received:.0f} received; one that finds a change: {document:,} bytes of flags; "
        f"{rate:.2f} polls per second and worker"
    )
    print(
        f"Unleash and Postgres: {cost * 1000:.2f} ms of processor time per poll ({polls:,} polls)"
    )
    print(
        f"\n{WORKERS:,} workers: {WORKERS * rate:,.0f} polls/s, "
        f"{WORKERS * rate * sent / 1e6:.2f} MB/s to Unleash, "
        f"{WORKERS * rate * received / 1e6:.2f} MB/s back, {WORKERS * rate * cost:.1f} cores"
    )


if __name__ == "__main__":
    main()
