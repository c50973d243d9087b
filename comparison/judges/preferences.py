"""Preferences read from a table: CSV, Parquet or an engine's, by a judge's run or by people.

Columns: `request_id` and `preference` (preference for the candidate's answer: a number from 0 to 1,
or candidate, primary, tie; empty: not known); `output`, if there are several texts; `first` (the
side whose answer was shown first: primary or candidate), if each pair was judged in both orders;
`judge` and `error` as a run writes them. Other columns are ignored.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from comparison.errors import PreferencesUnreadableError
from comparison.inputs.data_frames import Rows
from comparison.inputs.text_table import TextTable, open_tables
from comparison.judges.journal import Journal

ID, OUTPUT, PREFERENCE, FIRST, JUDGE, ERROR = (
    "request_id",
    "output",
    "preference",
    "first",
    "judge",
    "error",
)
COLUMNS: Final = (ID, OUTPUT, PREFERENCE, FIRST, JUDGE, ERROR)
_WORDS: Final = {"candidate": 1.0, "primary": 0.0, "tie": 0.5}
_EXPECTED: Final = "expected CSV with a heading, or Parquet, with request_id and preference"


@dataclass(frozen=True, slots=True)
class Preferences:
    """Preferences with one row for each pair, output and judge, which joins both orders.

    Columns: `request_id`, `output` (NA: the only one), `judge`; `least` and `most`, bounds of the
    preference for the candidate, which differ where the judge failed; `first`, the preference for
    the answer shown first, and `consistent`, whether both orders had the same winner (NA without
    orders).
    """

    name: str
    frame: pd.DataFrame
    incomplete: int = 0
    """Number of pairs left out since they were judged in one order only."""

    @property
    def unjudged(self) -> int:
        """Count the pairs on which the judge failed, in one order or both."""
        return int((self.frame["least"] < self.frame["most"]).sum())


def load_preferences(place: str | Path | Rows) -> Preferences:
    """Read a file of preferences, a folder of them, an engine's table at a URL, or a DataFrame.

    Raises PreferencesUnreadableError, which names the line (CSV), the row (Parquet) or the values
    of the row (an engine), and the column; or StoreUnreadableError.
    """
    tables = open_tables(place, COLUMNS, PreferencesUnreadableError, _EXPECTED)
    rows = pd.concat([_rows(table) for table in tables], ignore_index=True)
    name = str(tables[0].path if len(tables) == 1 else place)
    _refuse_contradictions(name, rows)
    return _in_both_orders(name, rows)


def preferences_of(journal: Journal) -> Preferences:
    """Return the preferences of a run, as `load_preferences` would read its table."""
    rows = pd.DataFrame(
        {
            ID: [each.request_id for each in journal.rows],
            OUTPUT: [each.output for each in journal.rows],
            PREFERENCE: [each.preference for each in journal.rows],
            FIRST: [each.first for each in journal.rows],
            JUDGE: [each.judge for each in journal.rows],
            ERROR: [each.error or None for each in journal.rows],
        }
    )
    texts = {name: "string" for name in COLUMNS if name != PREFERENCE}
    return _in_both_orders(str(journal.path), rows.astype({**texts, PREFERENCE: "float64"}))


def _rows(table: TextTable) -> pd.DataFrame:
    missing = [name for name in (ID, PREFERENCE) if name not in table.names]
    if missing:
        found = ", ".join(table.written) or "nothing: the file is empty"
        problem = f"no column {' and no column '.join(missing)}; found: {found}; {_EXPECTED}"
        raise PreferencesUnreadableError(table.path, problem)
    ids, first = table.texts(ID), table.texts(FIRST)
    table.refuse(ids.isna(), ID, "no request id")
    table.refuse(
        first.notna() & ~first.isin(("primary", "candidate")),
        FIRST,
        "expected primary or candidate",
    )
    texts = table.texts(PREFERENCE)
    words = texts.str.lower()
    known = words.map(_WORDS).astype("float64")
    numbers = pd.to_numeric(words.where(known.isna()), errors="coerce").astype("Float64")
    values = known.fillna(numbers.astype("float64"))
    wrong = texts.notna() & ~((values >= 0) & (values <= 1))
    table.refuse(
        wrong,
        PREFERENCE,
        "expected a number from 0 (the primary's answer is better) to 1 (the candidate's), or "
        "candidate, primary or tie; empty: not known",
    )
    return pd.DataFrame(
        {
            ID: ids,
            OUTPUT: table.texts(OUTPUT),
            PREFERENCE: values,
            FIRST: first,
            JUDGE: table.texts(JUDGE),
            ERROR: table.texts(ERROR),
        }
    )


def _refuse_contradictions(source: str, rows: pd.DataFrame) -> None:
    """Raise PreferencesUnreadableError if a judge has two preferences on a pair in one order."""
    known = rows.loc[rows[PREFERENCE].notna()]
    key = [ID, OUTPUT, JUDGE, FIRST]
    distinct = known.groupby(key, dropna=False, sort=False)[PREFERENCE].nunique()
    several = distinct.loc[distinct > 1]
    if len(several):
        request = several.reset_index()[ID].iloc[0]
        raise PreferencesUnreadableError(
            source,
            f"{len(several):,} pairs have different preferences of the same judge, such as "
            f"{str(request)!r}: the column {JUDGE} tells judges apart, {FIRST} both orders",
        )


def _in_both_orders(name: str, rows: pd.DataFrame) -> Preferences:
    """Join both orders of each pair. The last row of an order counts; a failure is 0 to 1."""
    rows = rows.loc[rows[PREFERENCE].notna() | rows[ERROR].notna()]
    key = [ID, OUTPUT, JUDGE, FIRST]
    # An answer replaces a failure of the same question, even an earlier answer a later failure.
    ordered = rows.assign(known=rows[PREFERENCE].notna()).sort_values("known", kind="stable")
    rows = ordered.drop_duplicates(key, keep="last")
    least, most = rows[PREFERENCE].fillna(0.0), rows[PREFERENCE].fillna(1.0)
    shown = rows[FIRST] == "candidate"
    first = rows[PREFERENCE].where(shown.fillna(False), 1 - rows[PREFERENCE])
    winner = np.sign(rows[PREFERENCE] - 0.5)
    grouped = rows.assign(least=least, most=most, shown_first=first, winner=winner).groupby(
        [ID, OUTPUT, JUDGE], dropna=False, sort=True
    )
    found: pd.DataFrame = grouped.agg(
        least=("least", "mean"),
        most=("most", "mean"),
        first=("shown_first", "mean"),
        orders=(FIRST, "nunique"),
        answered=("winner", "count"),
        low=("winner", "min"),
        high=("winner", "max"),
    ).reset_index()
    complete = (found["orders"] != 1).astype(bool)
    both = (found["orders"] == 2) & (found["answered"] == 2)
    found["first"] = found["first"].where(both)
    found["consistent"] = (found["low"] == found["high"]).astype("boolean").where(both)
    kept = found.loc[complete].drop(columns=["orders", "answered", "low", "high"])
    return Preferences(name, kept.reset_index(drop=True), int((~complete).sum()))


def request_ids(frame: pd.DataFrame) -> Any:
    """Return the distinct request ids of a frame as an Arrow table with the column `judged_id`."""
    return pa.table({"judged_id": pa.array(frame[ID].drop_duplicates().astype("string"))})
