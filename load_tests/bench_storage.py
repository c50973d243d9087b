"""Measure the size of pairs: in files, on the wire, as Parquet, and in a collector's table.

The pairs come from the reference service with replayed transactions, each with a UUID as its
request id. ClickHouse is chdb with clickhouse-connect; without them, this part is left out.

    python load_tests/bench_storage.py
"""

import argparse
import asyncio
import gzip
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, Python looks for modules in this folder only

from comparison.pairs.compaction.runs import compact  # noqa: E402 - needs the line above
from comparison.pairs.opening import find_files, open_file  # noqa: E402
from flags.export.destination import Protocol  # noqa: E402
from flags.export.otlp_json import spans_in  # noqa: E402
from flags.export.otlp_request import export_request  # noqa: E402
from flags.unleash.flags_file import write_flags_file  # noqa: E402
from load_tests import collector_table  # noqa: E402
from service.replay import bodies, replay  # noqa: E402
from service.serving import Serving  # noqa: E402

BATCH: Final = 512
"""Pairs in one request to a collector, unless PAIRS_SHIP_BATCH says otherwise."""
COPIES: Final = 20
"""Copies of the pairs in the collector's table, so that its granules of 8,192 rows are full."""


def record(folder: Path, count: int) -> Path:
    """Record `count` pairs with the reference service; return their folder."""
    os.environ["BENTOML_HOME"] = str(folder / "bentoml")  # before BentoML is imported
    from service.simulator import simulate
    from service.training import production, save, train

    transactions = simulate(1_000, 2_000, seed=0)
    save(train(transactions), "simulated, seed 0")
    table = production(transactions).sample(count, random_state=0, replace=True)
    write_flags_file(folder / "flags.json", "fraud-detector-v2", 10)
    with Serving(
        "service.app:FraudDetector",
        environment={
            "BENTOML_HOME": str(folder / "bentoml"),
            "FLAGS_FILE": str(folder / "flags.json"),
            "PAIRS_DIR": str(folder / "pairs"),
        },
        log=folder / "service.log",
        folder=ROOT,
    ) as serving:
        requests = [(str(uuid.uuid4()), body) for body in bodies(table)]
        replies = asyncio.run(replay(serving.url, requests, concurrency=4))
    assert all(reply.status == 200 for reply in replies)  # noqa: S101
    return folder / "pairs"


def size(folder: Path, pattern: str) -> int:
    """Return the total bytes of the files in a folder that match `pattern`."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


def shipped(pairs: Path) -> tuple[int, int]:
    """Return the bytes of the requests that ship these files, without and with gzip."""
    batches: list[list[bytes]] = [[]]
    for line in lines_of(pairs):
        if sum(map(spans_in, batches[-1])) + spans_in(line) > BATCH:
            batches.append([])
        batches[-1].append(line)
    requests = [export_request(batch, Protocol.PROTOBUF).body for batch in batches]
    return sum(map(len, requests)), sum(len(gzip.compress(body)) for body in requests)


def lines_of(pairs: Path) -> Iterator[bytes]:
    """Yield the lines of all pair files."""
    for path in find_files(pairs):
        with open_file(path) as file:
            yield from b"".join(iter(lambda: file.read(2**20), b"")).splitlines()


def in_clickhouse(pairs: Path, folder: Path) -> float | None:
    """Return the bytes per pair in the collector's table; None without chdb."""
    try:
        import chdb  # noqa: F401
        import clickhouse_connect
    except ModuleNotFoundError:
        return None
    client = clickhouse_connect.get_client(interface="chdb")
    collector_table.create(client)
    rows = collector_table.fill_from_files(client, pairs, folder, COPIES)
    return collector_table.size_on_disk(client) / rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; the last line is the result."""
    parser = argparse.ArgumentParser(prog="python load_tests/bench_storage.py")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--pairs", type=Path, help="a folder of pair files to weigh instead")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pairs = options.pairs or record(folder, options.count)
        began = time.process_time()
        done = compact(pairs, folder / "compacted")
        seconds = time.process_time() - began
        count = done.pairs
        plain, compressed = shipped(pairs)
        lines = sum(len(line) + 1 for line in lines_of(pairs))
        table = in_clickhouse(pairs, folder)
        print(
            f"{count:,} pairs, bytes each: file {size(pairs, '*.jsonl*') / count:.0f} "
            f"({lines / count:.0f} before compression), "
            f"shipped {plain / count:.0f} ({compressed / count:.0f} with gzip), "
            f"Parquet {size(folder / 'compacted' / 'pairs', '**/*.parquet') / count:.0f}, "
            f"ClickHouse {'not measured' if table is None else f'{table:.0f}'}; "
            f"compacted {count / seconds:,.0f} pairs per second of one core"
        )


if __name__ == "__main__":
    main()
