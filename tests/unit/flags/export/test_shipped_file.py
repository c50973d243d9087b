"""How far a file has been shipped is known to one process at a time, and survives it."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flags.export.shipped_file import Batch, ShippedFile, position_path, shipped_position


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a pair file of ten lines of ten bytes."""
    path = tmp_path / "pairs-w-00001.jsonl"
    path.write_bytes(b"".join(b"line %04d\n" % number for number in range(10)))
    return path


@pytest.fixture
def file(path: Path) -> Iterator[ShippedFile]:
    """Return it, taken."""
    file = ShippedFile.take(path, own=False)
    assert file is not None
    yield file
    file.release()


def test_batches_are_whole_lines_within_both_limits(file: ShippedFile) -> None:
    assert file.next(3, 1000) == Batch((b"line 0000", b"line 0001", b"line 0002"), 30, True)
    assert file.next(100, 25) == Batch((b"line 0000", b"line 0001"), 20, True)
    everything = file.next(100, 1000)
    assert everything is not None
    assert (len(everything.lines), everything.end, everything.is_full) == (10, 100, False)


def test_a_line_that_is_longer_than_the_limit_goes_alone(path: Path) -> None:
    path.write_bytes(b"x" * 95 + b"\nshort\n")
    file = ShippedFile.take(path, own=False)
    assert file is not None
    assert file.next(1, 10) == Batch((b"x" * 95,), 96, True)
    file.release()


def test_lines_of_several_spans_count_as_many(path: Path) -> None:
    lines = [b",".join([b'{"spanId":"%d"}' % number] * 4) for number in range(3)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    file = ShippedFile.take(path, own=False)
    assert file is not None
    assert file.next(9, 1000) == Batch(tuple(lines[:2]), 2 * len(lines[0]) + 2, True)
    assert file.next(1, 1000) == Batch(tuple(lines[:1]), len(lines[0]) + 1, True)
    everything = file.next(100, 1000)
    assert everything is not None
    assert (len(everything.lines), everything.is_full) == (3, False)
    file.release()


def test_half_a_line_waits_for_the_other_half(file: ShippedFile, path: Path) -> None:
    file.advance(100)
    with path.open("ab") as writer:
        writer.write(b"half")
        writer.flush()
        assert file.next(10, 1000) is None
        assert file.waiting == 4
        writer.write(b" a line\n")
        writer.flush()
        assert file.next(10, 1000) == Batch((b"half a line",), 112, False)


def test_the_position_is_found_again(file: ShippedFile, path: Path) -> None:
    file.advance(30)
    assert shipped_position(path) == 30
    file.release()
    again = ShippedFile.take(path, own=False)
    assert again is not None
    assert again.position == 30
    assert again.waiting == 70


@pytest.mark.parametrize("text", [b"", b"30\n", b"%020d" % 30, b"\0" * 21, b"-%019d\n" % 30])
def test_a_position_that_is_torn_is_none(path: Path, text: bytes) -> None:
    position_path(path).write_bytes(text)
    assert shipped_position(path) == 0
    assert taken_at(path) == 0


@pytest.mark.parametrize(("position", "trusted"), [(30, 30), (31, 0), (100, 100), (500, 500)])
def test_a_position_is_trusted_behind_a_line_and_behind_the_end(
    path: Path, position: int, trusted: int
) -> None:
    """Behind the end it says that all there is has been shipped: the rest went in a power cut."""
    position_path(path).write_bytes(b"%020d\n" % position)
    assert taken_at(path) == trusted


def taken_at(path: Path) -> int:
    file = ShippedFile.take(path, own=False)
    assert file is not None
    file.release()
    return file.position


def test_only_one_takes_a_file(file: ShippedFile, path: Path) -> None:
    assert ShippedFile.take(path, own=True) is None
    assert ShippedFile.take(path, own=False) is None


def test_a_file_that_is_written_to_is_its_writer_s_to_ship(path: Path) -> None:
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert ShippedFile.take(path, own=False) is None
        file = ShippedFile.take(path, own=True)
        assert file is not None
        assert file.has_writer
    assert not file.has_writer
    file.release()


def test_looking_at_a_file_does_not_keep_its_writer_out(file: ShippedFile, path: Path) -> None:
    assert not file.has_writer
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_removed_file_is_seen_to_be(file: ShippedFile, path: Path) -> None:
    assert not file.is_removed
    path.unlink()
    assert file.is_removed


def open_files() -> int:
    return psutil.Process().num_fds()


def test_a_refused_take_leaves_nothing_open(path: Path) -> None:
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        before = open_files()
        assert ShippedFile.take(path, own=False) is None
        assert open_files() == before
    with pytest.raises(FileNotFoundError):
        ShippedFile.take(path.with_name("nowhere"), own=False)
    assert open_files() == before - 1
