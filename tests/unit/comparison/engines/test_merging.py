"""Counts that are added are those that an engine finds of both."""

from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from comparison.engines.kept.merging import add_counts

MEASURES: Final = {"n": "sum", "low": "least", "high": "largest"}
BY: Final = ("side", "score", "label", "block")


def counts(random: np.random.Generator, size: int, scores: list[float | None]) -> pa.Table:
    """Return counts of which each combination has one row."""
    rows: dict[tuple[object, ...], tuple[object, ...]] = {}
    for _ in range(size):
        score = scores[random.integers(len(scores))]
        key = (
            random.choice(["primary", "candidate", None]),
            score,
            random.choice([0, 1, None]),
            int(random.integers(3)),
        )
        known = random.random() < 0.8
        low, high = random.random(2) if known else (None, None)
        rows[key] = (int(random.integers(1, 9)), low, high)
    columns = (
        zip(*((*key, *found) for key, found in rows.items()), strict=True) if rows else [()] * 7
    )
    types = (
        pa.string(),
        pa.float64(),
        pa.int8(),
        pa.int64(),
        pa.int64(),
        pa.float64(),
        pa.float64(),
    )
    arrays = [pa.array(list(each), kind) for each, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, [*BY, *MEASURES])


def rows_of(table: pa.Table) -> list[str]:
    return sorted(map(repr, table.select([*BY, *MEASURES]).to_pylist()))


@pytest.mark.parametrize("size", [0, 1, 20, 2_000])
@pytest.mark.parametrize("seed", range(5))
def test_counts_are_added_as_an_engine_adds_them(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    scores = [None, float("nan"), 0.0, *random.random(300).round(2).tolist()]
    before, new = counts(random, size, scores), counts(random, 30, scores)
    expected = duckdb.sql(
        "SELECT side, score, label, block, sum(n)::BIGINT AS n, min(low) AS low, max(high) AS high "
        "FROM (FROM before UNION ALL FROM new) GROUP BY ALL"
    )
    found = add_counts(before, new, BY, MEASURES)
    assert rows_of(found) == rows_of(expected.to_arrow_table())
    assert found.schema == before.schema
    assert rows_of(add_counts(before, new.slice(0, 0), BY, MEASURES)) == rows_of(before)


def test_both_zeros_are_one_score() -> None:
    one = {"side": ["a"], "label": pa.array([1], pa.int8()), "block": [0], "n": [1]}
    before, new = (pa.table({**one, "score": [zero]}) for zero in (0.0, -0.0))
    assert add_counts(before, new, BY, {"n": "sum"})["n"].to_pylist() == [2]


def test_sums_of_all_are_one_row() -> None:
    table = pa.table(
        {"n": [3], "low": [0.5], "high": [None]},
        pa.schema([("n", pa.int64()), ("low", pa.float64()), ("high", pa.float64())]),
    )
    found = add_counts(table, table, (), MEASURES).to_pylist()
    assert found == [{"n": 6, "low": 0.5, "high": None}]
