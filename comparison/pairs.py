"""Read a folder of pair files into one DataFrame, a row per pair.

Columns (dtypes are the same however few rows there are):

    request_id, trace_id, span_id                      string
    time                                               datetime64[ns, UTC], start of the pair
    flag, api, reason, variant, flag_error, worker     category
    active, served                                     category: primary, candidate
    fallback                                           bool
    rollout                                            float64, per cent, NaN if unknown
    sequence                                           Int64
    primary_status, candidate_status                   category: ok, error, timeout, shed, skipped
    primary_duration, candidate_duration               float64, seconds
    primary_model, candidate_model                     category
    primary_error, candidate_error                     category, exception type
    primary_score, candidate_score                     float64
    primary_threshold, candidate_threshold             float64
    primary_label, candidate_label                     boolean
    primary_score.<output>, ...                        the same for each further output
    segment.<name>                                     category
    feature.<name>                                     float64

Rows are in order of time; the index counts from 0.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from comparison.accounting import Accounting, account
from comparison.errors import FlagNotFoundError, SeveralFlagsError
from comparison.pair_files import Reading, read_blocks
from comparison.table import Table, name_outputs, only_flag


@dataclass(frozen=True, slots=True)
class Pairs:
    """Hold the pairs of one flag and the accounting of the folder they were read from.

    `outputs` are the names of the compared numbers: the first one's columns have no suffix.
    `flag` is None if there are no pairs and none was asked for.
    """

    source: Path
    flag: str | None
    outputs: tuple[str, ...]
    frame: pd.DataFrame
    accounting: Accounting


def load_pairs(path: str | Path, flag: str | None = None) -> pd.DataFrame:
    """Return the pairs of a flag as a DataFrame; see `read_pairs`."""
    return read_pairs(path, flag).frame


def read_pairs(path: str | Path, flag: str | None = None) -> Pairs:
    """Read a folder of *.jsonl pair files, or one file; a pair that occurs twice is taken once.

    A folder without pairs makes an empty frame. Raises PairsUnreadableError if `path` or a file
    in it is something else, SeveralFlagsError if there are several flags and `flag` is None,
    FlagNotFoundError if there are only others.
    """
    source, reading, table = Path(path), Reading(), Table()
    for block in read_blocks(source, reading):
        table.add(block)
    frame = table.frame().sort_values("time", kind="stable", ignore_index=True)
    repeated = frame["span_id"].duplicated()
    if repeated.any():
        frame = frame.loc[~repeated].reset_index(drop=True)
    accounting = account(frame, int(repeated.sum()), reading)
    chosen = _choose_flag(source, flag, tuple(accounting.flags))
    outputs = table.outputs
    if len(accounting.flags) > 1:
        frame, outputs = only_flag(frame, chosen, outputs)
    return Pairs(source, chosen, outputs, name_outputs(frame, outputs), accounting)


def _choose_flag(source: Path, flag: str | None, flags: tuple[str, ...]) -> str | None:
    if flag is None and len(flags) > 1:
        raise SeveralFlagsError(source, flags)
    if flag is not None and flags and flag not in flags:
        raise FlagNotFoundError(source, flag, flags)
    return flag or next(iter(flags), None)
