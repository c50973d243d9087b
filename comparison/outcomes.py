"""The outcomes: events downstream, after a request was answered.

A file of outcomes is CSV with a heading, or Parquet; it may be compressed (.gz), and a folder may
hold several; both may be in an object store. Columns:

    request_id, unit   the request or unit that the outcome belongs to; with both columns, each row
                       fills in one
    metric             the name of the metric, such as complaint
    value              a number of 0 or more, true or false, yes or no; empty: not known yet;
                       without the column, each row counts once
    occurred_at        ISO 8601; UTC unless it names a zone

Other columns are ignored. A table of an engine has the same columns; it is an ibis table, or at a
URL (`comparison.engines.places`).
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from comparison.engines.tables import nanoseconds
from comparison.errors import OutcomesUnreadableError
from comparison.inputs.data_frames import Rows
from comparison.inputs.text_table import TextTable, engine_table, open_tables
from comparison.pairs.tracked import TrackedOutcomes
from flags.pairing.unit import UNIT_HASH, is_unit_hash, unit_hash

ID, UNIT, METRIC, VALUE, TIME = "request_id", "unit", "metric", "value", "occurred_at"
COLUMNS: Final = (ID, UNIT, METRIC, VALUE, TIME)

_EXPECTED: Final = (
    "expected CSV with a heading, or Parquet, with the columns request_id or unit, metric, value "
    "and occurred_at"
)
_CONTROL: Final = r"[\x00-\x1f\x7f-\x9f]"

_BEYOND: Final = 1e300
"""Values from here on are refused, so that sums are finite."""

_TRUTHS: Final = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes with a known value, without exact repetitions.

    Columns: `request_id`, `unit` (string, NA), `metric` (string), `value` (float64), `time`
    (nanoseconds since 1970, Int64, NA: not known), `file`, `row` (the place of the row).
    """

    name: str
    frame: pd.DataFrame
    repeated: int = 0
    tables: tuple[TextTable, ...] = field(default=(), repr=False)
    is_tracked: bool = False
    lost: int = 0
    """Number of tracked outcomes that never arrived."""
    unclosed_records: tuple[int, ...] = ()
    """As in `TrackedOutcomes`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of the metrics, sorted."""
        return tuple(sorted(self.frame["metric"].unique()))

    def until(self, time: datetime) -> "Outcomes":
        """Return the outcomes that occurred before a time, or have no time."""
        early = self.frame["time"].isna() | (self.frame["time"] < nanoseconds(time))
        return replace(self, frame=self.frame.loc[early.astype(bool)])

    def of(self, metric: str, *, binary: bool) -> "MetricRows":
        """Return the rows of a metric; of a binary metric, the last row of each request or unit.

        Raises OutcomesUnreadableError for a value of a binary metric that is neither 0 nor 1.
        """
        rows = self.frame.loc[self.frame["metric"] == metric]
        if not binary:
            return MetricRows(rows, 0)
        wrong = rows.loc[~rows["value"].isin((0.0, 1.0))]
        if len(wrong):
            raise self.error(
                wrong.iloc[0],
                VALUE,
                f"{wrong.iloc[0]['value']:g}: {metric} is a binary outcome, expected 0 or 1 (other "
                "kinds: outcomes in the playbook)",
            )
        key = rows[ID].fillna("") + "\0" + rows[UNIT].fillna("")
        ordered = rows.assign(key=key).sort_values(
            ["time", "value"], kind="stable", na_position="first"
        )
        differ = ordered.groupby("key")["value"].nunique()
        kept = ordered.drop_duplicates("key", keep="last").drop(columns="key")
        return MetricRows(kept, int((differ > 1).sum()))

    def kind_of(self, metric: str) -> str:
        """Return the kind of an undeclared metric, by its values."""
        values = self.frame.loc[self.frame["metric"] == metric, "value"]
        if values.isin((0.0, 1.0)).all():
            return "binary"
        return "count" if (values == values.round()).all() else "continuous"

    def error(self, row: Any, column: str, problem: str) -> OutcomesUnreadableError:
        """Return an error that names a row of the frame."""
        if not self.tables:
            return OutcomesUnreadableError(self.name, problem)
        table = self.tables[int(row["file"])]
        return OutcomesUnreadableError(
            table.path, problem, f"{table.place(int(row['row']))}, column {column}"
        )


@dataclass(frozen=True, slots=True)
class MetricRows:
    """The rows of one metric; `contradicted` is the number of requests or units that differed."""

    frame: pd.DataFrame
    contradicted: int

    @property
    def by_value(self) -> int:
        """Count the rows whose unit is not a hash, since no key was given."""
        units = self.frame[UNIT].dropna()
        return int((~units.str.fullmatch(UNIT_HASH)).sum())

    def table(self) -> ir.Table:
        """Return the rows as a table: outcome_id, outcome_unit, value, occurred."""
        frame = self.frame
        return ibis.memtable(
            pa.table(
                {
                    "outcome_id": pa.array(frame[ID].astype("string"), pa.string()),
                    "outcome_unit": pa.array(frame[UNIT].astype("string"), pa.string()),
                    "value": pa.array(frame["value"].to_numpy(dtype=np.float64)),
                    "occurred": pa.array(frame["time"].astype("Int64"), pa.int64()),
                }
            )
        )


def load_outcomes(source: str | Path | Rows | ir.Table, key: bytes | None = None) -> Outcomes:
    """Read a file or a folder of outcomes, or a table of an engine, given as itself or by URL.

    Files may be in an object store. A DataFrame is read as a file with its content would be.

    Values in `unit` that are not hashes are hashed with `key`, as the pairs' units are. Raises
    OutcomesUnreadableError, which names the line (CSV), the row (Parquet, from 1) or the values of
    the row (an engine), and the column.
    """
    tables = _tables(source)
    for table in tables:
        _check_columns(table)
    frames = [_read(table, number, key) for number, table in enumerate(tables)]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.loc[frame["value"].notna()]
    again = frame["time"].notna() & frame.duplicated([ID, UNIT, METRIC, VALUE, "time"])
    return Outcomes(
        str(tables[0].path if len(tables) == 1 else source),
        frame.loc[~again].reset_index(drop=True),
        int(again.sum()),
        tuple(tables),
    )


def _tables(source: str | Path | Rows | ir.Table) -> list[TextTable]:
    if isinstance(source, ir.Table):
        return [engine_table(_name(source), source, COLUMNS, OutcomesUnreadableError)]
    return open_tables(source, COLUMNS, OutcomesUnreadableError, _EXPECTED)


def _name(table: ir.Table) -> str:
    """Return the name of an engine's table; an expression has none."""
    named = isinstance(table.op(), ops.PhysicalTable)
    return table.get_name() if named else "the table of outcomes"


def unit_key() -> bytes | None:
    """Return the key by which the service hashes units, from the environment (UNIT_KEY)."""
    return os.environ.get("UNIT_KEY", "").strip().encode() or None


def tracked_outcomes(name: str, tracked: TrackedOutcomes) -> Outcomes | None:
    """Return the outcomes that an application tracked, None without any."""
    if tracked.frame.empty and not tracked.lost:
        return None
    frame = tracked.frame[[ID, UNIT, METRIC, VALUE, "time"]].astype({METRIC: object})
    return Outcomes(
        name,
        frame.assign(file=0, row=np.arange(len(frame))),
        tracked.repeated,
        is_tracked=True,
        lost=tracked.lost,
        unclosed_records=tracked.unclosed_records,
    )


def by_metric(outcomes: Sequence[Outcomes]) -> Iterable[tuple[Outcomes, str]]:
    """Yield each metric once, with its outcomes: those of a file before tracked ones."""
    seen: set[str] = set()
    for each in sorted(outcomes, key=lambda each: each.is_tracked):
        for metric in each.metrics:
            if metric not in seen:
                seen.add(metric)
                yield each, metric


def _check_columns(table: TextTable) -> None:
    names = table.names
    missing = [] if METRIC in names else [f"no column {METRIC}"]
    if ID not in names and UNIT not in names:
        missing.append(f"no column {ID} or {UNIT}")
    if not missing:
        return
    found = f"found: {', '.join(table.written)}" if table.written else "the file is empty"
    hint = "; it looks like a file of labels" if "label" in names else ""
    problem = f"{' and '.join(missing)}; {found}{hint}; {_EXPECTED}"
    raise OutcomesUnreadableError(table.path, problem)


def _read(table: TextTable, number: int, key: bytes | None) -> pd.DataFrame:
    size = len(table)
    ids, units, metrics = (table.texts(name) for name in (ID, UNIT, METRIC))
    table.refuse(metrics.isna(), METRIC, "no name of a metric")
    unprintable = metrics.str.contains(_CONTROL).fillna(False)
    table.refuse(unprintable, METRIC, "a name has no control characters")
    column = ID if ID in table.names else UNIT
    table.refuse(ids.isna() & units.isna(), column, "neither a request id nor a unit")
    return pd.DataFrame(
        {
            ID: ids,
            UNIT: units.map(lambda each: _hashed(each, key), na_action="ignore").astype("string"),
            METRIC: metrics.astype(object),
            VALUE: _values(table),
            "time": table.times(TIME),
            "file": np.full(size, number),
            "row": np.arange(size),
        }
    )


def _hashed(unit: str, key: bytes | None) -> str:
    return unit if key is None or is_unit_hash(unit) else unit_hash(key, unit)


def _values(table: TextTable) -> "pd.Series[float]":
    if VALUE not in table.names:
        return pd.Series(np.ones(len(table)))
    texts = table.texts(VALUE)
    words = texts.str.lower()
    known = words.map(_TRUTHS).astype("float64")
    numbers = pd.to_numeric(words.where(known.isna()), errors="coerce").astype("Float64")
    values = known.fillna(numbers.astype("float64"))
    wrong = texts.notna() & ~((values >= 0) & (values < _BEYOND))
    table.refuse(
        wrong, VALUE, "expected a number of 0 or more, true or false, yes or no; empty: not known"
    )
    return values
