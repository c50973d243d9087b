"""What numpy counts of the rows that DuckDB hands over is what DuckDB counts of them."""

import math
from typing import Final

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from comparison.counts.durations import _durations
from comparison.counts.outputs.counts import OutputCounts
from comparison.counts.outputs.grids import OutputGrid
from comparison.counts.outputs.rows import OUTPUT, ByOutput, OutputRows
from comparison.counts.outputs.score_grid import EXACT, ScoreGrid
from comparison.engines import one_pass
from comparison.engines.arrays import group
from comparison.engines.embedded import connect, register_unnamed
from comparison.engines.grouping import HOUR
from comparison.engines.mergeable import MergeableCounts
from comparison.engines.one_pass import counted_once

CONNECTION: Final = connect()
SCORES: Final = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
    st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.75, 1.0, 50.0, 100.0, 1e300, -1e300, 5e-324]),
)
TRUTHS: Final = st.sampled_from([True, False, None])
THRESHOLDS: Final = st.lists(st.floats(0, 1), max_size=3, unique=True).map(sorted)
ROWS: Final = st.lists(st.tuples(st.integers(0, 2), SCORES, SCORES, TRUTHS, TRUTHS), max_size=60)


def compared(counts: MergeableCounts, table: ir.Table) -> ir.Table:
    """Count both ways, and hold them against each other."""
    assert counts.arrays is not None
    found = counted_once(counts, table)
    tables = [counts.fetched(each).to_pandas() for each in (counts.statement(table), found)]
    columns = [*counts.by, *counts.measures]
    every, in_arrays = (
        each[columns].sort_values(list(counts.by), ignore_index=True) for each in tables
    )
    assert_frame_equal(every, in_arrays, check_dtype=False, check_exact=True)
    return found


@settings(max_examples=25, deadline=None)
@given(ROWS, st.integers(1, 3), st.sampled_from([3, 14, EXACT]), THRESHOLDS)
def test_scores_of_both_sides_are_counted_alike(
    rows: list[tuple[int, float, float, bool | None, bool | None]],
    outputs: int,
    digits: int,
    thresholds: list[float],
) -> None:
    every = ByOutput(tuple(range(outputs)))
    names = (OUTPUT, "primary_score", "candidate_score", "primary_alarm", "given")
    types = (pa.int16(), pa.float64(), pa.float64(), pa.bool_(), pa.bool_())
    inside = [row for row in rows if row[0] < outputs]
    held = {
        name: pa.array([row[place] for row in inside], kind)
        for place, (name, kind) in enumerate(zip(names, types, strict=True))
    }
    if outputs == 1:
        del held[OUTPUT]
    table = register_unnamed(CONNECTION, pa.table(held))
    laid = ScoreGrid(digits, min(digits, 5), tuple(thresholds))
    grid = OutputGrid("o", laid, {}, 0, {}, decides=True, is_quiet=False)
    counts = OutputCounts(
        OutputRows(every, table, (), lambda counts: compared(counts, table)),
        [grid] * outputs,
        HOUR,
    )
    scores = counts._scores()
    joint = counts._joint(dict.fromkeys(range(outputs), laid))
    assert sum(int(each["n"].sum()) for each in scores.values()) == 2 * len(inside)
    assert sum(int(each["n"].sum()) for each in joint.values()) == len(inside)


SECONDS: Final = st.one_of(
    st.floats(0, 200), st.sampled_from([0.0, -1.0, math.nan, math.inf, None, 128.0, 0.001])
)
PAIRS: Final = st.lists(
    st.tuples(
        st.integers(-3, 3),
        st.sampled_from([1, 2, 2_950_000]),
        st.integers(1, 9) | st.none(),
        *[st.sampled_from(["ok", "error", None]), SECONDS] * 2,
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(PAIRS, st.sampled_from([0, 4]), st.sampled_from([None, HOUR // 6]))
def test_durations_are_counted_alike_at_the_ends_of_blocks_too(
    pairs: list[tuple[object, ...]], warm_up: int, length: int | None
) -> None:
    columns = {
        "time": pa.array([int(p[0]) + int(p[1]) * HOUR // 6 for p in pairs], pa.int64()),  # type: ignore[call-overload]
        "sequence": pa.array([p[2] for p in pairs], pa.int64()),
        "primary_status": pa.array([p[3] for p in pairs], pa.string()),
        "primary_duration": pa.array([p[4] for p in pairs], pa.float64()),
        "candidate_status": pa.array([p[5] for p in pairs], pa.string()),
        "candidate_duration": pa.array([p[6] for p in pairs], pa.float64()),
    }
    compared(_durations(warm_up, length), register_unnamed(CONNECTION, pa.table(columns)))


@pytest.mark.parametrize("parts", [2, 100])
def test_many_batches_add_up_to_one(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    table = pa.table(
        {
            "time": random.integers(0, 100 * HOUR, 40_000),
            "sequence": np.arange(40_000),
            "primary_status": ["ok"] * 40_000,
            "primary_duration": random.lognormal(-5, 1, 40_000),
            "candidate_status": ["ok"] * 40_000,
            "candidate_duration": random.lognormal(-5, 1, 40_000),
        }
    )
    monkeypatch.setattr(one_pass, "BATCH", 3_000)
    monkeypatch.setattr(one_pass, "_MAX_PENDING", parts)
    compared(_durations(5, HOUR // 6), register_unnamed(CONNECTION, table))


@pytest.mark.parametrize("parts", [2, 100])
def test_missing_truths_of_many_batches_add_up_as_well(
    parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(2)
    size = 40_000
    laid = ScoreGrid(6, 6, (0.5,))

    def truth() -> pa.Array:
        return pa.array(random.integers(0, 2, size) > 0, mask=random.random(size) < 0.2)

    held = {
        **{f"{side}_score": random.random(size) for side in ("primary", "candidate")},
        **{name: truth() for name in ("primary_alarm", "given")},
    }
    table = register_unnamed(CONNECTION, pa.table(held))
    rows = OutputRows(ByOutput((0,)), table, (), lambda counts: compared(counts, table))
    monkeypatch.setattr(one_pass, "BATCH", 3_000)
    monkeypatch.setattr(one_pass, "_MAX_PENDING", parts)
    grid = OutputGrid("o", laid, {}, 0, {}, decides=True, is_quiet=False)
    scores = OutputCounts(rows, [grid], HOUR)._scores()[0]
    assert scores["label"].isna().any()
    assert int(scores["n"].sum()) == 2 * size


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-(2**40), 2**40), st.sampled_from([0, 1, -1]), st.floats(-9, 9)))
)
def test_groups_are_those_of_pandas(rows: list[tuple[int, int, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b", "v"]).astype({"a": "int64", "b": "int8"})
    columns = {name: frame[name].to_numpy() for name in ("a", "b")}
    columns |= {name: frame["v"].to_numpy(dtype=float) for name in ("low", "high")}
    measures = {"n": "sum", "low": "least", "high": "largest"}
    found = group(columns, ["a", "b"], measures).to_pandas()
    expected = frame.groupby(["a", "b"], as_index=False).agg(
        n=("v", "size"), low=("v", "min"), high=("v", "max")
    )
    expected["b"] = expected["b"].astype("float").where(expected["b"] >= 0)
    ordered = (
        each.astype({"b": "float", "n": "int64"}).sort_values(["a", "b"], ignore_index=True)
        for each in (found, expected)
    )
    assert_frame_equal(*ordered, check_dtype=False, check_exact=True)
