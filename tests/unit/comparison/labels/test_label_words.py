from pathlib import Path

import pytest

from comparison.errors import LabelsUnreadableError
from comparison.labels import load_labels


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


def test_any_other_word_names_its_line_and_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(LabelsUnreadableError, match=r"line 3, column label: '2': expected true or"):
        read(tmp_path, ["1", "2"])
