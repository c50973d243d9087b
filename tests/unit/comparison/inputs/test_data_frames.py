"""Labels, outcomes and preferences as a DataFrame: read as a file with its content."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest

import comparison
from comparison.errors import (
    LabelsUnreadableError,
    OutcomesUnreadableError,
    PreferencesUnreadableError,
)
from comparison.inputs.data_frames import Rows
from comparison.judges.preferences import load_preferences
from comparison.labels import LabelFiles, load_labels
from comparison.outcomes import load_outcomes
from tests.support.pair_files import PairFile, Scored

IDS = ["r1", "r2", "r3", "r4"]
TRUTHS = pd.DataFrame({"request_id": IDS, "label": [1, 0, None, 1]})


def known(given: Rows | str | Path) -> dict[str, Any]:
    """Return the known labels by request."""
    return dict(load_labels(given).frame.set_index("request_id")["label"])


def written(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "handed.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([1, 0, None, 1], id="doubles, since one is missing"),
        pytest.param(pd.array([1, 0, None, 1], dtype="Int64"), id="nullable integers"),
        pytest.param(pd.array([True, False, None, True], dtype="boolean"), id="nullable truths"),
        pytest.param(pd.Categorical(["yes", "no", None, "yes"]), id="a category"),
        pytest.param(np.array([True, False, np.nan, True], dtype=object), id="objects"),
        pytest.param(pd.array(["1", "0", None, "1"], dtype="string[pyarrow]"), id="Arrow texts"),
        pytest.param(["true", "FALSE", "", "Yes"], id="words"),
        pytest.param(["+1", "-1", pd.NA, "+1"], id="signs"),
    ],
)
def test_truths_of_any_dtype_are_those_of_a_file(labels: Any) -> None:
    frame = pd.DataFrame({"request_id": IDS, "label": labels})
    assert known(frame) == {"r1": True, "r2": False, "r4": True}


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param([7, 8, 9, 10], id="integers"),
        pytest.param(np.array([7.0, 8.0, 9.0, 10.0]), id="doubles that are whole"),
        pytest.param(pd.array([7, 8, 9, 10], dtype="UInt32"), id="nullable integers"),
        pytest.param(pd.Categorical([7, 8, 9, 10]), id="a category"),
        pytest.param(["7", "8", "9", "10"], id="texts"),
        pytest.param(np.array([7, "8", 9.0, 10], dtype=object), id="objects"),
    ],
)
def test_ids_of_any_dtype_are_the_texts_of_the_pairs(ids: Any) -> None:
    assert set(known(pd.DataFrame({"request_id": ids, "label": 1}))) == {"7", "8", "9", "10"}


def test_ids_may_be_uuids_and_may_be_the_index() -> None:
    ids = [uuid.UUID(int=number) for number in range(4)]
    frame = TRUTHS.assign(request_id=ids, more=[[], {}, (), b""]).set_index("request_id")
    assert known(frame) == {str(ids[0]): True, str(ids[1]): False, str(ids[3]): True}
    assert known(frame["label"]) == known(frame)


def test_tables_of_arrow_and_polars_are_taken_as_data_frames() -> None:
    assert known(pa.Table.from_pandas(TRUTHS)) == known(TRUTHS)
    assert known(polars.DataFrame({"request_id": IDS, "label": [1, 0, None, 1]})) == known(TRUTHS)
    dictionary = pa.table({"request_id": pa.array(IDS).dictionary_encode(), "label": [0, 1, 1, 0]})
    assert known(dictionary) == {"r1": False, "r2": True, "r3": True, "r4": False}


def test_true_values_of_numbers_lose_no_digit(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 1e-7, -1234567.891, 1e22]
    frame = pd.DataFrame({"request_id": IDS, "label": values})
    assert known(frame) == dict(zip(IDS, values, strict=True))
    assert known(frame) == known(written(frame, tmp_path))


def test_the_last_label_counts_by_times_of_any_zone() -> None:
    times = pd.to_datetime(["2026-03-02T12:00+01:00", "2026-03-02T11:30+00:00"], utc=True)
    frame = pd.DataFrame(
        {"request_id": "r1", "label": [0, 1], "labelled_at": times.tz_convert("Asia/Tokyo")}
    )
    assert known(frame) == known(frame.iloc[::-1]) == {"r1": True}
    texts = frame.assign(labelled_at=frame["labelled_at"].map(str))
    assert known(texts) == {"r1": True}


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (TRUTHS.rename(columns={"request_id": "id"}), "no column request_id; found: id, label"),
        (pd.DataFrame(), "no column request_id and no column label"),
        (TRUTHS.set_axis([0, 1], axis=1), "found: 0, 1"),
        (pd.concat([TRUTHS, TRUTHS[["label"]]], axis=1), "the column label is there twice"),
        (TRUTHS.assign(request_id=["r1", None, "r3", "r4"]), "column request_id: no request id"),
        (TRUTHS.assign(label=[[1], [0], [1], [1]]), r"column label holds a list: \[1\]"),
        (TRUTHS.assign(request_id="r1"), "the row of request_id 'r1'.* has another label"),
    ],
)
def test_what_is_wrong_with_a_data_frame_is_said(frame: pd.DataFrame, problem: str) -> None:
    with pytest.raises(LabelsUnreadableError, match=f"^the DataFrame.*{problem}"):
        load_labels(frame)


def test_outcomes_are_those_of_the_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "request_id": [1, 2, 3],
            "metric": pd.Categorical(["complaint", "money lost", "complaint"]),
            "value": [1.0, 130.5, None],
            "occurred_at": pd.to_datetime(["2026-03-02T00:30", "2026-03-03T01:00", None]),
        }
    )
    handed, read = load_outcomes(frame), load_outcomes(written(frame, tmp_path))
    pd.testing.assert_frame_equal(handed.frame, read.frame, check_dtype=False)
    with pytest.raises(
        OutcomesUnreadableError, match=r"the DataFrame, the row of .*'-1': expected"
    ):
        load_outcomes(frame.assign(value=-1))
    with pytest.raises(OutcomesUnreadableError, match=r"the DataFrame: no column metric"):
        load_outcomes(frame.drop(columns="metric"))


def test_preferences_are_those_of_the_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"request_id": [1, 2, 3], "preference": ["candidate", "tie", "0.25"]})
    handed, read = load_preferences(frame), load_preferences(written(frame, tmp_path))
    pd.testing.assert_frame_equal(handed.frame, read.frame)
    with pytest.raises(PreferencesUnreadableError, match="the DataFrame, the row of"):
        load_preferences(frame.assign(preference=2))


def test_a_comparison_with_data_frames_is_that_with_their_files(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs")
    file.start()
    for number in range(200):
        file.pair(Scored(0.9 if number % 10 == 0 else 0.1), Scored(0.8 if number % 9 == 0 else 0.1))
    file.stop()
    ids = [f"worker-1-request-{number}" for number in range(1, 201)]
    labels = pd.DataFrame({"request_id": ids, "label": [n % 20 == 0 for n in range(200)]})
    outcomes = pd.DataFrame({"request_id": ids[:30], "metric": "complaint"})
    until = datetime(2025, 11, 23, 7, tzinfo=UTC)

    def document(labels: Any, outcomes: Any) -> dict[str, Any]:
        return comparison.compare(
            tmp_path / "pairs", labels=labels, outcomes=outcomes, until=until
        ).to_dict()

    outcomes.to_csv(tmp_path / "outcomes.csv", index=False)
    of_files = document(written(labels, tmp_path), tmp_path / "outcomes.csv")
    assert document(labels, outcomes) == of_files
    words = labels.assign(label=labels["label"].map({True: "fraud", False: "legit"}))
    assert document(LabelFiles(words, {"fraud": "1", "legit": "0"}), outcomes) == of_files
