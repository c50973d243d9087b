"""A worker's count of its pairs outlives its pairs."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path

from flags.export.worker_count import FOLDER, CountFile, read_counts


def test_the_last_count_is_read_from_the_folder_or_above_it(tmp_path: Path) -> None:
    file = CountFile(tmp_path / "pod" / "pairs", "w1")
    file.write(10, 0)
    file.write(70, 2)
    file.write(75, 2)
    for place in (tmp_path / "pod" / "pairs", tmp_path):
        (count,) = read_counts(place)
        assert (count.worker, count.pairs, count.dropped, count.most) == ("w1", 75, 2, 60)
        assert not count.closed
    file.write(75, 2, closed=True)
    (count,) = read_counts(tmp_path)
    assert count.closed


def test_it_is_written_where_a_disk_takes_nothing_more(tmp_path: Path) -> None:
    """A process that may not make any file larger, whatever its size, stands for a full disk."""
    CountFile(tmp_path, "w1").write(0, 0)
    code = f"""
import resource, signal
from pathlib import Path
from flags.export.worker_count import CountFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
try:
    Path({str(tmp_path)!r}, "pairs").write_bytes(bytes(513))
except OSError:
    CountFile(Path({str(tmp_path)!r}), "w1").write(10**12, 10**12, closed=True)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 512
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    (count,) = read_counts(tmp_path)
    assert (count.pairs, count.closed) == (10**12, True)


def test_a_folder_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    file = CountFile(tmp_path / "pairs", "w1")
    file.write(10, 0)
    shutil.rmtree(tmp_path / "pairs")
    file.write(20, 0)
    assert [count.pairs for count in read_counts(tmp_path)] == [20]


def test_what_is_not_a_count_is_left_out(tmp_path: Path) -> None:
    CountFile(tmp_path, "w1").write(10, 0)
    for name, text in (("a", ""), ("b", "{}"), ("c", "[1]"), ("d", '{"worker": "w1"}')):
        (tmp_path / FOLDER / f"{name}.count").write_text(text)
    (tmp_path / FOLDER / "copy.count").write_bytes((tmp_path / FOLDER / "w1.count").read_bytes())
    assert [count.worker for count in read_counts(tmp_path)] == ["w1"]
    assert read_counts(tmp_path / "nowhere") == []
