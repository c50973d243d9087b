"""The folder that `bentoml migration compact` writes: its layout and its reader.

    <folder>/compaction.json                                 how far each pair file has been read
    <folder>/pairs/flag=<key>/date=<UTC day>/<run>-<n>.parquet
    <folder>/workers/<run>.parquet                           start and stop records of workers
    <folder>/counts/<run>.parquet                            the workers' counts of their pairs
    <folder>/repeated/<run>.parquet                          flag and time of repeated pairs
    <folder>/outcomes/<run>.parquet                          outcomes that were tracked

The columns of pairs are those of `comparison.pairs.reader` with two differences: `flag` and `date`
are in the path, as Hive writes them, and the columns of every output carry its name. Each file has
the columns that its pairs had. Each pair is stored once.

The folder may be in an object store. A run is committed when `compaction.json` has its number;
files of runs with higher numbers are not read.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from comparison.errors import CompactionUnreadableError
from comparison.pairs.arrow import NANOSECONDS, to_parts
from comparison.pairs.column_types import CATEGORY
from comparison.pairs.columns import Column
from comparison.pairs.opening import STATE_FILE
from comparison.pairs.read_counts import ReadCounts, torn_place
from comparison.pairs.stores.folders import StorePath
from comparison.pairs.table import Table
from flags.export import attributes
from flags.export.worker_count import WorkerCount

PAIRS: Final = "pairs"
WORKERS: Final = "workers"
COUNTS: Final = "counts"
REPEATED: Final = "repeated"
OUTCOMES: Final = "outcomes"
FORMAT: Final = 1

_NO_FLAG: Final = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class TakenFile:
    """How far a pair file has been read, in bytes and lines.

    `begin` is a digest of its first bytes; `torn` is True if an incomplete line follows.
    """

    taken: int
    lines: int
    begin: str
    torn: bool = False


@dataclass(slots=True)
class CompactionState:
    """The counts of all committed runs, as in `ReadCounts`; `runs` is how many there are."""

    runs: int = 0
    lines: int = 0
    corrupt: int = 0
    first_corrupt: str | None = None
    foreign: int = 0
    outputs: list[str] = field(default_factory=list)
    files: dict[str, TakenFile] = field(default_factory=dict)

    @property
    def torn(self) -> int:
        """Count the pair files that end with an incomplete line."""
        return sum(file.torn for file in self.files.values())

    def dumps(self) -> bytes:
        """Return the state as JSON."""
        return orjson.dumps({"format": FORMAT, **_plain(self)}, option=orjson.OPT_INDENT_2)


def _plain(state: CompactionState) -> dict[str, Any]:
    counts = {
        name: getattr(state, name)
        for name in ("runs", "lines", "corrupt", "first_corrupt", "foreign", "outputs")
    }
    files = {
        name: {"taken": file.taken, "lines": file.lines, "begin": file.begin, "torn": file.torn}
        for name, file in sorted(state.files.items())
    }
    return {**counts, "files": files}


def read_state(folder: Path) -> CompactionState:
    """Read the state of a compacted folder. Raises CompactionUnreadableError."""
    path = folder / STATE_FILE
    try:
        written = orjson.loads(path.read_bytes())
        if written.pop("format") != FORMAT:
            raise ValueError(f"another format than {FORMAT}")
        files = {name: TakenFile(**file) for name, file in written.pop("files").items()}
        return CompactionState(**written, files=files)
    except FileNotFoundError as error:
        raise CompactionUnreadableError(path, "there is no such file") from error
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CompactionUnreadableError(path, str(error)) from error


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file of pairs, and the flag in its path; None if its pairs have no flag."""

    path: Path
    flag: str | None


def pair_parts(folder: Path, state: CompactionState) -> list[Part]:
    """Return the files of pairs, in the order in which they were written."""
    paths = committed((folder / PAIRS).glob("flag=*/date=*/*.parquet"), state.runs)
    return [
        Part(path, _flag_of(path.parent.parent.name))
        for path in sorted(paths, key=lambda path: (path.name, path))
    ]


def committed(paths: Iterable[Path], runs: int) -> Iterator[Path]:
    """Yield the files of the first `runs` runs; file names begin with the number of the run."""
    for path in paths:
        number = path.name.partition("-")[0].partition(".")[0]
        if not number.isdigit() or int(number) <= runs:
            yield path


def partition(flag: str | None, day: date) -> Path:
    """Return the folder of the pairs of a flag and day, relative to `pairs`."""
    value = _NO_FLAG if flag is None else quote(flag, safe="")
    return Path(f"flag={value}") / f"date={day.isoformat()}"


def time_range(file: pq.ParquetFile) -> tuple[int, int]:
    """Return the times of the first and the last pair of a file, nanoseconds since 1970.

    Without usable statistics in the file, the range includes all times.
    """
    if file.schema_arrow.field("time").type != NANOSECONDS:
        return -(2**63), 2**63 - 1
    index = file.schema_arrow.get_field_index("time")
    groups = range(file.metadata.num_row_groups)
    ranges = [file.metadata.row_group(group).column(index).statistics for group in groups]
    if not ranges or not all(each is not None and each.has_min_max for each in ranges):
        return -(2**63), 2**63 - 1
    return min(each.min_raw for each in ranges), max(each.max_raw for each in ranges)


def _flag_of(name: str) -> str | None:
    value = unquote(name.removeprefix("flag="))
    return None if value == _NO_FLAG else value


def counts_of(folder: Path, state: CompactionState) -> ReadCounts:
    """Return the counts of a compacted folder: the same as of its pair files read at once."""
    return ReadCounts(
        as_of=(folder / STATE_FILE).stat().st_mtime_ns,
        files=len(state.files),
        lines=state.lines + state.torn,
        torn=state.torn,
        first_torn=next(
            (torn_place(name, file.lines) for name, file in state.files.items() if file.torn), None
        ),
        corrupt=state.corrupt,
        first_corrupt=state.first_corrupt,
        foreign=state.foreign,
        worker_records=[
            {
                attributes.WORKER_ID: record["worker"],
                attributes.WORKER_EVENT: record["event"],
                attributes.WORKER_PAIRS: record["pairs"],
                attributes.WORKER_DROPPED: record["dropped"],
                **_optional(attributes.WORKER_OUTCOMES, record.get("outcomes")),
                **_optional(attributes.SERVICE_NAME, record.get("service")),
            }
            for record in _rows(folder / WORKERS, state)
        ],
        worker_counts=worker_counts(folder, state),
        tracked=_rows(folder / OUTCOMES, state),
    )


def _optional(key: str, value: Any) -> dict[str, Any]:
    """Return the attribute as a dict, an empty one if the value is None."""
    return {} if value is None else {key: value}


_FLAG = Column("flag", CATEGORY)


def read_compacted(folder: Path) -> tuple[Table, ReadCounts, pd.DataFrame]:
    """Return the pairs, the counts, and flag and time of the repeated pairs.

    Raises CompactionUnreadableError.
    """
    state = read_state(folder)
    table = Table(outputs=state.outputs)
    for part in pair_parts(folder, state):
        rows = read_parquet(part.path)
        flags = [part.flag] if part.flag is not None else []
        codes = np.full(len(rows), len(flags) - 1, dtype=np.intp)
        table.add_parts(len(rows), {**to_parts(rows), _FLAG: (codes, flags)})
    if not table.rows:
        table.add({})
    return table, counts_of(folder, state), repeated_pairs(folder, state)


def worker_counts(folder: Path, state: CompactionState) -> list[WorkerCount]:
    """Return the workers' counts of their pairs, as read by each run."""
    return [WorkerCount(**row) for row in _rows(folder / COUNTS, state)]


def _rows(folder: Path, state: CompactionState) -> list[dict[str, Any]]:
    """Return all rows of a folder of small files: records, counts or outcomes."""
    paths = sorted(committed(folder.glob("*.parquet"), state.runs))
    return [row for path in paths for row in read_parquet(path).to_pylist()]


def repeated_pairs(folder: Path, state: CompactionState) -> pd.DataFrame:
    """Return flag and time of the repeated copies of pairs, which were left out."""
    table = Table()
    for path in sorted(committed((folder / REPEATED).glob("*.parquet"), state.runs)):
        rows = read_parquet(path)
        table.add_parts(len(rows), to_parts(rows))
    if not table.rows:
        table.add({})
    return table.frame()[[_FLAG.name, "time"]]


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file. Raises CompactionUnreadableError."""
    try:
        with parquet_file(path) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise CompactionUnreadableError(path, str(error)) from error


def parquet_file(path: Path) -> pq.ParquetFile:
    """Open a Parquet file of this machine or of an object store."""
    source = path.open("rb", buffering=0) if isinstance(path, StorePath) else path
    return pq.ParquetFile(source)
