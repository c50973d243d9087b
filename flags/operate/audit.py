"""Keep the acts of this tool in a local file: JSON lines, one act or one following each."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from pydantic import TypeAdapter

from flags.errors import AuditUnwritableError
from flags.operate.acts import DoneAct, Following

DEFAULT: Final = Path("migration-audit.jsonl")
"""In the folder in which the command is run."""

_KINDS: Final[Mapping[str, TypeAdapter[DoneAct] | TypeAdapter[Following]]] = {
    "act": TypeAdapter(DoneAct),
    "following": TypeAdapter(Following),
}


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit file holds, in its order."""

    acts: tuple[DoneAct, ...]
    followings: tuple[Following, ...]
    unreadable: int
    """Lines that are none of ours, or torn."""


class AuditFile:
    """An audit file that several programs may append to at once.

    It is made readable for its owner only; the mode of a file that is there is left as it is. Every
    failure is an AuditUnwritableError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: DoneAct | Following) -> None:
        """Write `entry` to the disk as one line: all of it, or nothing."""
        kind = "act" if isinstance(entry, DoneAct) else "following"
        line = orjson.dumps({"kind": kind, **_plain(entry)}) + b"\n"
        try:
            with self._locked() as file:
                size = os.fstat(file).st_size
                if size and os.pread(file, 1, size - 1) != b"\n":
                    line = b"\n" + line  # a line that was torn by a crash stays one of its own
                _write(file, line, size)
        except OSError as error:
            raise AuditUnwritableError(
                f"the audit file {self.path} cannot be written: {error.strerror}"
            ) from error

    def read(self) -> Audit:
        """Return what is in the file; nothing if there is none."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise AuditUnwritableError(
                f"the audit file {self.path} cannot be read: {error.strerror}"
            ) from error
        entries = [_parsed(line) for line in lines if line.strip()]
        return Audit(
            acts=tuple(each for each in entries if isinstance(each, DoneAct)),
            followings=tuple(each for each in entries if isinstance(each, Following)),
            unreadable=sum(each is None for each in entries),
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)  # and the lock with it


def _plain(entry: DoneAct | Following) -> dict[str, object]:
    plain: dict[str, object] = orjson.loads(orjson.dumps(entry))
    return plain


def _write(file: int, line: bytes, size: int) -> None:
    try:
        written = os.write(file, line)
        if written < len(line):  # the disk is full
            written += os.write(file, line[written:])
        os.fsync(file)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)
        raise


def _parsed(line: bytes) -> DoneAct | Following | None:
    try:
        plain = orjson.loads(line)
        return _KINDS[plain.pop("kind")].validate_python(plain)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
