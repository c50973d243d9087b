"""Cutting pairs to a window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comparison import read_pairs
from comparison.errors import NoPairsError, WindowEmptyError
from comparison.pairs.reader import within
from tests.support.pair_files import BEGIN, PairFile

FIRST = datetime.fromtimestamp(BEGIN / 1e9, UTC) + timedelta(milliseconds=10)


def after(milliseconds: int) -> datetime:
    return FIRST + timedelta(milliseconds=milliseconds)


def test_a_window_holds_its_beginning_and_not_its_end(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for _ in range(10):
        file.pair()
    pairs = read_pairs(tmp_path)

    cut = within(pairs, after(20), after(50))

    assert cut.frame["sequence"].tolist() == [3, 4, 5]
    assert cut.frame.index.tolist() == [0, 1, 2]
    assert cut.accounting is pairs.accounting
    assert within(pairs, None, None) is pairs
    assert len(within(pairs, after(90), None).frame) == 1


def test_a_window_without_pairs_says_when_there_are_some(tmp_path: Path) -> None:
    PairFile(tmp_path).pair()
    pairs = read_pairs(tmp_path)
    with pytest.raises(NoPairsError, match="only from 2025-11-23 06:40:00 to 2025-11-23 06:40:00"):
        within(pairs, after(1), None)
    with pytest.raises(WindowEmptyError):
        within(pairs, after(1), after(1))


def test_a_folder_without_pairs_stays_empty(tmp_path: Path) -> None:
    pairs = read_pairs(tmp_path)
    assert within(pairs, after(0), None) is pairs
