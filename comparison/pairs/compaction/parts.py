"""The Parquet files of a compaction: one for each flag and day, sorted by time, each pair once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from comparison.pairs.arrow import NANOSECONDS, to_arrow
from comparison.pairs.columns import ATTRIBUTE_COLUMNS, SPAN_COLUMNS
from comparison.pairs.compacted import (
    COUNTS,
    OUTCOMES,
    PAIRS,
    REPEATED,
    WORKERS,
    parquet_file,
    partition,
    time_range,
)
from flags.export import attributes
from flags.export.worker_count import WorkerCount

_ROW_GROUP: Final = 2**17
_ALWAYS_WRITTEN: Final = frozenset(
    column.name for column in (*SPAN_COLUMNS, *ATTRIBUTE_COLUMNS.values())
)
"""Columns that are written even if they are empty."""
_UNIQUE: Final = frozenset({"span_id", "trace_id", "request_id"})
"""Columns of distinct texts, which a dictionary does not make smaller (nor most floats)."""
_REPEATED: Final = pa.schema([("flag", pa.string()), ("time", NANOSECONDS)])
_RECORDS: Final = pa.schema(
    [
        ("worker", pa.string()),
        ("event", pa.string()),
        ("pairs", pa.int64()),
        ("dropped", pa.int64()),
        ("outcomes", pa.int64()),
        ("service", pa.string()),
    ]
)

_OUTCOMES: Final = pa.schema(
    [
        ("span_id", pa.string()),
        ("request_id", pa.string()),
        ("unit", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("time", pa.int64()),
        ("worker", pa.string()),
        ("sequence", pa.int64()),
    ]
)
"""The columns of `comparison.pairs.tracked`."""

_COUNTS: Final = pa.schema(
    [
        ("worker", pa.string()),
        ("pairs", pa.int64()),
        ("dropped", pa.int64()),
        ("at", pa.int64()),
        ("most", pa.int64()),
        ("closed", pa.bool_()),
        ("service", pa.string()),
    ]
)
"""The fields of `flags.export.worker_count.WorkerCount`."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A file of pairs, and the times of its first and last pair."""

    path: Path
    first: int
    last: int


class PartWriter:
    """Write the files of one run into a staging folder; `pairs` and `repeated` are its counts.

    A copy of a pair has the same time. So copies are searched for only in the files of the same
    flag and day whose times overlap.
    """

    def __init__(self, into: Path, staging: Path, run: int) -> None:
        self._into = into
        self._staging = staging
        self._run = run
        self._chunks = 0
        self._written: dict[Path, list[_Written]] = {}
        self._repeated_tables: list[pa.Table] = []
        self.pairs = 0
        self.repeated = 0

    def write(self, frame: pd.DataFrame) -> None:
        """Write the pairs of a frame whose columns have their full names."""
        if frame.empty:
            return
        self._chunks += 1
        frame = frame.sort_values("time", kind="stable", ignore_index=True)
        repeated = frame["span_id"].duplicated()
        if repeated.any():
            self._leave_out(to_arrow(frame.loc[repeated, ["flag", "time"]]))
            frame = frame.loc[~repeated]
        days = frame["time"].dt.floor("D")
        parts: Any = frame.groupby(["flag", days], observed=True, dropna=False)
        for (key, day), rows in parts:
            flag = None if pd.isna(key) else str(key)
            pairs = to_arrow(rows, dictionaries=True)
            self._write_part(flag, partition(flag, day.date()), pairs)

    def finish(
        self,
        records: Sequence[Mapping[str, Any]],
        counts: Sequence[WorkerCount] = (),
        tracked: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Write records and counts of workers, tracked outcomes, and repeated pairs."""
        if tracked:
            outcomes = pa.Table.from_pylist([*tracked], _OUTCOMES)
            self._store(Path(OUTCOMES) / self._name(0), outcomes)
        if counts:
            rows = [asdict(count) for count in counts]
            self._store(Path(COUNTS) / self._name(0), pa.Table.from_pylist(rows, _COUNTS))
        if records:
            rows = [
                {
                    "worker": str(record.get(attributes.WORKER_ID)),
                    "event": str(record.get(attributes.WORKER_EVENT)),
                    "pairs": _whole(record.get(attributes.WORKER_PAIRS)),
                    "dropped": _whole(record.get(attributes.WORKER_DROPPED)),
                    "outcomes": _whole(record.get(attributes.WORKER_OUTCOMES)),
                    "service": record.get(attributes.SERVICE_NAME),
                }
                for record in records
            ]
            self._store(Path(WORKERS) / self._name(0), pa.Table.from_pylist(rows, _RECORDS))
        if self._repeated_tables:
            self._store(Path(REPEATED) / self._name(0), pa.concat_tables(self._repeated_tables))

    def _write_part(self, flag: str | None, folder: Path, pairs: pa.Table) -> None:
        """Write the new pairs of a flag and day, which are sorted by time; count the others."""
        times = pairs["time"].cast(pa.int64())
        known = self._known_ids(folder, times[0].as_py(), times[-1].as_py())
        if len(known):
            is_known = pc.is_in(pairs["span_id"], value_set=known)
            if pc.any(is_known).as_py():
                repeated = pairs.filter(is_known)
                flags = pa.array([flag] * len(repeated), pa.string())
                self._leave_out(pa.table({"flag": flags, "time": repeated["time"]}))
                pairs = pairs.filter(pc.invert(is_known))
        if not len(pairs):
            return
        times = pairs["time"].cast(pa.int64())
        first, last = times[0].as_py(), times[-1].as_py()
        empty = [
            name
            for name in pairs.column_names
            if name == "flag"
            or (name not in _ALWAYS_WRITTEN and pairs[name].null_count == len(pairs))
        ]
        pairs = pairs.drop_columns(empty)
        name = Path(PAIRS) / folder / self._name(self._chunks)
        self._store(name, pairs)
        self._files(folder).append(_Written(self._staging / name, first, last))
        self.pairs += len(pairs)

    def _known_ids(self, folder: Path, first: int, last: int) -> pa.ChunkedArray:
        """Return the span ids of the pairs between two times that have been written before."""
        ids = []
        for file in self._files(folder):
            if file.first <= last and file.last >= first:
                with parquet_file(file.path) as parquet:
                    rows = parquet.read(columns=["span_id", "time"])
                times = rows["time"].cast(pa.int64())
                inside = pc.and_(pc.greater_equal(times, first), pc.less_equal(times, last))
                ids += rows["span_id"].filter(inside).chunks
        return pa.chunked_array(ids, pa.string())

    def _files(self, folder: Path) -> list[_Written]:
        """Return the files of a flag and day, including files of earlier runs."""
        if folder not in self._written:
            paths = sorted((self._into / PAIRS / folder).glob("*.parquet"))
            self._written[folder] = [_written(path) for path in paths]
        return self._written[folder]

    def _leave_out(self, repeated: pa.Table) -> None:
        self._repeated_tables.append(repeated.select(_REPEATED.names).cast(_REPEATED))
        self.repeated += len(repeated)

    def _name(self, chunk: int) -> str:
        return f"{self._run:06d}-{chunk:05d}.parquet"

    def _store(self, name: Path, table: pa.Table) -> None:
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            pq.write_table(
                table,
                file,
                row_group_size=_ROW_GROUP,
                compression="zstd",
                compression_level=1,
                use_dictionary=[
                    field.name
                    for field in table.schema
                    if field.name not in _UNIQUE and not pa.types.is_floating(field.type)
                ],
                store_schema=False,
            )
            file.flush()
            os.fsync(file.fileno())


def _written(path: Path) -> _Written:
    with parquet_file(path) as file:
        return _Written(path, *time_range(file))


def _whole(value: object) -> int | None:
    """Read an int64, which OTLP/JSON writes as a string; None where absent or unreadable."""
    try:
        return int(str(value))
    except ValueError:
        return None
