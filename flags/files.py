"""Files that several processes share: atomic replacement, locks, and appending of lines."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def replace_file(
    path: Path, content: bytes, *, mode: int = 0o644, durable: bool = False, overwrite: bool = True
) -> None:
    """Write a file atomically, in place of an existing one; create a missing folder.

    The file has permissions `mode` from the beginning. If `durable`, the content is on the disk
    before the file appears under its name. Raises OSError; FileExistsError if the file exists and
    `overwrite` is false. In case of an error, an existing file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            if durable:
                file.flush()
                os.fsync(descriptor)
        if overwrite:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # fails if the name exists, atomically
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def lock_file(descriptor: int, *, wait: bool = False, shared: bool = False) -> bool:
    """Lock an open file against other processes; return whether that succeeded.

    The lock (flock) ends with the descriptor, and so with the process, however it ends. Without
    `wait`, return False if another process has the lock. Raises OSError.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock_file(descriptor: int) -> None:
    """Release the lock and keep the file open."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def locked_to_append(path: Path) -> Iterator[int]:
    """Open and lock a file for appending; yield its descriptor.

    A missing file is created, readable for its owner only. Raises OSError.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        lock_file(file, wait=True)
        yield file
    finally:
        os.close(file)  # and the lock with it


def append_lines(file: int, lines: bytes) -> None:
    """Append whole lines durably, all or nothing, to a file from `locked_to_append`."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        lines = b"\n" + lines  # end a line that a crash has left incomplete
    try:
        written = os.write(file, lines)
        if written < len(lines):  # the disk is full: the next write raises
            written += os.write(file, lines[written:])
        os.fsync(file)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise
