"""The outcomes that an application tracked, as records in the pair files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from flags.export import attributes

COLUMNS: Final = {
    "span_id": "string",
    "request_id": "string",
    "unit": "string",
    "metric": "string",
    "value": "float64",
    "time": "Int64",
    "worker": "string",
    "sequence": "Int64",
}
"""Columns of tracked outcomes; `time` in nanoseconds since 1970."""


def _empty() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in COLUMNS.items()})


@dataclass(frozen=True, slots=True)
class TrackedOutcomes:
    """Hold tracked outcomes, each once, and how many of them never arrived."""

    frame: pd.DataFrame = field(default_factory=_empty)
    lost: int = 0
    """By gaps in the numbers, and by what was said at the stop of a record."""
    repeated: int = 0
    open_ends: tuple[int, ...] = ()
    """Of the records without a stop, the time of each one's last outcome: more may be lost."""

    @classmethod
    def of(
        cls, rows: Sequence[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]
    ) -> "TrackedOutcomes":
        """Take what was read, and what workers recorded of themselves."""
        known = list(records)
        if not rows and not any(attributes.WORKER_OUTCOMES in each for each in known):
            return cls()
        frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        again = frame["span_id"].duplicated()
        frame = frame.loc[~again].reset_index(drop=True)
        return cls(frame, _lost(frame, known), int(again.sum()), _open_ends(frame, known))


def tracked_row(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a span; raises KeyError, TypeError or ValueError if it is none."""
    held: dict[str, Any] = {
        pair["key"]: next(iter(pair["value"].values()), None) for pair in span["attributes"]
    }
    row = {
        "span_id": span["spanId"],
        "request_id": held.get(attributes.REQUEST_ID),
        "unit": held.get(attributes.UNIT),
        "metric": held[attributes.OUTCOME_METRIC],
        "value": float(held.get(attributes.OUTCOME_VALUE, 1.0)),
        "time": int(span["startTimeUnixNano"]),
        "worker": held.get(attributes.WORKER_ID),
        "sequence": int(held.get(attributes.OUTCOME_SEQUENCE, 0)),
    }
    if not row["metric"] or not (row["request_id"] or row["unit"]) or not 0 <= row["value"] < 1e300:
        raise ValueError(row)
    return row


def _open_ends(frame: pd.DataFrame, records: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    """Return the last times of those that track and have not said that they stopped."""
    stopped = {
        str(each.get(attributes.WORKER_ID))
        for each in records
        if each.get(attributes.WORKER_EVENT) == "stop"
    }
    last = frame.groupby("worker")["time"].max()
    return tuple(int(time) for worker, time in last.items() if worker not in stopped)


def _lost(frame: pd.DataFrame, records: Iterable[Mapping[str, Any]]) -> int:
    """Count the numbers that are missing: up to the last one given, from 1 if the start is there.

    Like pairs, outcomes are numbered by worker, so that a gap is a loss.
    """
    started: set[str] = set()
    given: dict[str, int] = {}
    for record in records:
        worker = str(record.get(attributes.WORKER_ID))
        if record.get(attributes.WORKER_EVENT) == "start":
            started.add(worker)
        total = record.get(attributes.WORKER_OUTCOMES)
        if total is not None:
            given[worker] = max(given.get(worker, 0), int(total))
    numbered = frame.loc[(frame["sequence"] > 0).fillna(False)]
    seen = numbered.groupby("worker")["sequence"].agg(["min", "max", "nunique"])
    lost = 0
    for worker, first, last, found in seen.itertuples():
        end = max(int(last), given.pop(str(worker), 0))
        lost += end - (0 if worker in started else int(first) - 1) - int(found)
    return lost + sum(given.values())
