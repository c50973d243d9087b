"""Closed pair files are compressed where they are: what is lost is the room that they took."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flags.export import closed_files
from flags.export.closed_files import ClosedFiles, RetentionPolicy, compress_file
from flags.export.compression import SUFFIXES, CheckedFile, compressed, compression_of
from flags.export.otlp_json import LineFrame
from flags.export.pair_files import LINE_BYTES, FileLimits, PairFiles
from flags.export.shipped_file import position_path
from flags.files import lock_file
from tests.support.fakes import eventually

FRAME = LineFrame(b'{"spans":[', b"]}\n")
Open = Callable[..., PairFiles]
Keep = Callable[..., tuple[ClosedFiles, Counter[str]]]


@pytest.fixture(autouse=True)
def _every_file_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_files, "MIN_COMPRESSED_BYTES", 100)
    monkeypatch.setattr(closed_files, "_SCAN_INTERVAL", 0.02)


@pytest.fixture
def open_files(tmp_path: Path) -> Iterator[Open]:
    opened: list[PairFiles] = []

    def open_them(name: str = "w", is_shipped: bool = False, **limits: object) -> PairFiles:
        chosen = FileLimits(**{"flush_interval": 0.01, **limits})  # type: ignore[arg-type]
        opened.append(PairFiles(tmp_path, name, chosen, is_shipped=is_shipped))
        opened[-1].begin(span(0), FRAME)
        return opened[-1]

    yield open_them
    for each in opened:
        each.close()


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    kept: list[ClosedFiles] = []

    def keep_them(**options: object) -> tuple[ClosedFiles, Counter[str]]:
        lost: Counter[str] = Counter()
        chosen = {"compression": "zstd", "max_bytes": 2**30, "is_shipped": False, **options}
        policy = RetentionPolicy(**chosen)  # type: ignore[arg-type]
        kept.append(ClosedFiles(tmp_path, policy, lambda count: lost.update(lost=count)))
        return kept[-1], lost

    yield keep_them
    for each in kept:
        each.close(5)


def span(number: int, size: int = 0) -> bytes:
    return json.dumps({"spanId": number, "padding": "x" * size}, separators=(",", ":")).encode()


def plain(folder: Path, name: str = "w-00001", count: int = 20) -> Path:
    path = folder / f"pairs-{name}.jsonl"
    path.write_bytes(b"".join(FRAME.line([span(each), span(-each)]) for each in range(count)))
    return path


def content(path: Path) -> bytes:
    compression = compression_of(path)
    if compression is None:
        return path.read_bytes()
    with CheckedFile(path.open("rb"), compression) as file:
        return b"".join(iter(lambda: file.read(1000), b""))


def numbers(folder: Path) -> list[int]:
    lines = [each for path in sorted(folder.glob("pairs-*")) for each in content(path).splitlines()]
    return [span["spanId"] for line in lines for span in json.loads(line)["spans"]]


@pytest.mark.parametrize("compression", ["zstd", "gzip", None])
def test_files_that_are_closed_are_compressed_and_the_open_one_is_not(
    open_files: Open, tmp_path: Path, compression: str | None
) -> None:
    files = open_files(rotate_bytes=2000, compression=compression)
    for number in range(1, 60):
        files.append(span(number, 100))
        assert eventually(lambda: files.waiting == 0)
    end = ".jsonl" + SUFFIXES.get(compression or "", "")
    closed = lambda: sorted(tmp_path.glob("pairs-*"))[:-1]  # noqa: E731
    assert eventually(lambda: len(closed()) > 2 and all(p.name.endswith(end) for p in closed()))
    assert sorted(tmp_path.glob("pairs-*"))[-1].suffix == ".jsonl"
    assert numbers(tmp_path) == list(range(60))
    assert files.close() == 0
    assert all(path.name.endswith(end) for path in tmp_path.iterdir())
    assert numbers(tmp_path) == list(range(60))
    assert files.dropped == {}


def test_spans_that_wait_together_share_lines_of_a_bounded_size(
    open_files: Open, tmp_path: Path
) -> None:
    files = open_files(flush_interval=60, compression=None)
    for number in range(1, 500):
        files.append(span(number, 1000 if number < 400 else 0))
    files.append(span(500, 2 * LINE_BYTES))
    files.close()
    [path] = tmp_path.iterdir()
    lines = path.read_bytes().splitlines()
    assert max(map(len, lines[:-1])) < LINE_BYTES + len(FRAME.line([]))
    assert len(lines) < 10
    assert len(json.loads(lines[-1])["spans"]) == 1
    assert numbers(tmp_path) == list(range(501))


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_compressed_file_keeps_the_bytes_the_age_and_who_may_read_it(
    tmp_path: Path, compression: str
) -> None:
    path = plain(tmp_path, count=30_000)
    path.chmod(0o640)
    before, stat = path.read_bytes(), path.stat()
    compress_file(path, compression)
    [packed] = tmp_path.iterdir()
    assert packed.name == path.name + SUFFIXES[compression]
    assert content(packed) == before
    assert packed.stat().st_mode == stat.st_mode
    assert packed.stat().st_mtime_ns == stat.st_mtime_ns
    assert packed.stat().st_size < stat.st_size / 5


def test_a_file_that_is_written_to_is_left_alone(keep: Keep, tmp_path: Path) -> None:
    path = plain(tmp_path)
    with path.open("ab") as writer:
        assert lock_file(writer.fileno())
        keep()
        other = plain(tmp_path, "x-00001")
        assert eventually(lambda: not other.exists())
        assert path.exists()
    assert eventually(lambda: not path.exists())


def test_a_file_that_is_to_be_shipped_is_compressed_afterwards(keep: Keep, tmp_path: Path) -> None:
    """And what says that it was shipped stays with it: so it goes first when room is needed."""
    path, half = plain(tmp_path), plain(tmp_path, "v-00001")
    position_path(half).write_bytes(b"%020d\n" % (half.stat().st_size // 2))
    keep(is_shipped=True)
    time.sleep(0.2)
    assert path.exists()
    position_path(path).write_bytes(b"%020d\n" % path.stat().st_size)
    assert eventually(lambda: not path.exists())
    assert half.exists()
    assert position_path(path).exists()


def test_small_files_are_left_as_they_are(
    keep: Keep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_files, "MIN_COMPRESSED_BYTES", 500)
    small, large = plain(tmp_path, "a", count=5), plain(tmp_path, "b", count=50)
    keep()
    assert eventually(lambda: not large.exists())
    assert small.exists()


@pytest.mark.parametrize("moment", ["half written", "complete and both there"])
def test_what_was_cut_off_while_it_was_compressed_is_finished_by_the_next(
    keep: Keep, tmp_path: Path, moment: str
) -> None:
    path = plain(tmp_path)
    before = path.read_bytes()
    if moment == "half written":
        (tmp_path / f".{path.name}.zst.tmp").write_bytes(compressed(before, "zstd")[:30])
    else:
        (tmp_path / f"{path.name}.zst").write_bytes(compressed(before, "zstd"))
    keep()
    assert eventually(lambda: [each.name for each in tmp_path.iterdir()] == [f"{path.name}.zst"])
    assert content(tmp_path / f"{path.name}.zst") == before


def test_a_compressed_file_that_holds_something_else_is_not_replaced(
    keep: Keep, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = plain(tmp_path)
    other = tmp_path / f"{path.name}.zst"
    other.write_bytes(compressed(b"other\n", "zstd"))
    keep()
    assert eventually(lambda: "could not be compressed" in caplog.text)
    assert path.exists()
    assert content(other) == b"other\n"


def test_where_the_disk_refuses_the_plain_file_stays_and_it_is_said_once(
    keep: Keep, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = plain(tmp_path)
    (tmp_path / f".{path.name}.zst.tmp").mkdir()
    keep()
    assert eventually(lambda: "could not be compressed" in caplog.text)
    time.sleep(0.1)
    assert caplog.text.count("could not be compressed") == 1
    assert path.exists()


def test_the_bytes_of_the_folder_are_those_on_disk_and_lost_spans_are_counted(
    keep: Keep, tmp_path: Path
) -> None:
    paths = [plain(tmp_path, f"w-{number:05d}", count=2000) for number in range(4)]
    for path in paths:
        compress_file(path, "zstd")
    size = max(path.stat().st_size for path in tmp_path.iterdir())
    _, lost = keep(max_bytes=3 * size)
    assert eventually(lambda: len(list(tmp_path.iterdir())) == 3)
    assert eventually(lambda: lost == {"lost": 4000})


def test_shipped_files_that_were_compressed_go_first_and_cost_nothing(
    keep: Keep, tmp_path: Path
) -> None:
    for number in range(3):
        path = plain(tmp_path, f"w-{number:05d}", count=2000)
        if number:
            position_path(path).write_bytes(b"%020d\n" % path.stat().st_size)
        compress_file(path, "zstd")
    kept = tmp_path / "pairs-w-00000.jsonl.zst"
    _, lost = keep(max_bytes=kept.stat().st_size + 10, is_shipped=True)
    assert eventually(lambda: list(tmp_path.iterdir()) == [kept])
    assert lost == {}


def test_a_damaged_file_goes_too_when_room_is_needed(keep: Keep, tmp_path: Path) -> None:
    path = plain(tmp_path, count=2000)
    compress_file(path, "zstd")
    [packed] = tmp_path.iterdir()
    packed.write_bytes(packed.read_bytes()[:-20])
    keep(max_bytes=10)
    assert eventually(lambda: not packed.exists())


def test_a_new_writer_of_the_same_name_does_not_take_a_name_again(
    open_files: Open, tmp_path: Path
) -> None:
    for first in (1, 100):
        files = open_files("same", compression="zstd")
        for number in range(first, first + 50):
            files.append(span(number))
        files.close()
    assert len([*tmp_path.iterdir()]) == 2
    assert sorted(numbers(tmp_path)) == sorted([0, 0, *range(1, 51), *range(100, 150)])
