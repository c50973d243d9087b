"""Files that several processes share: replaced whole or not at all, locked while they are used."""

import contextlib
import fcntl
import os
import tempfile
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
