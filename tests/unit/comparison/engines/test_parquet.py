"""A compacted folder accounts for its pairs as the pair files do, from the counts of an engine."""

import shutil
from pathlib import Path

import pytest

from comparison.engines import embedded
from comparison.engines.parquet import ParquetPairs
from comparison.engines.sources import FramePairs, open_source
from comparison.errors import (
    CompactionUnreadableError,
    MemoryLackingError,
    PairsUnreadableError,
)
from comparison.pairs.compaction.runs import compact
from comparison.pairs.opening import STATE_FILE
from comparison.pairs.reader import read_all
from comparison.report.comparison import compare
from flags.export import attributes
from load_tests.generated_pairs import write_pairs
from tests.support.pair_files import PairFile, span


def test_the_accounting_is_that_of_the_pair_files(tmp_path: Path) -> None:
    """Gaps, missing ends, dropped, doubled, corrupt, foreign and torn ones, of two flags."""
    pairs, into = tmp_path / "pairs", tmp_path / "compacted"
    whole, gaps, killed = (PairFile(pairs, name) for name in ("whole", "gaps", "killed"))
    other = PairFile(pairs, "other", flag="another")
    for file in (whole, gaps, killed, other):
        file.start()
        for number in range(70):
            lost = file is gaps and number in (3, 4, 40)
            if lost:
                file.span()
            else:
                file.pair()
    compact(pairs, into)
    whole.pair()
    whole.stop()
    gaps.stop(dropped=2)
    other.pair(changes={attributes.WORKER_ID: None})
    killed.write(span("GET /", {}))
    killed.line("{not json}")
    shutil.copy(whole.path, pairs / "again.jsonl")
    killed.line('{"resourceSpans": [', end="")
    compact(pairs, into)

    wanted = read_all(pairs).accounting
    assert ParquetPairs(into).accounting == wanted
    assert read_all(into).accounting == wanted
    assert (wanted.duplicates, wanted.corrupt, wanted.foreign, wanted.torn) == (71, 1, 1, 1)
    assert wanted.flags["another"] == 71


def test_a_number_that_two_pairs_carry_is_counted_once(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs")
    for number in (1, 2, 2, 3, 64, 64, 65):
        file.pair(changes={attributes.SEQUENCE: number})
    compact(tmp_path / "pairs", tmp_path / "into")
    wanted = read_all(tmp_path / "pairs").accounting
    assert [each.reused_numbers for each in wanted.workers] == [2]
    assert ParquetPairs(tmp_path / "into").accounting == wanted


def test_a_place_is_opened_as_what_it_is(tmp_path: Path) -> None:
    PairFile(tmp_path / "pairs").pair()
    compact(tmp_path / "pairs", tmp_path / "into")
    assert isinstance(open_source(tmp_path / "pairs"), FramePairs)
    assert isinstance(open_source(tmp_path / "into"), ParquetPairs)
    with pytest.raises(PairsUnreadableError):
        open_source(tmp_path / "nowhere")
    (tmp_path / "into" / STATE_FILE).write_text("{}")
    with pytest.raises(CompactionUnreadableError):
        open_source(tmp_path / "into")


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, 2_000)
    first = min(tmp_path.rglob("*.parquet"))
    first.write_bytes(first.read_bytes()[:-100])
    with pytest.raises(CompactionUnreadableError, match=first.name):
        compare(tmp_path)


def test_too_little_memory_is_an_error_that_says_how_much_may_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pairs(tmp_path, 100_000)
    monkeypatch.setattr(embedded, "memory", lambda: 2**22)
    with pytest.raises(MemoryLackingError, match=r"more memory than the 2 MB .*fewer days"):
        compare(tmp_path)
