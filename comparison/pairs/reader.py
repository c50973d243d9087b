"""A reader of a folder of pair files into one DataFrame, a row per pair.

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
    primary_decision, candidate_decision               boolean
    primary_score.<output>, ...                        the same for each further output
    primary_items, candidate_items                     Int64
    primary_length, candidate_length                   Int64, bytes
    primary_first_item, candidate_first_item           float64, seconds
    primary_digest, candidate_digest                   string
    shadow_batch                                       Int64, shadows scored in one call
    batch_agrees                                       boolean
    shadow_share                                       float64
    segment.<name>                                     category
    feature.<name>                                     float64

The columns of items, length, first_item and digest are there only if a pair has them: pairs of
streams and of answers of bytes do. The same holds for the columns of shadows in batches or under a
budget. Rows are in order of time; the index counts from 0.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from comparison.errors import FlagNotFoundError, NoPairsError, SeveralFlagsError, WindowEmptyError
from comparison.pairs.accounting import Accounting, account
from comparison.pairs.files import read_blocks
from comparison.pairs.opening import is_compacted
from comparison.pairs.read_counts import ReadCounts
from comparison.pairs.stores.folders import folder_at
from comparison.pairs.table import Table, name_outputs, only_flag
from comparison.pairs.tracked import TrackedOutcomes


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of one flag, and the accounting of the folder that they were read from.

    `outputs` are the names of the scores: the columns of the first one have no suffix. `flag` is
    None if there are no pairs and no flag was asked for.
    """

    source: str | Path
    flag: str | None
    outputs: tuple[str, ...]
    frame: pd.DataFrame
    accounting: Accounting
    repeated: pd.DataFrame
    """Flag and time of the repeated copies of pairs, which were left out."""
    tracked: TrackedOutcomes = field(default_factory=TrackedOutcomes)


def load_pairs(path: str | Path, flag: str | None = None) -> pd.DataFrame:
    """Return the pairs of a flag as a DataFrame, a row per pair in order of time.

    The docstring of `comparison.pairs.reader` lists the columns. Raises the errors of `read_pairs`.
    """
    return read_pairs(path, flag).frame


@dataclass(frozen=True, slots=True)
class AllPairs:
    """The pairs of all flags of a folder; the columns of every output carry its name."""

    source: str | Path
    outputs: tuple[str, ...]
    frame: pd.DataFrame
    accounting: Accounting
    repeated: pd.DataFrame
    tracked: TrackedOutcomes = field(default_factory=TrackedOutcomes)


def read_pairs(path: str | Path, flag: str | None = None) -> Pairs:
    """Read a folder of `*.jsonl` pair files, one file, or a folder that `compact` wrote.

    A folder may be in an object store: `s3://bucket/prefix`, `gs://`, `az://`. Repeated copies of a
    pair are left out. A folder without pairs makes an empty frame. Raises PairsUnreadableError or
    StoreUnreadableError if `path` or a file in it is something else, SeveralFlagsError if there are
    several flags and `flag` is None, FlagNotFoundError if there are pairs, but none of `flag`.
    """
    return of_flag(read_all(path), flag)


def of_flag(every: AllPairs, flag: str | None) -> Pairs:
    """Return the pairs of one flag; raises SeveralFlagsError or FlagNotFoundError."""
    frame, outputs, flags = every.frame, every.outputs, tuple(every.accounting.flags)
    chosen = _choose_flag(every.source, flag, flags)
    if len(flags) > 1:
        frame, outputs = only_flag(frame, chosen, outputs)
    named = name_outputs(frame, outputs)
    return Pairs(
        every.source, chosen, outputs, named, every.accounting, every.repeated, every.tracked
    )


def read_all(path: str | Path) -> AllPairs:
    """Read the pairs of all flags; see `read_pairs`."""
    source = folder_at(path)
    return all_pairs(source, *_read(source))


def all_pairs(
    source: str | Path, table: Table, counts: ReadCounts, known_repeated: pd.DataFrame | None = None
) -> AllPairs:
    """Return the distinct pairs of a table and their accounting.

    `known_repeated` has the repeated copies that compaction has already removed from the table.
    """
    frame = table.frame().sort_values("time", kind="stable", ignore_index=True)
    again = frame["span_id"].duplicated()
    repeated = frame.loc[again, ["flag", "time"]].reset_index(drop=True)
    if again.any():
        frame = frame.loc[~again].reset_index(drop=True)
    if known_repeated is not None:
        repeated = known_repeated
    accounting = account(frame, len(repeated), counts)
    tracked = TrackedOutcomes.of(counts.tracked, counts.worker_records)
    return AllPairs(source, table.outputs, frame, accounting, repeated, tracked)


def _read(source: Path) -> tuple[Table, ReadCounts, pd.DataFrame | None]:
    """Return the pairs at `source`, the counts, and the repeated copies that compaction removed."""
    if is_compacted(source):
        # Imported here: plain pair files are read without Arrow.
        from comparison.pairs.compacted import read_compacted

        return read_compacted(source)
    counts, table = ReadCounts(), Table()
    for block in read_blocks(source, counts):
        table.add(block)
    return table, counts, None


def _choose_flag(source: str | Path, flag: str | None, flags: tuple[str, ...]) -> str | None:
    if flag is None and len(flags) > 1:
        raise SeveralFlagsError(source, flags)
    if flag is not None and flags and flag not in flags:
        raise FlagNotFoundError(source, flag, flags)
    return flag or next(iter(flags), None)


def within(pairs: Pairs, since: datetime | None, until: datetime | None) -> Pairs:
    """Return the pairs from `since` until before `until`; the accounting stays that of all pairs.

    Raises WindowEmptyError if the window ends before it begins, NoPairsError if all pairs are
    outside of it.
    """
    if since and until and since >= until:
        raise WindowEmptyError(f"the window ends ({until}) before it begins ({since})")
    time = pairs.frame["time"]
    rows = time.notna()
    if since:
        rows &= time >= since
    if until:
        rows &= time < until
    if rows.all():
        return pairs
    if not rows.any():
        raise NoPairsError(outside_window(str(pairs.source), time.iloc[0], time.iloc[-1]))
    return replace(pairs, frame=pairs.frame.loc[rows].reset_index(drop=True))


def outside_window(source: str, first: datetime, last: datetime) -> str:
    """Return the message that no pair is in the window, with the times of first and last pair."""
    return (
        f"{source} holds no pairs in the window, only from {first:%Y-%m-%d %H:%M:%S} "
        f"to {last:%Y-%m-%d %H:%M:%S} UTC"
    )
