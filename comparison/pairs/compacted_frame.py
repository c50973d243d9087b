"""Read a compacted folder as if its pair files were read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from comparison.errors import CompactionUnreadableError
from comparison.pairs.arrow import to_parts
from comparison.pairs.columns import CATEGORY, Column
from comparison.pairs.compacted import REPEATED, WORKERS, pair_parts, read_state, reading_of
from comparison.pairs.files import Reading
from comparison.pairs.table import Table

_FLAG = Column("flag", CATEGORY)


def read_compacted(folder: Path) -> tuple[Table, Reading, pd.DataFrame]:
    """Return the pairs, what was counted, and flag and time of the pairs that were found again.

    Raises CompactionUnreadableError.
    """
    state = read_state(folder)
    table = Table(outputs=state.outputs)
    for part in pair_parts(folder):
        held = read_parquet(part.path)
        parts = to_parts(held)
        found = [part.flag] if part.flag is not None else []
        codes = np.full(len(held), len(found) - 1, dtype=np.intp)
        table.add_parts(len(held), {**parts, _FLAG: (codes, found)})
    if not table.rows:
        table.add({})
    return table, reading_of(state, worker_records(folder)), repeated_pairs(folder)


def worker_records(folder: Path) -> list[dict[str, object]]:
    """Return the start and stop records of workers."""
    files = sorted((folder / WORKERS).glob("*.parquet"))
    return [record for path in files for record in read_parquet(path).to_pylist()]


def repeated_pairs(folder: Path) -> pd.DataFrame:
    """Return flag and time of the pairs that were left out because they occurred before."""
    table = Table()
    for path in sorted((folder / REPEATED).glob("*.parquet")):
        held = read_parquet(path)
        table.add_parts(len(held), to_parts(held))
    if not table.rows:
        table.add({})
    return table.frame()[[_FLAG.name, "time"]]


def read_parquet(path: Path) -> pa.Table:
    """Read a file. Raises CompactionUnreadableError."""
    try:
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise CompactionUnreadableError(path, str(error)) from error
