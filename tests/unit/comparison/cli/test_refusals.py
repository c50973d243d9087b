"""Messages about bad input, and output files, which are written whole or not at all."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from comparison.cli.refusals import Refusal, refusals, write
from comparison.errors import (
    ComparisonError,
    LabelsUnfitError,
    LabelWordError,
    MemoryLackingError,
    SeveralFlagsError,
)

FULL = """
import resource, sys
from pathlib import Path
from comparison.cli.refusals import Refusal, write
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write(Path(sys.argv[1]), b"new " * 1_000)
except Refusal as refusal:
    print(refusal.message)
"""


def test_a_file_that_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path) -> None:
    """On a full disk, a pipeline reads yesterday's verdict, not half of today's."""
    verdict = tmp_path / "verdict.json"
    verdict.write_bytes(b"old")
    for path in (verdict, tmp_path / "new.json"):
        done = subprocess.run(
            [sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{path}: File too large\n"
    assert verdict.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [verdict]


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    real, link, new = (tmp_path / name for name in ("real.html", "link.html", "new.html"))
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)
    write(link, b"new")
    write(new, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o600
    mask = os.umask(0)
    os.umask(mask)
    assert new.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"verdict")
    reader.join()
    assert read == [b"verdict"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("no/such/page.html", "No such file or directory"), (".", "Is a directory")],
)
def test_what_is_no_place_for_a_file_is_said(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=problem):
        write(tmp_path / name, b"page")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SeveralFlagsError("pairs", ["a", "b"]), "one of them with --flag, for example --flag a"),
        (MemoryLackingError("pairs", 2 << 20), "compare fewer days (--since)"),
        (LabelWordError("labels", "'x'"), "'x'; --label-values maps other words, e.g."),
        (
            LabelsUnfitError("kind", ["ham"]),
            "say which of them is which with --label-values, e.g. 1=spam,0=ham",
        ),
    ],
)
def test_a_command_names_its_option_for_what_an_error_asks_for(
    error: ComparisonError, said: str
) -> None:
    with pytest.raises(Refusal) as refusal, refusals():
        raise error
    assert said in refusal.value.message
    assert "--" not in str(error), "Python code has no such option"
