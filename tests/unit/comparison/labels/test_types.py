from pathlib import Path
from typing import Any

import pytest

from comparison.errors import LabelsUnreadableError
from comparison.labels import Labels, load_labels
from comparison.labels.use import TypedLabels


def read(folder: Path, words: list[str]) -> dict[str, bool]:
    path = folder / "labels.csv"
    rows = "".join(f"r{row},{word}\n" for row, word in enumerate(words))
    path.write_text(f"request_id,label\n{rows}")
    frame = load_labels(path).frame
    return dict(zip(frame["request_id"].tolist(), frame["label"].tolist(), strict=True))


@pytest.mark.parametrize("word", ["true", "Yes", "1", "+1", "1.0", "1.00"])
def test_words_that_are_positive(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, [word]) == {"r0": True}


@pytest.mark.parametrize("word", ["false", "NO", "0", "-1", "0.00", "-1.0"])
def test_words_that_are_negative(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, [word]) == {"r0": False}


def test_an_empty_label_is_not_known_yet(tmp_path: Path) -> None:
    assert read(tmp_path, ["1", "", " ", "0"]) == {"r0": True, "r3": False}


def labels_of(folder: Path, words: list[str], values: dict[str, str] | None = None) -> Labels:
    path = folder / "labels.csv"
    path.write_text("request_id,label\n" + "".join(f"r{row},{w}\n" for row, w in enumerate(words)))
    return load_labels(path, values=values)


@pytest.mark.parametrize("other", ["2", "maybe"])
def test_any_other_word_is_refused_by_a_score_with_its_line_and_what_is_expected(
    tmp_path: Path, other: str
) -> None:
    labels = labels_of(tmp_path, ["1", other])
    with pytest.raises(LabelsUnreadableError, match=r"line 3, column label: '.+': expected true"):
        TypedLabels.of(labels, ["fraud"], ["fraud"], [])


def test_a_word_is_refused_by_a_number(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, ["1.5", "dear"])
    with pytest.raises(LabelsUnreadableError, match=r"line 3, column label: 'dear': expected a"):
        TypedLabels.of(labels, ["price"], [], [])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["1", "0", ""], {"r0": True, "r1": False}),
        (["1.5", "-2", "1e3"], {"r0": 1.5, "r1": -2.0, "r2": 1000.0}),
        (["-1", "0", "1"], {"r0": -1.0, "r1": 0.0, "r2": 1.0}),
        (["007", "012"], {"r0": "007", "r1": "012"}),
        (["cat", "1", " dog "], {"r0": "cat", "r1": "1", "r2": "dog"}),
    ],
)
def test_the_words_of_a_column_say_what_its_labels_are(
    tmp_path: Path, words: list[str], expected: dict[str, Any]
) -> None:
    frame = labels_of(tmp_path, words).frame
    assert dict(zip(frame["request_id"], frame["label"].tolist(), strict=True)) == expected


def test_minus_one_and_zero_are_both_negative_to_a_score(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, ["-1", "0", "1"])
    typed = TypedLabels.of(labels, ["fraud"], ["fraud"], [])
    truths = typed.with_truths(labels.table()).to_pyarrow()["label"].to_pylist()
    assert truths == [False, False, True]


def test_words_are_mapped(tmp_path: Path) -> None:
    labels = labels_of(tmp_path, ["fraud", "legit", ""], {"fraud": "1", "legit": "0"})
    assert labels.frame["label"].tolist() == [True, False]
