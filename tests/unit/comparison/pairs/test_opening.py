"""Pair files are found and read however they are kept: compressed, behind links, among others."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from comparison.errors import PairsUnreadableError
from comparison.pairs.compaction.runs import compact
from comparison.pairs.opening import find_files
from comparison.pairs.reader import read_pairs
from flags.export import closed_files
from flags.export.closed_files import compress_file
from flags.export.compression import SUFFIXES, compressed
from flags.export.pair_files import FileLimits
from flags.export.spans import PairSpans
from tests.support.fakes import eventually
from tests.support.pair_files import PairFile, traces
from tests.unit.flags.export.test_spans import pair_of

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
def test_a_file_that_is_cut_off_is_read_to_its_end_and_named(tmp_path: Path, suffix: str) -> None:
    packed = pack(write(tmp_path, "w1", 3000), suffix)
    packed.write_bytes(packed.read_bytes()[:-200])
    accounting = read_pairs(tmp_path).accounting
    assert accounting.torn == 1
    assert 2000 < accounting.pairs < 3000
    assert accounting.first_torn == f"{packed}, after line {accounting.lines:,}"


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_damaged_file_is_read_up_to_the_damage_and_named(
    tmp_path: Path, compression: str
) -> None:
    """The damaged part is not read at all, even where its bytes would be valid JSON."""
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
def test_a_file_that_is_not_compressed_as_its_name_says_is_an_error(
    tmp_path: Path, suffix: str
) -> None:
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
def test_foreign_data_on_a_line_does_not_lose_our_spans(tmp_path: Path, theirs: object) -> None:
    ours = traces(PairFile(tmp_path, "w1").span())
    line = {"resourceSpans": [theirs, *ours["resourceSpans"], theirs]}
    (tmp_path / "collected.jsonl").write_text(json.dumps(line) + "\n")
    assert read_pairs(tmp_path).accounting.pairs == 1


def test_negative_durations_are_noted(tmp_path: Path) -> None:
    file = PairFile(tmp_path / "pairs", "w1")
    file.start()
    file.write(file.span(changes={"migration.primary.duration": -0.5}))
    file.pair()
    assert read_pairs(tmp_path / "pairs").accounting.negative_durations == 1
    compact(tmp_path / "pairs", tmp_path / "into")
    assert read_pairs(tmp_path / "into").accounting.negative_durations == 1


def recorded(folder: Path, pairs: int = 3000) -> Path:
    """Return a plain file of a worker, large enough to be compressed, with a name as ours."""
    path = write(folder, "w1", pairs)
    return path.rename(folder / "pairs-w1-00001.jsonl")


@pytest.mark.parametrize("compression", SUFFIXES)
def test_while_a_file_is_replaced_by_a_compressed_one_it_is_read_once(
    tmp_path: Path, compression: str
) -> None:
    """For a moment both files exist: no pair is read twice or counted as a duplicate."""
    path = recorded(tmp_path)
    plain = path.read_bytes()
    compress_file(path, compression)
    path.write_bytes(plain)
    accounting = read_pairs(tmp_path).accounting
    assert (accounting.files, accounting.pairs, accounting.duplicates) == (1, 3000, 0)
    assert (accounting.lines, accounting.completeness) == (3002, 1)


def test_two_files_of_one_name_that_hold_something_else_are_both_read(tmp_path: Path) -> None:
    path = recorded(tmp_path, 400)
    compress_file(path, "zstd")
    write(tmp_path, "w2", 100).rename(path)
    assert read_pairs(tmp_path).accounting.pairs == 500


def test_a_file_that_was_compressed_since_it_was_found_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recorded(tmp_path)
    compress_file(path, "zstd")
    monkeypatch.setattr("comparison.pairs.files.find_files", lambda _: [path])
    assert read_pairs(tmp_path).accounting.completeness == 1


def test_a_folder_is_listed_until_two_listings_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first listing has neither the plain file any more nor the compressed one yet."""
    path = recorded(tmp_path)
    looks = iter([[], [path], [path], [path]])
    monkeypatch.setattr("comparison.pairs.opening.files_below", lambda _: iter(next(looks)))
    assert find_files(tmp_path) == [path]


@pytest.mark.parametrize("compression", SUFFIXES)
def test_compaction_goes_on_in_a_file_that_was_compressed_meanwhile(
    tmp_path: Path, compression: str
) -> None:
    """The first run read a part of it, up to an incomplete line; it is still the same file."""
    pairs, into = tmp_path / "pairs", tmp_path / "into"
    path = recorded(pairs)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    first = compact(pairs, into)
    assert first.torn == 1
    path.write_bytes(whole)
    compress_file(path, compression)
    done = compact(pairs, into)
    assert (done.pairs, done.repeated, done.files) == (3000 - first.pairs, 0, 1)
    found, directly = read_pairs(into).accounting, read_pairs(pairs).accounting
    assert replace(found, as_of=None) == replace(directly, as_of=None)
    again = compact(pairs, into)
    assert (again.pairs, again.bytes) == (0, 0)


def test_a_worker_s_record_that_was_compressed_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_files, "MIN_COMPRESSED_BYTES", 1)
    limits = FileLimits(flush_interval=0.01, rotate_bytes=50_000)
    spans = PairSpans.to_folder(tmp_path, limits, service="s", version=None)
    for number in range(200):
        spans.record(pair_of(str(number)))
        if number % 10 == 0:
            assert eventually(lambda: spans._files.waiting == 0)
    spans.close()
    names = [path.name for path in tmp_path.iterdir()]
    assert len(names) > 2
    assert all(name.endswith(".jsonl.zst") for name in names)
    accounting = read_pairs(tmp_path).accounting
    assert (accounting.pairs, accounting.duplicates, accounting.completeness) == (200, 0, 1)
    assert accounting.lines < 60
