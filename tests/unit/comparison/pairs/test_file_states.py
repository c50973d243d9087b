"""The states of files show every change."""

import os
from pathlib import Path

import pytest

from comparison.pairs.compacted import CompactionState
from comparison.pairs.file_states import compacted_states, file_states
from comparison.pairs.opening import STATE_FILE


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("comparison.pairs.file_states.TIME_RESOLUTION", -1)
    (tmp_path / "below").mkdir()
    for name in ("one.csv", "below/two.csv"):
        (tmp_path / name).write_text("a,b")
    return tmp_path


def test_any_change_below_a_folder_shows(files: Path) -> None:
    seen = [file_states(files)]
    assert file_states(files) == seen[0]
    (files / "below" / "two.csv").write_text("c,d")  # as long as before
    seen.append(file_states(files))
    (files / "three.csv").write_text("")
    seen.append(file_states(files))
    (files / "one.csv").unlink()
    seen.append(file_states(files))
    assert None not in seen
    assert len(set(seen)) == 4


def test_a_file_with_the_times_of_the_one_before_is_another(files: Path) -> None:
    place, other = files / "one.csv", files / "other.csv"
    before, times = file_states(place), place.stat()
    other.write_text("c,d")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(place)
    assert file_states(place) != before


def test_a_missing_file_has_another_state_than_one_that_exists(files: Path) -> None:
    missing = files / "missing.csv"
    assert file_states(missing) == file_states(missing) != file_states(files / "one.csv")


def test_a_file_that_changed_just_now_has_no_state(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comparison.pairs.file_states.TIME_RESOLUTION", 60 * 10**9)
    assert file_states(files) is None


def test_only_a_compacted_folder_has_compacted_states(files: Path) -> None:
    assert compacted_states(files) is None
    (files / STATE_FILE).write_bytes(CompactionState(runs=1).dumps())
    one = compacted_states(files)
    (files / STATE_FILE).write_bytes(CompactionState(runs=2).dumps())
    assert one is not None
    assert compacted_states(files) != one
