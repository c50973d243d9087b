"""Files that several processes share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flags.files import lock_file, replace_file, unlock_file
from tests.support.paths import ROOT


def test_a_file_is_replaced_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.json"
    for content in (b"first", b"second"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "token"
    before = os.umask(0)
    try:
        replace_file(path, b"secret", mode=0o600, durable=True)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_there_stays_where_it_must_not_be_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    replace_file(path, b"mine", overwrite=False)
    with pytest.raises(FileExistsError):
        replace_file(path, b"theirs", overwrite=False)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_behind_where_the_name_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "taken", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def locked_by_another(path: Path, *, shared: bool) -> bool:
    """Say whether a process of its own gets the lock."""
    code = (
        "import os, sys; from flags.files import lock_file; "
        f"sys.exit(lock_file(os.open(sys.argv[1], os.O_RDWR), shared={shared}))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=False, timeout=60)
    return bool(done.returncode)


def test_a_lock_is_held_against_other_processes_until_it_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    assert lock_file(descriptor)
    assert not locked_by_another(path, shared=False)
    assert not locked_by_another(path, shared=True)
    unlock_file(descriptor)
    assert lock_file(descriptor, shared=True)
    assert not locked_by_another(path, shared=False)
    assert locked_by_another(path, shared=True)
    os.close(descriptor)
    assert locked_by_another(path, shared=False)
