"""What numpy counts of rows in this process is what the engine would count."""

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import comparison.counts.grids
import comparison.counts.output_counts
import comparison.counts.requests
import comparison.counts.step
import comparison.engines.batches
from comparison.counts.aggregate import aggregate
from comparison.counts.many_scores import ManyScores
from comparison.counts.score_grid import ScoreGrid
from comparison.engines.batches import count_keys, repeated_keys
from tests.support.drawn_pairs import FLAG, drawn_pairs, table_of
from tests.support.reference_counts import assert_equal

KEYS = st.lists(st.integers(-(2**40), 2**40) | st.integers(0, 3), max_size=60)
TRUTHS = st.sampled_from([True, False, None])
SCORES = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 0.5, 0.75, 100.0])
ROWS = st.lists(st.tuples(SCORES, SCORES, TRUTHS, TRUTHS), min_size=1, max_size=40)


@given(keys=KEYS)
def test_keys_are_counted_whatever_the_batches(keys: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison.engines.batches, "BATCH_ROWS", 7)
        patch.setattr(comparison.engines.batches, "_MOST_PENDING", 9)
        rows = ibis.memtable(pa.table({"key": np.array(keys, np.int64)}))
        found = count_keys(rows)
        again = repeated_keys(rows).tolist()
    expected = pd.Series(keys, dtype="int64").value_counts().sort_index()
    assert found["key"].tolist() == expected.index.tolist()
    assert found["n"].tolist() == expected.tolist()
    assert again == expected.index[expected > 1].tolist()


@given(rows=ROWS, digits=st.sampled_from([2, 8, 16]))
def test_scores_are_counted_as_pandas_groups_them(rows: list[Any], digits: int) -> None:
    names = ["primary_score", "candidate_score", "primary_alarm", "label"]
    frame = pd.DataFrame(rows, columns=names).astype(
        {"primary_alarm": "boolean", "label": "boolean"}
    )
    grid = ScoreGrid(digits, 2, (0.5,))
    held = ManyScores.of(ibis.memtable(pa.Table.from_pandas(frame, preserve_index=False)))
    for side in ("primary", "candidate"):
        exact = frame[f"{side}_score"]
        expected = (
            frame.assign(score=grid.scores(exact), exact=exact)
            .groupby(["score", "primary_alarm", "label"], dropna=False)["exact"]
            .agg(low="min", high="max", n="count")
            .reset_index()
            .sort_values(["score", "primary_alarm", "label"], ignore_index=True)
        )
        pd.testing.assert_frame_equal(held.counts(side, grid), expected, check_exact=True)
    both = frame.assign(**{n: grid.joint_scores(frame[n]) for n in names[:2]})
    counted = both.groupby([*names[:2], "label"], dropna=False).size().rename("n").reset_index()
    joint = counted.sort_values([*names[:2], "label"], ignore_index=True)
    pd.testing.assert_frame_equal(held.joint(grid), joint, check_exact=True)


def test_an_engine_that_groups_itself_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    pairs = drawn_pairs()
    again = pairs.sample(20, random_state=3)
    again = again.assign(span_id=[f"again{n}" for n in range(20)], time=again["time"] + 1)
    pairs = pd.concat([pairs, again], ignore_index=True)
    pairs = pairs.assign(
        **{
            f"{side}_{what}": rng.random(len(pairs))
            for side in ("primary", "candidate")
            for what in ("score.score", "duration")
        },
        **{f"{side}_threshold.score": 0.5 for side in ("primary", "candidate")},
        sequence=np.arange(len(pairs)),
    )
    monkeypatch.setattr(comparison.counts.grids, "MOST_SCORES", 50)
    here = aggregate(table_of(pairs), flag=FLAG)
    for module in (
        comparison.counts.output_counts,
        comparison.counts.requests,
        comparison.counts.step,
    ):
        monkeypatch.setattr(module, "is_here", lambda _table: False)
    there = aggregate(table_of(pairs), flag=FLAG)
    assert here.outputs[0].grid.digits < 53
    assert_equal(here, there)
