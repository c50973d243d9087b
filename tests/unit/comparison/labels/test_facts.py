"""Labels in files that have not changed are not read again."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import comparison.labels.unread as module
from comparison.engines.kept.tables import KeptTables
from comparison.errors import LabelsUnreadableError
from comparison.labels import LabelFiles, Labels, load_labels
from comparison.labels.types import LabelType

ROWS = pd.DataFrame({"request_id": ["a", "b", "c"], "label": [True, False, None]})


@pytest.fixture
def kept(tmp_path: Path) -> KeptTables:
    return KeptTables(tmp_path / "kept")


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files written in a test count as old enough, though they were changed just now."""
    monkeypatch.setattr("comparison.labels.facts.TIME_RESOLUTION", -1)


def no_reading(*_: object, **__: object) -> Labels:
    raise AssertionError("read again")


@pytest.fixture
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which reading labels fails."""

    def forbid() -> None:
        monkeypatch.setattr(module, "read_labels", no_reading)
        monkeypatch.setattr(module.LabelsInPlace, "of", no_reading)

    return forbid


def write(path: Path, rows: pd.DataFrame) -> Path:
    rows.to_csv(path, index=False) if path.suffix == ".csv" else rows.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet"])
def test_an_unchanged_file_is_read_once(
    name: str, tmp_path: Path, kept: KeptTables, nothing_is_read: Callable[[], None]
) -> None:
    path = write(tmp_path / name, ROWS)
    first = LabelFiles(path).read()
    digest = first.digest(kept)
    nothing_is_read()
    again = LabelFiles(path).read()
    assert again.digest(kept) == digest
    assert again.facts == first.facts
    assert again.truths == ["label"]
    assert again.facts.size == 2


def replaced(path: Path) -> None:
    rows = ROWS.assign(label=[False, True, None])
    write(path.with_name("other.csv"), rows).replace(path)


def beside(path: Path) -> None:
    write(path.with_name("second.csv"), ROWS.assign(request_id=["d", "e", "f"]))


@pytest.mark.parametrize("change", [replaced, beside])
def test_files_that_have_changed_are_read(
    change: Callable[[Path], None], tmp_path: Path, kept: KeptTables
) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    path = write(folder / "first.csv", ROWS)
    before = LabelFiles(folder).read().digest(kept)
    change(path)
    after = LabelFiles(folder).read()
    assert after.digest(kept) != before
    assert after.digest(kept) == load_labels(folder).digest(kept)


def test_a_file_whose_time_was_turned_back_is_read(tmp_path: Path, kept: KeptTables) -> None:
    path = write(tmp_path / "labels.csv", ROWS)
    before = LabelFiles(path).read().digest(kept)
    times = os.stat(path)
    text = path.read_text()
    path.write_text(text.replace("a,True", "a,False").replace("b,False", "b,True"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert os.stat(path).st_size == times.st_size
    assert LabelFiles(path).read().digest(kept) != before


def test_what_changed_a_moment_ago_is_read_again(
    tmp_path: Path, kept: KeptTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change within one tick of a disk's clock would not be noticed."""
    monkeypatch.setattr("comparison.labels.facts.TIME_RESOLUTION", 60 * 10**9)
    path = write(tmp_path / "labels.csv", ROWS)
    LabelFiles(path).read().digest(kept)
    monkeypatch.setattr(module, "read_labels", no_reading)
    with pytest.raises(AssertionError, match="read again"):
        LabelFiles(path).read().digest(kept)


def test_other_meanings_of_words_are_other_labels(tmp_path: Path, kept: KeptTables) -> None:
    path = write(tmp_path / "labels.csv", ROWS.assign(label=["x", "y", "y"]))
    one, other = ({"x": "1", "y": "0"}, {"x": "0", "y": "1"})
    found = {LabelFiles(path, words).read().digest(kept) for words in (one, other, one)}
    assert len(found) == 2


def test_what_speaks_against_a_type_is_kept(tmp_path: Path, kept: KeptTables) -> None:
    path = write(tmp_path / "labels.csv", ROWS.assign(label=["x", "y", "y"]))
    first = LabelFiles(path).read()
    first.digest(kept)
    again = LabelFiles(path).read()
    again.digest(kept)
    [before], [after] = ([each.facts.refusals["label"][LabelType.TRUTH]] for each in (first, again))
    assert str(after) == str(before)
    assert "line 2" in str(after)


def test_labels_that_change_between_look_and_count_are_refused(
    tmp_path: Path, kept: KeptTables
) -> None:
    path = write(tmp_path / "labels.csv", ROWS)
    LabelFiles(path).read().digest(kept)
    labels = LabelFiles(path).read()
    labels.digest(kept)
    write(path, ROWS.iloc[:1])
    with pytest.raises(LabelsUnreadableError, match="changed while the pairs were counted"):
        labels.table()


def test_a_file_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(LabelsUnreadableError, match=r"missing\.csv: No such file"):
        LabelFiles(tmp_path / "missing.csv").read()
