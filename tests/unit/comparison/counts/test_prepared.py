"""The pairs of a window are prepared once, and give what each question would find by itself."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comparison.counts.drawn.pairs import DrawnPairs
from comparison.counts.labels.sides import LabelledSides
from comparison.counts.prepared import PreparedPairs
from comparison.engines.embedded import connect
from comparison.engines.grouping import framed
from comparison.engines.parquet import ParquetPairs
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.labels import Labels, load_labels
from flags.playbook.model import Playbook
from load_tests import generated_pairs
from tests.support.drawn_pairs import BEGIN, FLAG, drawn_pairs, table_of

NOW = BEGIN + timedelta(hours=120)
MOST_STATEMENTS = 112
"""Of one look at one output with labels, those of ibis about the engine itself included.

What is kept is fetched as it was counted, and then read: two statements for each of 20 counts.
"""
REQUESTS = {
    "request_id": "string",
    "unit": "string",
    "rollout": "float64",
    "first": "int64",
    "low": "int64",
    "high": "int64",
    "flip": "Int64",
}


def labels_of(pairs: pd.DataFrame, seed: int) -> Labels:
    """Label nine of ten requests, a few with no truth."""
    rng = np.random.default_rng(seed)
    ids = pairs["request_id"].drop_duplicates().sample(frac=0.9, random_state=seed)
    truths = rng.choice(np.array([True, False, None], dtype=object), len(ids), p=[0.2, 0.7, 0.1])
    frame = {"request_id": pd.array(ids, "string"), "label": pd.array(truths, "boolean")}
    return Labels.of("labels", pd.DataFrame(frame))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("users", [60, None])
def test_requests_that_are_prepared_are_those_of_the_pairs(seed: int, users: int | None) -> None:
    pairs = drawn_pairs(seed=seed, users=users)
    again = pairs.sample(30, random_state=seed)
    again = again.assign(
        span_id=[f"again{number}" for number in range(30)], time=again["time"] + 10**9
    )
    pairs = pd.concat([pairs, again], ignore_index=True)
    source, labels, before = table_of(pairs), labels_of(pairs, seed), NOW - timedelta(hours=20)
    prepared = PreparedPairs.of(source, flag=FLAG, until=NOW, labels=labels)
    requests = prepared.drawn(FLAG, None, NOW)
    assert requests is not None
    joined, apart = (
        DrawnPairs.of(source, FLAG, None, NOW, requests),
        DrawnPairs.of(source, FLAG, None, NOW),
    )
    found, expected = (
        framed(each.requests, REQUESTS).sort_values("request_id", ignore_index=True)
        for each in (joined, apart)
    )
    assert len(found) == len(pairs) - 30
    pd.testing.assert_frame_equal(found, expected)
    sides = [LabelledSides.of(each, labels, before) for each in (joined, apart)]
    coverages = [
        each.coverage().sort_values(["candidate", "labelled"], ignore_index=True) for each in sides
    ]
    pd.testing.assert_frame_equal(*coverages)
    counts, others = (each.count(table) for each, table in zip(sides, coverages, strict=True))
    pd.testing.assert_frame_equal(counts.cells, others.cells)
    pd.testing.assert_frame_equal(counts.novelty, others.novelty)
    assert (counts.used, counts.units, counts.mixed) == (others.used, others.units, others.mixed)


def test_pairs_of_another_time_flag_or_rollout_are_not_taken_for_those_that_were_drawn() -> None:
    pairs = drawn_pairs()
    source, labels = table_of(pairs), labels_of(pairs, 1)
    begin, end = BEGIN + timedelta(hours=1), NOW - timedelta(hours=1)
    prepared = PreparedPairs.of(source, flag=FLAG, since=begin, until=end, labels=labels)
    assert prepared.drawn(FLAG, begin, end) is not None
    assert prepared.drawn(FLAG, None, end) is None
    assert prepared.drawn(FLAG, BEGIN, end) is None
    assert prepared.drawn(FLAG, begin, NOW) is None
    assert prepared.drawn("another", begin, end) is None
    at_ten = PreparedPairs.of(source, flag=FLAG, rollout=10.0, until=NOW, labels=labels)
    assert at_ten.drawn(FLAG, None, NOW) is None
    assert PreparedPairs.of(source, flag=FLAG, until=NOW).drawn(FLAG, None, NOW) is None


def test_a_look_joins_labels_once_and_asks_few_questions(tmp_path: Path) -> None:
    generated_pairs.write_pairs(tmp_path / "pairs", 400, labels=tmp_path / "labels.parquet")
    connection, log = connect(), tmp_path / "statements.sql"
    source = ParquetPairs(tmp_path / "pairs", connection)
    labels = load_labels(tmp_path / "labels.parquet")
    connection.con.execute(f"SET log_query_path = '{log}'")
    _, judgement = judge(
        FlagPairs(generated_pairs.FLAG, source),
        Playbook(flag=generated_pairs.FLAG, label_cut_off=timedelta(0)),
        now=generated_pairs.BEGIN + timedelta(days=generated_pairs.DAYS),
        step="10",
        window=TimeWindow(),
        additions=Additions(labels),
    )
    assert judgement.verdict.checks
    said = log.read_text()
    joins = [line for line in said.splitlines() if "JOIN" in line and "label_request_id" in line]
    assert len(joins) == 1
    assert 'AS "again"' not in said  # by hashes, no request has several pairs: none is grouped
    assert sum("SELECT" in line for line in said.splitlines()) <= MOST_STATEMENTS
