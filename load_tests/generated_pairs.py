"""Generated pairs of card payments, written directly as a compacted folder.

One payment in 200 is fraud. The scores of both models are the truth with a common noise, the
candidate's with a little less of it; most scores are tiny. All values depend only on the seed.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from comparison.pairs.compacted import PAIRS, CompactionState, partition
from comparison.pairs.opening import STATE_FILE

FLAG = "fraud-detector-v2"
OUTPUT = "fraud_probability"
THRESHOLDS = {"primary": 0.5, "candidate": 0.45}
FRAUD = 0.005
DAYS = 8
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
CHUNK = 500_000
A_UNIT = 20
"""Average number of payments per card (unit)."""
WORKERS = 4
HEXADECIMAL = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def write_pairs(
    folder: Path,
    rows: int,
    *,
    labels: Path | None = None,
    seed: int = 1,
    outputs: int = 1,
    days: int = DAYS,
    runs_a_day: int | None = None,
) -> None:
    """Write `rows` pairs into `folder`, and their labels to the Parquet file `labels`.

    With several `outputs`, each has its own scores; their labels are equal. With `runs_a_day`, each
    day has as many files, as of as many runs of `compact`; otherwise all files are of one run.
    """
    random = np.random.default_rng(seed)
    known, run = None, 1
    for number, (day, begin, end) in enumerate(_chunks(rows, days, runs_a_day), start=1):
        table, fraud = _chunk(random, begin, end, rows, days, output_names(outputs))
        run = number if runs_a_day else 1
        path = folder / PAIRS / partition(FLAG, day.date()) / f"{run:06d}-{number:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        _store(table, path)
        if labels is not None:
            names = (
                [f"label.{name}" for name in output_names(outputs)] if outputs > 1 else ["label"]
            )
            of_chunk = pa.table({"request_id": table["request_id"], **dict.fromkeys(names, fraud)})
            known = known or pq.ParquetWriter(labels, of_chunk.schema)
            known.write_table(of_chunk)
    if known is not None:
        known.close()
    write_state(folder, run, outputs)


def write_state(folder: Path, runs: int, outputs: int = 1) -> None:
    """Write a state in which only the first `runs` runs of `compact` have happened."""
    state = CompactionState(runs=runs, outputs=output_names(outputs))
    (folder / STATE_FILE).write_bytes(state.dumps())


def output_names(outputs: int) -> list[str]:
    """Return the names of `outputs` outputs."""
    return [OUTPUT, *(f"{OUTPUT}_{number}" for number in range(2, outputs + 1))]


def _chunks(rows: int, days: int, parts: int | None) -> Iterator[tuple[datetime, int, int]]:
    """Yield day, first and last row of each file; all days have the same number of rows."""
    bounds = np.linspace(0, rows, days * (parts or 1) + 1).astype(int).tolist()
    for place, (first, last) in enumerate(pairwise(bounds)):
        day = BEGIN + timedelta(days=place // (parts or 1))
        for begin in range(first, last, CHUNK):
            yield day, begin, min(begin + CHUNK, last)


def _chunk(
    random: np.random.Generator,
    begin: int,
    end: int,
    rows: int,
    days: int,
    outputs: Sequence[str],
) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
    size = end - begin
    row = np.arange(begin, end)
    fraud = random.random(size) < FRAUD
    card = random.integers(0, max(10, rows // A_UNIT), size)
    risk = random.normal(-6.0, 1.5, size) + 7.0 * fraud
    columns: dict[str, Any] = {
        "span_id": _hexadecimal(random, size, 8),
        "trace_id": _hexadecimal(random, size, 16),
        "time": _times(row, rows, days),
        "request_id": pc.binary_join_element_wise("request", pa.array(row).cast("string"), "-"),
        "api": _words(np.zeros(size, int), ["predict"]),
        "unit": pc.binary_join_element_wise("card", pa.array(card).cast("string"), "-"),
        "stickiness": _words(np.zeros(size, int), ["userId"]),
        "active": _words((card % 10 == 3).astype(int), ["primary", "candidate"]),
        "reason": _words(np.zeros(size, int), ["split"]),
        "variant": _words(np.zeros(size, int), ["on"]),
        "fallback": pa.array(np.zeros(size, bool)),
        "rollout": np.full(size, 10.0),
        "worker": _words(row % WORKERS, [f"worker-{number}" for number in range(WORKERS)]),
        "sequence": row // WORKERS + 1,
    }
    columns["served"] = columns["active"]
    for side, noise, seconds in (("primary", 1.2, 0.004), ("candidate", 0.8, 0.006)):
        ok = random.random(size) >= 0.001
        threshold = THRESHOLDS[side]
        for output in outputs:
            score = 1 / (1 + np.exp(-(risk + random.normal(0, noise, size))))
            columns |= {
                f"{side}_score.{output}": pa.array(score, mask=~ok),
                f"{side}_threshold.{output}": pa.array(np.full(size, threshold), mask=~ok),
                f"{side}_decision.{output}": pa.array(score >= threshold, mask=~ok),
            }
        columns |= {
            f"{side}_status": _words((~ok).astype(int), ["ok", "error"]),
            f"{side}_duration": random.lognormal(np.log(seconds), 0.4, size),
            f"{side}_model": _words(np.zeros(size, int), [f"{side}:1"]),
        }
    columns |= {
        "segment.channel": _words(random.integers(0, 3, size), ["online", "shop", "phone"]),
        "segment.country": _words(random.integers(0, 20, size), [f"C{n:02d}" for n in range(20)]),
        "feature.amount": random.lognormal(3.0, 1.2, size),
        "feature.transactions_7d": random.poisson(3.0, size).astype(float),
    }
    return pa.table(columns), fraud


def _times(row: npt.NDArray[np.int64], rows: int, days: int) -> pa.Array:
    step = days * 86_400_000_000 // max(rows, 1)
    first = int(BEGIN.timestamp()) * 1_000_000
    return pa.array((first + row * step) * 1000, pa.timestamp("ns", "UTC"))


def _words(codes: npt.NDArray[Any], words: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), words).cast(pa.string())


def _hexadecimal(random: np.random.Generator, size: int, width: int) -> pa.Array:
    raw = np.frombuffer(random.bytes(size * width), dtype=np.uint8)
    digits = HEXADECIMAL[np.column_stack([raw >> 4, raw & 15]).ravel()]
    offsets = np.arange(size + 1, dtype=np.int32) * (2 * width)
    return pa.StringArray.from_buffers(size, pa.py_buffer(offsets), pa.py_buffer(digits))


def _store(table: pa.Table, path: Path) -> None:
    different = {"span_id", "trace_id", "request_id"}
    pq.write_table(
        table,
        path,
        row_group_size=2**17,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in table.column_names if name not in different],
        store_schema=False,
    )
