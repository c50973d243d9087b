"""Do what a serving worker does with its pairs: write them to files, and ship the files."""

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from flags.export.destination import Destination
from flags.export.otlp_json import LineFrame
from flags.export.pair_files import FileLimits, PairFiles, file_name
from flags.export.shipped_file import ShippingLimits, shipped_position
from flags.export.shipper import Shipper
from flags.export.shipping_counts import ShippingAccount
from flags.monitoring.backlog import BacklogWatch
from tests.support.otlp_server import OtlpReceiver
from tests.support.pair_files import PairFile, traces
from tests.support.paths import ROOT

QUICK = ShippingLimits(batch_pairs=50, interval=0.05, longest_wait=0.2)
RECORDS = FileLimits(flush_interval=0.02, rotate_bytes=200_000, compression=None)
BEFORE, AFTER = json.dumps(traces()).split("[]")
FRAME = LineFrame(f"{BEFORE}[".encode(), f"]{AFTER}\n".encode())


class Worker:
    """The writing and shipping half of a serving worker; without `url` it only writes."""

    def __init__(
        self,
        folder: Path,
        url: str | None,
        *,
        records: FileLimits = RECORDS,
        limits: ShippingLimits = QUICK,
        one_by_one: bool = False,
        **destination: Any,
    ) -> None:
        self.name = file_name("Claims", str(uuid.uuid4()))
        self.written: list[str] = []
        self._spans = PairFile(folder, self.name)
        self.files = PairFiles(folder, self.name, records, is_shipped=url is not None)
        self._frame = FRAME if one_by_one else None
        self.files._frame = (
            None if one_by_one else FRAME
        )  # as a record that has begun, without its first span
        self.shipper: Shipper | None = None
        if url is not None:
            options = {"timeout": 1.0, **destination}
            self.shipper = Shipper(
                folder, self.name, Destination(f"{url}/v1/traces", **options), limits
            )
            self.backlog = BacklogWatch(self.shipper)

    @property
    def account(self) -> ShippingAccount:
        assert self.shipper is not None
        return self.shipper.account

    def write(self, count: int, name: str | None = None) -> None:
        """Write `count` pairs, or spans of another name."""
        for _ in range(count):
            made = self._spans.span()
            self.append(made | ({"name": name} if name else {}))

    def append(self, made: dict[str, Any]) -> None:
        encoded = json.dumps(made).encode()
        self.files.append(encoded if self._frame is None else self._frame.line([encoded]))
        self.written.append(made["spanId"])

    def close(self, within: float = 5.0) -> None:
        self.files.close()
        if self.shipper is not None:
            self.shipper.close(within)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Load:
    """A worker that writes some hundred pairs a second for as long as the block lasts."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        while not self._ending.wait(0.01):
            self._worker.write(3)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()


def ids(spans: Sequence[dict[str, Any]]) -> set[str]:
    """Return the ids of spans."""
    return {each["spanId"] for each in spans}


def assert_all_arrive(receiver: OtlpReceiver, *workers: Worker) -> list[dict[str, Any]]:
    """Return the spans that were received, once every one of the workers' is among them."""
    wanted = {each for worker in workers for each in worker.written}
    spans = receiver.received(lambda spans: wanted <= ids(spans))
    assert ids(spans) == wanted
    return spans


def all_shipped(folder: Path) -> bool:
    """Say whether the positions of all files are at their ends."""
    return all(shipped_position(path) == path.stat().st_size for path in folder.glob("*.jsonl"))


KILLED = """
import json, sys, time
from pathlib import Path
from tests.support.shipping_worker import Worker, all_shipped

folder = Path(sys.argv[1])
worker = Worker(folder, sys.argv[2])
for _ in range(100):
    worker.write(5)
    time.sleep(0.005)
while worker.files.waiting or not (worker.account.retries or all_shipped(folder)):
    time.sleep(0.01)
print(json.dumps(worker.written), flush=True)
time.sleep(60)
"""


def written_until_killed(folder: Path, url: str) -> list[str]:
    """Return what a worker process has written to disk that is killed then."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as dying:
        assert dying.stdout is not None
        written: list[str] = json.loads(dying.stdout.readline())
        dying.kill()
    assert len(written) == 500
    return written
