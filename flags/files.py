"""Files that several processes share: replaced whole or not at all, locked while they are used."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def replace_file(
    path: Path, content: bytes, *, mode: int = 0o644, durable: bool = False, overwrite: bool = True
) -> None:
    """Put a file in the place of what is there, in one step; make the folder if it is missing.

    The file has permissions `mode` from the beginning. With `durable` its content is on the disk
    before it takes its name. Raises OSError, of which FileExistsError if something is there and
    `overwrite` is false; what was there then stays.
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
            os.link(temporary, path)  # fails where the name is taken, in one step
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def lock_file(descriptor: int, *, wait: bool = False, shared: bool = False) -> bool:
    """Lock an open file against other processes; say whether that succeeded.

    The lock (flock) goes with the descriptor, and so with its process, however that ends. Without
    `wait`, False where another process holds it. Raises OSError.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock_file(descriptor: int) -> None:
    """Give the lock back and keep the file open."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def locked_to_append(path: Path) -> Iterator[int]:
    """Yield the descriptor of a file that no other process appends to meanwhile.

    One that is not there yet is made, readable for its owner only. Raises OSError.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        lock_file(file, wait=True)
        yield file
    finally:
        os.close(file)  # and the lock with it


def append_lines(file: int, lines: bytes) -> None:
    """Write whole lines to the disk, all or nothing; the file is from `locked_to_append`."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        lines = b"\n" + lines  # a line that was torn by a crash stays one of its own
    try:
        written = os.write(file, lines)
        if written < len(lines):  # the disk is full
            written += os.write(file, lines[written:])
        os.fsync(file)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise
