"""Pair files are found and read however they are kept: compressed, behind links, among others."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from comparison.errors import PairsUnreadableError
from comparison.pairs.compaction import compact
from comparison.pairs.reader import read_pairs
from flags.compression import SUFFIXES, compressed
from tests.support.pair_files import PairFile, traces

PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": lambda data: bytes(pa.compress(data, codec="zstd", asbytes=True)),
}


def write(folder: Path, worker: str = "w1", pairs: int = 300) -> Path:
    file = PairFile(folder, worker)
    file.start()
    for _ in range(pairs):
        file.pair()
    file.stop()
    (path,) = folder.glob(f"*{worker}*.jsonl")
    return path


def pack(path: Path, suffix: str) -> Path:
    packed = path.with_name(path.name + suffix)
    packed.write_bytes(PACKED[suffix](path.read_bytes()))
    path.unlink()
    return packed


@pytest.mark.parametrize("suffix", PACKED)
def test_compressed_files_are_read_beside_plain_ones(tmp_path: Path, suffix: str) -> None:
    pack(write(tmp_path, "w1"), suffix)
    write(tmp_path, "w2")
    accounting = read_pairs(tmp_path).accounting
    assert (accounting.files, accounting.pairs, accounting.completeness) == (2, 600, 1)


@pytest.mark.parametrize("suffix", PACKED)
def test_a_file_of_several_parts_is_read_to_its_end(tmp_path: Path, suffix: str) -> None:
    """As `cat` makes one of two, or a program that flushes."""
    path = write(tmp_path, "w1")
    half = path.read_bytes()
    middle = half.index(b"\n", len(half) // 2) + 1
    packed = PACKED[suffix](half[:middle]) + PACKED[suffix](half[middle:])
    path.with_name(path.name + suffix).write_bytes(packed)
    path.unlink()
    assert read_pairs(tmp_path).accounting.completeness == 1


@pytest.mark.parametrize("suffix", PACKED)
def test_one_that_is_cut_off_gives_what_is_there_and_is_named(tmp_path: Path, suffix: str) -> None:
    packed = pack(write(tmp_path, "w1", 3000), suffix)
    packed.write_bytes(packed.read_bytes()[:-200])
    accounting = read_pairs(tmp_path).accounting
    assert accounting.torn == 1
    assert 2000 < accounting.pairs < 3000
    assert accounting.first_torn == f"{packed}, after line {accounting.lines:,}"


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_of_one_that_is_damaged_the_parts_before_count_and_it_is_named(
    tmp_path: Path, compression: str
) -> None:
    """Not one byte of the damaged part, be it only a digit that no one would miss."""
    path = write(tmp_path, "w1", 900)
    lines = path.read_bytes().splitlines(keepends=True)
    parts = [compressed(b"".join(lines[at : at + 300]), compression) for at in (0, 300, 600)]
    damaged = bytearray(parts[1])
    damaged[len(damaged) // 2] ^= 1
    packed = path.with_name(path.name + SUFFIXES[compression])
    packed.write_bytes(parts[0] + damaged + parts[2])
    path.unlink()
    write(tmp_path, "w2", 50)
    accounting = read_pairs(tmp_path).accounting
    assert accounting.torn == 1
    assert accounting.pairs == 299 + 50
    assert accounting.first_torn == f"{packed}, after line 300"
    into = tmp_path / "into"
    for _ in range(2):
        done = compact(tmp_path, into)
        assert (done.torn, done.first_torn) == (1, f"{packed}, after line 300")
        found = read_pairs(into).accounting
        assert (found.torn, found.first_torn) == (1, f"{packed}, after line 300")
        assert (found.pairs, found.corrupt) == (349, 0)
    packed.write_bytes(b"".join(parts))
    assert compact(tmp_path, into).pairs == 600
    assert read_pairs(into).accounting.torn == 0


@pytest.mark.parametrize("suffix", PACKED)
def test_compressed_files_are_compacted_once(tmp_path: Path, suffix: str) -> None:
    pack(write(tmp_path / "pairs"), suffix)
    assert compact(tmp_path / "pairs", tmp_path / "into").pairs == 300
    again = compact(tmp_path / "pairs", tmp_path / "into")
    assert (again.pairs, again.repeated) == (0, 0)


@pytest.mark.parametrize("suffix", PACKED)
def test_what_only_has_the_name_is_an_error(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"pairs.jsonl{suffix}").write_text("no such format, and long enough to say so")
    with pytest.raises(PairsUnreadableError, match=r"pairs\.jsonl"):
        read_pairs(tmp_path)


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "deep")
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere" / "deep")
    (folder / "loop").symlink_to(folder)
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path)
    accounting = read_pairs(folder).accounting
    assert (accounting.files, accounting.pairs, accounting.duplicates) == (1, 300, 0)


def test_a_folder_with_other_names_only_says_which_names_count(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.rename(tmp_path / "pairs.json")
    with pytest.raises(PairsUnreadableError, match=r"pairs\.json.* \.jsonl, \.jsonl\.gz"):
        read_pairs(tmp_path)


@pytest.mark.parametrize(
    "theirs",
    [
        {"scopeSpans": [{"scope": None, "spans": [{"name": "GET /"}]}]},
        {"scopeSpans": [{"scope": None, "spans": None}]},
        {"scopeSpans": None},
        {"resource": None, "scopeSpans": [{"spans": []}]},
        {"scopeSpans": [7]},
    ],
)
def test_what_others_put_on_our_line_costs_nothing_of_ours(tmp_path: Path, theirs: object) -> None:
    ours = traces(PairFile(tmp_path, "w1").span())
    line = {"resourceSpans": [theirs, *ours["resourceSpans"], theirs]}
    (tmp_path / "collected.jsonl").write_text(json.dumps(line) + "\n")
    assert read_pairs(tmp_path).accounting.pairs == 1


def test_negative_durations_are_noted(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs", "w1")
    file.start()
    file.write(file.span(changes={"migration.primary.duration": -0.5}))
    file.pair()
    assert read_pairs(tmp_path / "pairs").accounting.negative == 1
    compact(tmp_path / "pairs", tmp_path / "into")
    assert read_pairs(tmp_path / "into").accounting.negative == 1
