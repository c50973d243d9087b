"""The outcomes that an application tracked; they are spans in the pair files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from comparison.pairs.spans.row import only_value
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
    """Distinct tracked outcomes, and how many outcomes were lost."""

    frame: pd.DataFrame = field(default_factory=_empty)
    lost: int = 0
    """Outcomes missing between the numbers found, and up to the last number of a closing record."""
    repeated: int = 0
    unclosed_records: tuple[int, ...] = ()
    """For each worker without a closing record, the time of its last outcome: later ones may be
    lost."""

    @classmethod
    def of(
        cls, rows: Sequence[Mapping[str, Any]], records: Iterable[Mapping[str, Any]]
    ) -> "TrackedOutcomes":
        """Build from the rows of tracked outcomes and the records of workers."""
        known = list(records)
        if not rows and not any(attributes.WORKER_OUTCOMES in each for each in known):
            return cls()
        frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
        repeated = frame["span_id"].duplicated()
        frame = frame.loc[~repeated].reset_index(drop=True)
        return cls(frame, _lost(frame, known), int(repeated.sum()), _unclosed_records(frame, known))


def tracked_row(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an outcome span; raises KeyError, TypeError or ValueError if it is none."""
    values: dict[str, Any] = {each["key"]: only_value(each["value"]) for each in span["attributes"]}
    row = {
        "span_id": span["spanId"],
        "request_id": values.get(attributes.REQUEST_ID),
        "unit": values.get(attributes.UNIT),
        "metric": values[attributes.OUTCOME_METRIC],
        "value": float(values.get(attributes.OUTCOME_VALUE, 1.0)),
        "time": int(span["startTimeUnixNano"]),
        "worker": values.get(attributes.WORKER_ID),
        "sequence": int(values.get(attributes.OUTCOME_SEQUENCE, 0)),
    }
    if not row["metric"] or not (row["request_id"] or row["unit"]) or not 0 <= row["value"] < 1e300:
        raise ValueError(row)
    return row


def _unclosed_records(frame: pd.DataFrame, records: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    """Return the time of the last outcome of each worker without a closing record."""
    stopped = {
        str(each.get(attributes.WORKER_ID))
        for each in records
        if each.get(attributes.WORKER_EVENT) == "stop"
    }
    last = frame.groupby("worker")["time"].max()
    return tuple(int(time) for worker, time in last.items() if worker not in stopped)


def _lost(frame: pd.DataFrame, records: Iterable[Mapping[str, Any]]) -> int:
    """Count the missing outcomes: like pairs, each worker numbers them, so a gap is a loss.

    Numbers are expected up to the last one known; from 1 if the worker has a start record, else
    from the first one found.
    """
    started: set[str] = set()
    totals: dict[str, int] = {}
    for record in records:
        worker = str(record.get(attributes.WORKER_ID))
        if record.get(attributes.WORKER_EVENT) == "start":
            started.add(worker)
        total = record.get(attributes.WORKER_OUTCOMES)
        if total is not None:
            totals[worker] = max(totals.get(worker, 0), int(total))
    numbered = frame.loc[(frame["sequence"] > 0).fillna(False)]
    seen = numbered.groupby("worker")["sequence"].agg(["min", "max", "nunique"])
    lost = 0
    for worker, first, last, found in seen.itertuples():
        end = max(int(last), totals.pop(str(worker), 0))
        lost += end - (0 if worker in started else int(first) - 1) - int(found)
    return lost + sum(totals.values())
