"""Counts are the same wherever the pairs lie, and those that pandas finds."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import comparison.counts.outputs.grids
from comparison.counts.tables import Aggregates, UnknownLabels
from comparison.engines.parquet import ParquetPairs
from comparison.engines.sources import FramePairs
from comparison.engines.tables import TablePairs
from comparison.errors import FlagNotFoundError, SeveralFlagsError
from comparison.evidence.build import evidence
from comparison.evidence.health import minutes_of
from comparison.evidence.notes import label_notes
from comparison.labels import Labels
from comparison.pairs.compaction.runs import compact
from comparison.pairs.reader import read_all, read_pairs
from comparison.pairs.sides import SIDES
from flags.export import attributes
from flags.gate.evidence import Count
from tests.support.counting import aggregate
from tests.support.pair_files import BEGIN, FLAG, OUTPUT, PairFile, Scored, failed
from tests.support.reference_counts import assert_equal, reference

FIRST = datetime.fromtimestamp(BEGIN / 1e9, UTC)
EDGES = {"amount": (0.0, 1.0, 10.0), "never recorded": (1.0,)}


@dataclass(frozen=True)
class Question:
    """Hold what is asked of a folder."""

    since: datetime | None = None
    until: datetime | None = None
    rollout: float | None = None
    labels: pd.DataFrame | None = None
    cutoff: datetime | None = None

    def asked(self, source: Any, flag: str = FLAG) -> Aggregates:
        return aggregate(
            source,
            flag=flag,
            since=self.since,
            until=self.until,
            rollout=self.rollout,
            labels=None if self.labels is None else Labels.of("labels", self.labels),
            label_cutoff=self.cutoff,
            feature_edges=EDGES,
        )

    def expected(self, pairs: Path, flag: str = FLAG) -> Aggregates:
        return reference(
            read_all(pairs),
            flag,
            since=self.since,
            until=self.until,
            rollout=self.rollout,
            labels=self.labels,
            cutoff=self.cutoff,
            edges=EDGES,
        )


def labelled(**labels: bool | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "request_id": pd.array([each.replace("_", "-") for each in labels], "string"),
            "label": pd.array(list(labels.values()), "boolean"),
        }
    )


def sources(pairs: Path, into: Path) -> dict[str, Any]:
    """Show the same pairs as files, as a compacted folder and as a table of an engine."""
    compact(pairs, into)
    files = str(into / "pairs" / "**" / "*.parquet")
    table = ibis.duckdb.connect().read_parquet(files, hive_partitioning=True, union_by_name=True)
    return {
        "files": FramePairs(read_all(pairs)),
        "compacted": ParquetPairs(into),
        "table": TablePairs(table),
    }


scores = st.floats(0, 1) | st.sampled_from([0.0, 0.3, 0.5, 1.0, 1e-9, float("nan"), float("inf")])
sides = st.builds(
    Scored,
    scores,
    st.sampled_from([0.5, 0.5, 0.3, None]),
    st.sampled_from(["ok", "ok", "ok", "error", "timeout", "skipped"]),
    st.none() | st.floats(0, 300),
    st.sampled_from([None, "fraud:1", "fraud:2"]),
)
made = st.tuples(
    sides,
    sides,
    st.fixed_dictionaries(
        {
            "active": st.sampled_from(["primary", "candidate"]),
            "segments": st.dictionaries(st.sampled_from(["channel", "night"]), st.text(max_size=2)),
            "features": st.dictionaries(st.just("amount"), st.floats()),
            "changes": st.fixed_dictionaries(
                {},
                optional={
                    attributes.ROLLOUT: st.sampled_from([None, 0.0, 10.0, 50.0]),
                    attributes.UNIT: st.sampled_from(["ada", "bob"]),
                    attributes.STICKINESS: st.sampled_from(["requestId", "userId"]),
                },
            ),
        }
    ),
    st.sampled_from([1, 1, 1, 2]),
)
moments = st.none() | st.integers(-1, 15).map(lambda n: FIRST + timedelta(milliseconds=10 * n))
labels = st.none() | st.dictionaries(
    st.integers(1, 14).map(lambda n: f"worker_1_request_{n}"), st.booleans() | st.none()
).map(lambda known: labelled(**known))
questions = st.builds(Question, moments, moments, st.sampled_from([None, 10.0]), labels, moments)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(made, min_size=1, max_size=14), questions, st.booleans())
def test_files_folder_and_table_give_the_counts_that_pandas_finds(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[Any],
    question: Question,
    again: bool,
) -> None:
    folder = tmp_path_factory.mktemp("aggregate")
    files = {
        1: PairFile(folder / "pairs"),
        2: PairFile(folder / "pairs", "worker-2", flag="another"),
    }
    for primary, candidate, options, flag in [(Scored(), Scored(), {}, 1), *pairs]:
        files[flag].pair(primary, candidate, **options)
    if again:
        first = files[1].path
        (folder / "pairs" / "again.jsonl").write_bytes(first.read_bytes())
    wanted = question.expected(folder / "pairs")
    for name, source in sources(folder / "pairs", folder / "compacted").items():
        if name == "table" and again:
            continue  # what `compact` left out is not in its files: nobody can count it there
        assert_equal(question.asked(source), wanted)


def test_a_table_that_holds_pairs_twice_counts_them_once(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs")
    for score in (0.2, 0.6, 0.8):
        file.pair(Scored(score), Scored(1 - score), segments={"channel": "web"})
    wanted = Question().asked(FramePairs(read_all(tmp_path / "pairs")))
    table = sources(tmp_path / "pairs", tmp_path / "into")["table"].table()
    twice = ibis.union(table, table.filter(table.sequence < 3))
    found = Question().asked(TablePairs(twice, "twice"))
    assert found.duplicates == 2
    assert_equal(replace(found, duplicates=0), wanted)


def test_counts_of_two_windows_add_up_to_those_of_both(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for number in range(40):
        file.pair(Scored(number / 40), Scored((number * 7 % 40) / 40, threshold=0.3))
    middle = FIRST + timedelta(milliseconds=10 * 20)
    source = FramePairs(read_all(tmp_path))
    whole, early, late = (
        aggregate(source, flag=FLAG, since=since, until=until)
        for since, until in ((None, None), (None, middle), (middle, None))
    )
    [every] = whole.outputs
    parts = [window.outputs[0] for window in (early, late)]
    assert all(part.grid == every.grid for part in parts)
    for name, by in (
        ("joint", ["primary_score", "candidate_score"]),
        ("scores", ["side", "score", "primary_alarm"]),
        ("alarms", ["period", "primary_alarm", "candidate_alarm"]),
    ):
        added = pd.concat([getattr(part, name) for part in parts]).groupby(by)["n"].sum()
        pd.testing.assert_series_equal(added, getattr(every, name).groupby(by)["n"].sum())


def test_scores_of_any_range_are_counted_alike(
    tmp_path: Path,
) -> None:
    file = PairFile(tmp_path / "pairs")
    for number in range(30):
        file.pair(Scored(number * 1e3 - 5e3, 2e3), Scored(-(number**5) / 7, 2e3))
    wanted = Question().expected(tmp_path / "pairs")
    for source in sources(tmp_path / "pairs", tmp_path / "into").values():
        assert_equal(Question().asked(source), wanted)


def test_alarms_at_a_score_that_is_the_threshold_are_exact(tmp_path: Path) -> None:
    """What is rounded stays on its side of the threshold."""
    threshold = 0.731454
    file = PairFile(tmp_path)
    below = threshold - 2**-53
    for score in (threshold, below, threshold + 2**-53):
        file.pair(Scored(score, threshold), Scored(score, threshold))
    [output] = aggregate(FramePairs(read_all(tmp_path)), flag=FLAG).outputs
    joint = output.joint
    assert joint.loc[joint["primary_score"] >= threshold, "n"].sum() == 2
    assert output.alarms.loc[output.alarms["primary_alarm"], "n"].sum() == 2


def test_of_very_many_thresholds_the_most_frequent_are_edges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison.counts.outputs.grids, "MOST_THRESHOLDS", 2)
    file = PairFile(tmp_path)
    for number in range(12):
        file.pair(Scored(0.5, 0.123), Scored(0.5, 0.456 if number % 2 else number / 100))
    [output] = aggregate(FramePairs(read_all(tmp_path)), flag=FLAG).outputs
    assert output.grid.thresholds == (0.123, 0.456)
    assert len(output.thresholds["candidate"]) == 7


def test_flips_are_the_fifty_of_each_direction_with_the_largest_difference(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for number in range(150):
        file.pair(Scored(0.5 + number / 400), Scored(0.4))
    for number in range(3):
        file.pair(Scored(0.4), Scored(0.6 + number / 100))
    file.pair(Scored(0.9), failed("timeout"))
    [output] = aggregate(FramePairs(read_all(tmp_path)), flag=FLAG).outputs
    flips = output.flips
    lost, new = flips.loc[~flips["candidate_alarm"]], flips.loc[flips["candidate_alarm"]]
    assert lost["request_id"].tolist() == [f"worker-1-request-{150 - n}" for n in range(50)]
    assert new["request_id"].tolist() == [f"worker-1-request-{153 - n}" for n in range(3)]
    sizes = (flips["primary_score"] - flips["candidate_score"]).abs()
    assert sizes.is_monotonic_decreasing
    assert output.alarms["n"].sum() == 153


@pytest.mark.parametrize("kind", ["files", "compacted", "table"])
def test_exceptions_and_missing_scores_are_counted_by_side_wherever_the_pairs_lie(
    tmp_path: Path, kind: str
) -> None:
    file = PairFile(tmp_path / "pairs")
    for _ in range(3):
        file.pair(Scored(0.2), failed("error", "ValueError"))
    file.pair(failed("error", "OSError"), failed("timeout", "TimeoutError"))
    file.pair(Scored(0.2), failed("error"))  # nobody recorded which
    file.pair(replace(Scored(0.2), error="CallerLeftError"), Scored(0.3))
    file.pair(Scored(0.2), Scored(float("nan")))
    source = sources(tmp_path / "pairs", tmp_path / "compacted")[kind]
    found = aggregate(source, flag=FLAG)
    assert found.errors == {
        "primary": {"OSError": 1},
        "candidate": {"TimeoutError": 1, "ValueError": 3},
    }
    assert [output.unscored_by_side for output in found.outputs] == [{"primary": 0, "candidate": 1}]


def test_pairs_of_one_flag_alone_can_be_counted(tmp_path: Path) -> None:
    PairFile(tmp_path).pair(Scored({"a": 0.3, "b": 0.4}), Scored({"a": 0.3, "b": 0.6}))
    found = aggregate(read_pairs(tmp_path))
    assert [output.name for output in found.outputs] == ["a", "b"]
    assert_equal(found, aggregate(FramePairs(read_all(tmp_path))))


def test_an_output_can_be_asked_for_that_nobody_scored(tmp_path: Path) -> None:
    PairFile(tmp_path).pair()
    [output] = aggregate(FramePairs(read_all(tmp_path)), outputs=["other"]).outputs
    assert (output.name, output.unscored, len(output.joint)) == ("other", 1, 0)


def test_outputs_are_in_the_order_in_which_they_appeared(tmp_path: Path) -> None:
    """Whatever the order of the files that have them."""
    late, early = PairFile(tmp_path / "pairs"), PairFile(tmp_path / "pairs", "a-worker")
    later = late.span(Scored({"b": 0.1}), Scored({"b": 0.2}))
    later["startTimeUnixNano"] = str(BEGIN + 86_400_000_000_000)
    late.write(later)
    compact(tmp_path / "pairs", tmp_path / "into")
    early.pair(Scored({"z": 0.3, "a": 0.3, "b": 0.1}), Scored({"z": 0.4, "a": 0.2, "b": 0.5}))
    compact(tmp_path / "pairs", tmp_path / "into")
    for every in (read_all(tmp_path / "into"), ParquetPairs(tmp_path / "into")):
        source = every if isinstance(every, ParquetPairs) else FramePairs(every)
        found = aggregate(source, flag=FLAG)
        assert [output.name for output in found.outputs] == ["b", "z", "a"]


@pytest.mark.parametrize("kind", ["files", "compacted"])
def test_flags_are_asked_for_where_there_are_several(tmp_path: Path, kind: str) -> None:
    for worker, flag in (("w1", "a"), ("w2", "b")):
        PairFile(tmp_path / "pairs", worker, flag=flag).pair()
    source = sources(tmp_path / "pairs", tmp_path / "into")[kind]
    with pytest.raises(SeveralFlagsError, match="2 flags: a, b"):
        aggregate(source)
    with pytest.raises(FlagNotFoundError, match="only of: a, b"):
        aggregate(source, flag="c")
    assert aggregate(source, flag="b").pairs["n"].sum() == 1


def test_a_label_counts_once_for_a_request_that_was_repeated(tmp_path: Path) -> None:
    """Two hundred requests with one id are one label, not two hundred."""
    file = PairFile(tmp_path / "pairs")
    for request in ("r-1", "r-2", "r-2", "r-2", "r-3"):
        file.pair(changes={attributes.REQUEST_ID: request})
    question = Question(labels=labelled(r_1=True, r_2=True))
    found = question.asked(FramePairs(read_all(tmp_path / "pairs")))
    assert_equal(found, question.expected(tmp_path / "pairs"))
    assert found.repeated_labels == 2
    assert found.outputs[0].coverage["n"].sum() == 3
    labels = found.outputs[0].alarms
    assert labels.loc[labels["label"].fillna(False), "n"].sum() == 2
    [note] = [each for each in label_notes(found, (), None) if "repeat" in each]
    assert note.startswith("2 pairs repeat the id of a labelled request")


def test_each_output_counts_its_own_labels(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs")
    for cat in (0.9, 0.2, 0.7, 0.1):
        file.pair(*(Scored({"cat": cat, "dog": 1 - cat}) for _ in SIDES))
    source = FramePairs(read_all(tmp_path / "pairs"))
    ids = [f"worker-1-request-{n}" for n in range(1, 5)]
    frame = pd.DataFrame(
        {
            "request_id": ids,
            "label.cat": pd.array([True, False, None, None], "boolean"),
            "label.dog": pd.array([None, True, False, None], "boolean"),
        }
    )
    found = aggregate(source, labels=Labels.of("labels", frame))
    caught = {
        each.name: {
            (bool(row.primary_alarm), None if pd.isna(row.label) else bool(row.label)): row.n
            for row in each.alarms.itertuples()
        }
        for each in found.outputs
    }
    assert caught["cat"] == {(True, True): 1, (False, False): 1, (True, None): 1, (False, None): 1}
    assert caught["dog"] == {(True, True): 1, (False, False): 1, (True, None): 1, (False, None): 1}
    one = frame[["request_id", "label.cat"]].rename(columns={"label.cat": "label"})
    found = aggregate(source, labels=Labels.of("labels", one))
    assert [each.coverage.empty for each in found.outputs] == [True, True]
    assert all(each.alarms["label"].isna().all() for each in found.outputs)


@pytest.mark.parametrize("kind", ["files", "compacted", "table"])
def test_two_flags_in_one_folder_do_not_touch_each_other(tmp_path: Path, kind: str) -> None:
    """Segments, outputs and labels of another flag are nothing to this one."""
    for flag, output, segment in (("a", "fraud", "channel"), ("b", "churn", "country")):
        file = PairFile(tmp_path / "pairs", f"worker-{flag}", flag=flag)
        for score in (0.2, 0.8):
            file.pair(*(Scored({output: score}) for _ in SIDES), segments={segment: "x"})
    source = sources(tmp_path / "pairs", tmp_path / "into")[kind]
    frame = pd.DataFrame(
        {
            "request_id": [f"worker-{flag}-request-1" for flag in "ab"],
            "label.fraud": pd.array([True, None], "boolean"),
            "label.churn": pd.array([None, False], "boolean"),
        }
    )
    found = aggregate(source, flag="a", labels=Labels.of("labels", frame))
    [output] = found.outputs
    assert output.name == "fraud"
    assert output.segments["segment"].tolist() == ["channel", "channel"]
    assert output.coverage["n"].sum() == 2
    assert found.unknown_labels == UnknownLabels(0, 2)
    [built] = evidence(
        found, source="pairs", since=FIRST, until=FIRST + timedelta(days=1), rollout=10.0
    ).outputs
    assert [(each.segment, each.value) for each in built.segments] == [("channel", "x")]


@pytest.mark.parametrize("kind", ["files", "compacted"])
def test_no_pairs_make_empty_tables(tmp_path: Path, kind: str) -> None:
    (tmp_path / "pairs").mkdir()
    compact(tmp_path / "pairs", tmp_path / "into")
    source = (
        ParquetPairs(tmp_path / "into")
        if kind == "compacted"
        else FramePairs(read_all(tmp_path / "pairs"))
    )
    found = aggregate(source, labels=Labels.of("labels", labelled(x=True)), feature_edges=EDGES)
    assert found.outputs == ()
    assert found.unknown_labels == UnknownLabels(1, 1, ("x",), ())
    for table in (found.pairs, found.workers, found.durations, found.features):
        assert table.empty


def test_a_whole_day_outside_the_window_is_not_opened(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs")
    file.pair()
    later = file.span()
    later["startTimeUnixNano"] = str(BEGIN + 3 * 86_400_000_000_000)
    file.write(later)
    compact(tmp_path / "pairs", tmp_path / "into")
    source = ParquetPairs(tmp_path / "into")
    assert source.table().count().to_pyarrow().as_py() == 2
    [early] = (tmp_path / "into" / "pairs").glob("*/date=2025-11-23/*.parquet")
    with early.open("r+b") as cut:
        cut.seek(8)
        cut.write(b"\xff" * 64)
    since = FIRST + timedelta(days=2)
    found = aggregate(source, since=since, until=since + timedelta(days=2), flag=FLAG)
    assert found.outputs[0].name == OUTPUT
    assert found.pairs["n"].sum() == 1


def test_shadows_scored_both_ways_are_counted_wherever_they_lie(tmp_path: Path) -> None:
    """Batches of one are none, and most shadows are in one without having been scored singly."""
    writer = PairFile(tmp_path / "pairs")
    for size, agrees in ((8, True), (8, False), (8, True), (8, None), (1, None), (None, None)):
        changes: dict[str, object] = {
            attributes.SHADOW_BATCH: size,
            attributes.SHADOW_AGREES: agrees,
        }
        writer.pair(changes={name: value for name, value in changes.items() if value is not None})

    for source in sources(tmp_path / "pairs", tmp_path / "into").values():
        found = aggregate(source, flag=FLAG)
        assert found.batched == (1, 3)
        judged = evidence(
            found, source="pairs", since=FIRST, until=FIRST + timedelta(hours=1), rollout=10.0
        )
        assert judged.integrity.batch_disagreement == Count(1, 3)


def test_a_budget_is_known_by_its_shares_wherever_the_pairs_lie(tmp_path: Path) -> None:
    writer = PairFile(tmp_path / "pairs")
    for share, status in ((0.5, "ok"), (0.25, "skipped"), (0.5, "error"), (None, "skipped")):
        changes: dict[str, object] = {} if share is None else {attributes.SHADOW_SHARE: share}
        writer.pair(candidate=Scored(status=status), changes=changes)

    for source in sources(tmp_path / "pairs", tmp_path / "into").values():
        assert aggregate(source, flag=FLAG).sampled == (2, 3, 1.25, 0.5625)


def test_pairs_without_batches_have_no_count_of_them(tmp_path: Path) -> None:
    PairFile(tmp_path / "pairs").pair()

    assert aggregate(read_pairs(tmp_path / "pairs")).batched is None


def test_minutes_of_the_last_day_are_counted_whoever_sends_the_requests(tmp_path: Path) -> None:
    file, hour = PairFile(tmp_path), 3_600_000_000_000
    candidates = [Scored(duration=0.3), failed("error"), failed("timeout"), failed("shed")]
    for minute, candidate in [(0, candidates[0]), *((1_500, each) for each in candidates)]:
        span = file.span(Scored(duration=0.1), candidate)
        for place, name in enumerate(("startTimeUnixNano", "endTimeUnixNano")):
            span[name] = str(BEGIN + minute * hour // 60 + file.given + place)
        file.write(span)
    counted = aggregate(FramePairs(read_all(tmp_path)), flag=FLAG)
    assert counted.minutes is not None
    [minute] = minutes_of(counted.minutes)
    assert minute.number == BEGIN // (hour // 60) + 1_500
    assert minute.failed == pytest.approx(2 / 3)
    assert minute.primary == pytest.approx(0.1, rel=0.06)
    assert minute.candidate == pytest.approx(0.3, rel=0.06)
