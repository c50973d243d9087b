"""From the queue to the disk: nothing raised, nothing lost unseen, whatever the disk does."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flags.export.pair_files import FileLimits, PairFiles, file_name
from tests.support.fakes import eventually
from tests.support.paths import ROOT

QUICK = 0.01
"""Flush interval in seconds."""

Open = Callable[..., PairFiles]


@pytest.fixture
def open_files(tmp_path: Path) -> Iterator[Open]:
    """Return a way to open pair files in `tmp_path / "pairs"`; they are closed at the end."""
    opened: list[PairFiles] = []

    def open_them(
        name: str = "w", folder: Path = tmp_path / "pairs", told: Counter[str] | None = None,
        **limits: float,
    ) -> PairFiles:  # fmt: skip
        chosen = FileLimits(**{"flush_interval": QUICK, **limits})  # type: ignore[arg-type]
        dropped = None if told is None else (lambda reason, count: told.update({reason: count}))
        opened.append(PairFiles(folder, name, chosen, dropped=dropped))
        return opened[-1]

    yield open_them
    for each in opened:
        each.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the pair files."""
    return tmp_path / "pairs"


def line(number: int, size: int = 0) -> bytes:
    return json.dumps({"number": number, "padding": "x" * size}).encode() + b"\n"


def numbers(folder: Path) -> list[int]:
    """Return what the pair files hold, each of their lines a whole one."""
    return [
        json.loads(each)["number"]
        for path in sorted(folder.glob("pairs-*.jsonl"))
        for each in path.read_bytes().splitlines(keepends=True)
        if each.endswith(b"\n") or pytest.fail(f"{path} ends in {each!r}")
    ]


def written(files: PairFiles) -> bool:
    return eventually(lambda: files.waiting == 0)


class TestWriting:
    def test_lines_are_on_disk_within_a_second_in_their_order(
        self, open_files: Open, folder: Path
    ) -> None:
        files = open_files(flush_interval=0.05)
        began = time.monotonic()
        assert all(files.append(line(number)) for number in range(100))
        assert written(files)
        assert time.monotonic() - began < 1
        assert numbers(folder) == list(range(100))
        assert files.written == 100
        assert files.dropped == {}

    def test_closing_writes_everything_and_the_closing_lines(
        self, open_files: Open, folder: Path
    ) -> None:
        files = open_files(flush_interval=60)
        for number in range(5):
            files.append(line(number))
        assert numbers(folder) == []
        assert files.close([line(5), line(6)]) == 0
        assert numbers(folder) == list(range(7))

    def test_what_comes_after_the_closing_is_counted_and_not_taken(
        self, open_files: Open, folder: Path
    ) -> None:
        files = open_files()
        files.close()
        assert files.append(line(1)) is False
        assert files.dropped == {"closed": 1}
        assert files.waiting == 0
        assert numbers(folder) == []

    def test_no_file_is_made_without_a_line(self, open_files: Open, folder: Path) -> None:
        open_files().close()
        assert not folder.exists()

    def test_appending_from_many_threads_loses_nothing(
        self, open_files: Open, folder: Path
    ) -> None:
        files = open_files(rotate_bytes=10_000)
        threads = [
            threading.Thread(
                target=lambda k=k: [files.append(line(k * 500 + i)) for i in range(500)]
            )
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert files.close() == 0
        assert sorted(numbers(folder)) == list(range(2000))

    def test_two_writers_at_once_have_their_own_files(self, open_files: Open, folder: Path) -> None:
        files = [open_files("a"), open_files("b")]
        for number in range(200):
            files[number % 2].append(line(number))
        assert [each.close() for each in files] == [0, 0]
        assert len(list(folder.iterdir())) == 2
        assert sorted(numbers(folder)) == list(range(200))

    def test_two_writers_of_one_name_never_mix(self, open_files: Open, folder: Path) -> None:
        """The second waits, counts on, and writes to the next file."""
        files = [open_files("same"), open_files("same")]
        for number in range(20):
            files[number % 2].append(line(number))
        assert all(written(each) for each in files)
        assert [each.close() for each in files] == [0, 0]
        assert sorted(numbers(folder)) == list(range(20))

    def test_names_tell_when_what_and_which_worker(self) -> None:
        name = file_name("Fraud Détector/2", "0123456789abcdef")
        began, rest = name.split("-", 1)
        assert time.strptime(began, "%Y%m%dT%H%M%SZ")
        assert rest == "Fraud-Détector-2-01234567"


class TestRotation:
    def test_a_full_file_is_closed_and_the_next_begun(self, open_files: Open, folder: Path) -> None:
        files = open_files(rotate_bytes=1000)
        for number in range(30):
            files.append(line(number, size=100))
            assert written(files)
        sizes = [path.stat().st_size for path in sorted(folder.iterdir())]
        assert [path.name for path in sorted(folder.iterdir())] == [
            f"pairs-w-{number:05d}.jsonl" for number in range(1, len(sizes) + 1)
        ]
        assert len(sizes) >= 3
        assert all(1000 <= size < 1200 for size in sizes[:-1])
        assert numbers(folder) == list(range(30))

    def test_the_oldest_closed_files_go_first_and_are_counted(
        self, open_files: Open, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        told: Counter[str] = Counter()
        files = open_files(told=told, rotate_bytes=1000, max_bytes=3000)
        for number in range(100):
            files.append(line(number, size=100))
            assert written(files)
        files.close()
        kept = numbers(folder)
        assert kept == list(range(100))[-len(kept) :]  # the latest, without a gap
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 3000 + 1200
        assert files.dropped == told == {"pruned": 100 - len(kept)}
        assert "was removed: the folder exceeds 3000 bytes" in caplog.text

    def test_an_open_file_of_another_worker_is_never_removed(
        self, open_files: Open, folder: Path
    ) -> None:
        other = open_files("a-other-worker")
        other.append(line(-1, size=5000))
        assert written(other)
        files = open_files(rotate_bytes=1000, max_bytes=3000)
        for number in range(50):
            files.append(line(number, size=100))
            assert written(files)
        assert -1 in numbers(folder)
        other.append(line(-2))
        assert other.close() == 0
        assert {-1, -2} <= set(numbers(folder))

    def test_a_file_of_a_worker_that_died_is_removed_when_its_time_comes(
        self, open_files: Open, folder: Path
    ) -> None:
        folder.mkdir()
        dead = folder / "pairs-dead-00001.jsonl"
        dead.write_bytes(line(-1, size=5000) + b"half a line")
        files = open_files(max_bytes=3000)
        files.append(line(1))
        files.close()
        assert not dead.exists()
        assert files.dropped == {"pruned": 1}

    def test_other_files_of_the_folder_are_left_alone(self, open_files: Open, folder: Path) -> None:
        folder.mkdir()
        (folder / "notes.jsonl").write_bytes(b"x" * 5000)
        (folder / "pairs.parquet").write_bytes(b"x" * 5000)
        files = open_files(max_bytes=3000)
        files.append(line(1))
        files.close()
        assert {"notes.jsonl", "pairs.parquet"} <= {path.name for path in folder.iterdir()}

    def test_a_file_that_is_listed_and_cannot_be_looked_at_stops_nothing(
        self, open_files: Open, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """As one that another worker removes just then; here, a link to nowhere."""
        folder.mkdir()
        gone = folder / "pairs-gone-00001.jsonl"
        gone.symlink_to(folder / "nowhere")
        files = open_files(max_bytes=10)
        files.append(line(1))
        assert files.close() == 0
        gone.unlink()
        assert numbers(folder) == [1]
        assert "cannot be written" not in caplog.text


class Obstacle:
    """A way to make the folder unwritable, and to undo it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self) -> None:
        raise NotImplementedError

    def remove(self) -> None:
        raise NotImplementedError


class FileInsteadOfFolder(Obstacle):
    reason = "eexist"

    def put(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.write_text("in the way")

    def remove(self) -> None:
        self.folder.unlink()


class FileInsteadOfParent(Obstacle):
    reason = "enotdir"

    def put(self) -> None:
        shutil.rmtree(self.folder.parent)
        self.folder.parent.write_text("in the way")

    def remove(self) -> None:
        self.folder.parent.unlink()


class DanglingLink(Obstacle):
    """As a volume that is not mounted."""

    reason = "eexist"

    def put(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.symlink_to(self.folder.parent / "not mounted")

    def remove(self) -> None:
        self.folder.unlink()


OBSTACLES = [FileInsteadOfFolder, FileInsteadOfParent, DanglingLink]


@pytest.fixture(params=OBSTACLES, ids=lambda kind: kind.__name__)
def obstacle(request: pytest.FixtureRequest, tmp_path: Path) -> Obstacle:
    """Return each obstacle, for the folder `tmp_path / "data" / "pairs"`."""
    (tmp_path / "data").mkdir()
    made: Obstacle = request.param(tmp_path / "data" / "pairs")
    return made


class TestDiskThatRefuses:
    def test_lines_wait_and_are_written_once_it_takes_them_again(
        self, open_files: Open, obstacle: Obstacle, caplog: pytest.LogCaptureFixture
    ) -> None:
        obstacle.put()
        files = open_files(folder=obstacle.folder)
        for number in range(10):
            assert files.append(line(number))
        assert eventually(lambda: "they wait in memory, answers go on" in caplog.text)
        time.sleep(10 * QUICK)
        assert files.waiting == 10
        assert caplog.text.count("pairs cannot be written") == 1  # once, not with each flush
        obstacle.remove()
        assert written(files)
        assert numbers(obstacle.folder) == list(range(10))
        assert files.dropped == {}
        assert eventually(lambda: "pairs are written to" in caplog.text)

    def test_it_may_begin_to_refuse_in_the_middle(
        self, open_files: Open, obstacle: Obstacle
    ) -> None:
        """What was removed is gone; all that came after is written."""
        files = open_files(folder=obstacle.folder)
        files.append(line(0))
        assert written(files)
        obstacle.put()
        for number in range(1, 10):
            files.append(line(number))
        time.sleep(5 * QUICK)
        assert files.waiting == 9
        obstacle.remove()
        assert files.close() == 0
        assert numbers(obstacle.folder) == list(range(1, 10))

    def test_beyond_the_bound_the_later_lines_are_dropped_and_counted_by_reason(
        self, open_files: Open, obstacle: Obstacle, caplog: pytest.LogCaptureFixture
    ) -> None:
        obstacle.put()
        told: Counter[str] = Counter()
        size = len(line(0))
        files = open_files(told=told, folder=obstacle.folder, queue_bytes=5 * size)
        assert files.append(line(0))
        assert eventually(lambda: "pairs cannot be written" in caplog.text)
        taken = [files.append(line(number)) for number in range(1, 9)]
        assert taken == [True] * 4 + [False] * 4
        assert files.dropped == told == {obstacle.reason: 4}  # type: ignore[attr-defined]
        obstacle.remove()
        assert written(files)
        assert files.append(line(9))  # room again
        assert files.close() == 0
        assert numbers(obstacle.folder) == [0, 1, 2, 3, 4, 9]

    def test_closing_while_it_refuses_says_how_many_lines_were_lost(
        self, open_files: Open, obstacle: Obstacle
    ) -> None:
        obstacle.put()
        files = open_files(folder=obstacle.folder)
        files.append(line(0))
        assert files.close([line(1)]) == 2
        assert files.dropped == {obstacle.reason: 2}  # type: ignore[attr-defined]

    def test_a_burst_beyond_the_bound_is_counted_as_such(self, open_files: Open) -> None:
        size = len(line(0))
        files = open_files(flush_interval=60, queue_bytes=3 * size)
        assert [files.append(line(number)) for number in range(5)] == [True] * 3 + [False] * 2
        assert files.dropped == {"queue_full": 2}


class TestFolderThatVanishes:
    def test_a_new_file_in_a_new_folder_takes_over(self, open_files: Open, folder: Path) -> None:
        files = open_files()
        files.append(line(0))
        assert written(files)
        shutil.rmtree(folder)
        files.append(line(1))
        assert written(files)
        assert numbers(folder) == [1]

    def test_a_file_that_is_moved_away_is_not_written_to_any_more(
        self, open_files: Open, folder: Path, tmp_path: Path
    ) -> None:
        files = open_files()
        files.append(line(0))
        assert written(files)
        (path,) = folder.iterdir()
        moved = path.rename(tmp_path / "shipped.jsonl")
        files.append(line(1))
        assert written(files)
        assert moved.read_bytes() == line(0)
        assert numbers(folder) == [1]

    def test_a_file_that_another_took_the_place_of_is_left_alone(
        self, open_files: Open, folder: Path
    ) -> None:
        files = open_files()
        files.append(line(0))
        assert written(files)
        (path,) = folder.iterdir()
        path.unlink()
        path.write_bytes(line(100))
        files.append(line(1))
        assert files.close() == 0
        assert path.read_bytes() == line(100)
        assert sorted(numbers(folder)) == [1, 100]


FULL_DISK = """
import resource, sys, time
from pathlib import Path
from flags.export.pair_files import FileLimits, PairFiles
from tests.unit.flags.export.test_pair_files import line, numbers

folder = Path(sys.argv[1])
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
files = PairFiles(folder, "w", FileLimits(flush_interval=0.01))
size = len(line(0, 100))
for number in range(limit // size):  # just not full
    files.append(line(number, 100))
while files.waiting:
    time.sleep(0.01)
for number in range(limit // size, limit // size + 5):  # one write, of which a part fits
    files.append(line(number, 100))
time.sleep(0.2)
assert files.waiting == 5, files.waiting
print(numbers(folder)[-1], flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert files.close() == 0
assert not files.dropped
print(numbers(folder) == list(range(limit // size + 5)))
"""


def test_a_write_that_the_disk_takes_in_part_is_cut_back_to_whole_lines(folder: Path) -> None:
    """A file size limit stands for a full disk: the kernel writes what fits, then refuses."""
    limit = 20 * len(line(0, 100)) + 50
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(folder), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    last_while_full, everything_in_the_end = done.stdout.split()
    assert int(last_while_full) < 20
    assert everything_in_the_end == "True"
    assert "efbig" not in done.stdout


KILLED = """
import sys, time
from pathlib import Path
from flags.export.pair_files import FileLimits, PairFiles
from tests.unit.flags.export.test_pair_files import line

files = PairFiles(Path(sys.argv[1]), "w", FileLimits(flush_interval=0.05))
number = 0
while True:
    files.append(line(number))
    print(number, flush=True)
    number += 1
    time.sleep(0.002)
"""


def test_a_killed_worker_loses_what_it_had_for_less_than_a_second(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as worker:
        assert worker.stdout is not None
        for _ in range(200):
            last = int(worker.stdout.readline())
        time.sleep(1.0)
        worker.kill()
    kept = numbers(folder)
    assert kept == list(range(len(kept)))
    assert len(kept) > last
