"""Folders in object stores: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.

They are accessed through Arrow's file systems, see `systems`. URLs and messages never contain
credentials.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast
from urllib.parse import urlsplit

from comparison.errors import StoreUnreadableError
from comparison.pairs.secrets import without_secrets
from comparison.pairs.stores.systems import CREDENTIALS, file_system

SCHEMES: Final = ("s3", "gs", "az")

# Parts of Arrow's messages, by their cause.
_REFUSED_WORDS: Final = (
    *("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "403", "401"),
    *("ermission", "nauthorized", "redential", "uthenticat", "Base64"),
)
_SILENT_WORDS: Final = (
    *("NETWORK_CONNECTION", "ould not connect", "ould not resolve", "new connection"),
    *("timed out", "imeout"),
)
_NO_BUCKET: Final = ("NO_SUCH_BUCKET", "ContainerNotFound", "bucket does not exist")
_READ_AHEAD: Final = 2**23
"""Bytes that are fetched at once of a file that is read from beginning to end."""


def is_store(place: object) -> bool:
    """Say whether a place is the URL of a folder in an object store."""
    return isinstance(place, str) and place.partition("://")[0] in SCHEMES and "://" in place


def folder_at(place: str | Path) -> Path:
    """Return the path of a folder of this machine, or a StorePath for the URL of an object store.

    Raises StoreUnreadableError if the URL names no bucket, or holds credentials.
    """
    if isinstance(place, StorePath):
        return place
    return _store_path(str(place)).as_path if is_store(place) else Path(place)


def _store_path(url: str) -> "StorePath":
    try:
        parts = urlsplit(url)
    except ValueError as error:
        problem = f"that is no URL: {error}"
        raise StoreUnreadableError(url.rpartition("@")[2], problem) from error
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if "@" in parts.netloc:
        sources = CREDENTIALS[parts.scheme]
        raise StoreUnreadableError(shown, f"a URL must not hold credentials: they are {sources}")
    if not parts.netloc:
        problem = f"no bucket is named: a folder is such as {parts.scheme}://bucket/pairs"
        raise StoreUnreadableError(shown, problem)
    with _store_errors(shown, parts.scheme):
        files = file_system(parts.scheme, parts.netloc)
    return StorePath(parts.scheme, f"{parts.netloc}{parts.path}".rstrip("/"), files)


@dataclass(frozen=True, slots=True)
class FileStatus:
    """Size and time of a file, named as in `os.stat`."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, slots=True, order=True)
class StorePath:
    """A path in an object store, with the methods of `Path` that the reading of pairs needs.

    A folder exists if there is a file below it. Raises StoreUnreadableError if the store refuses or
    cannot be reached, FileNotFoundError for a file that does not exist.
    """

    scheme: str
    key: str
    """The bucket, and the name in it."""
    files: Any = field(repr=False, compare=False)
    """Arrow's file system."""
    status: FileStatus | None = field(default=None, repr=False, compare=False)
    """Size and time as a listing reported them; None if it is not from a listing."""

    def __truediv__(self, name: str | PurePosixPath | Path) -> "StorePath":
        return StorePath(self.scheme, f"{self.key}/{PurePosixPath(name)}", self.files)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.key}"

    @property
    def name(self) -> str:
        """Return the last part."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """Return the last part without its suffix."""
        return PurePosixPath(self.key).stem

    @property
    def suffix(self) -> str:
        """Return the suffix of the last part, with its dot."""
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> "StorePath":
        """Return the folder that this is in."""
        return StorePath(self.scheme, str(PurePosixPath(self.key).parent), self.files)

    @property
    def as_path(self) -> Path:
        """Return itself, typed as `Path`: readers of pairs call only methods that it has."""
        return cast(Path, self)

    def with_name(self, name: str) -> "StorePath":
        """Return the file of another name beside this one."""
        return self.parent / name

    def resolve(self) -> "StorePath":
        """Return itself: there are no links."""
        return self

    def relative_to(self, folder: "StorePath") -> PurePosixPath:
        """Return the path relative to a folder."""
        return PurePosixPath(self.key).relative_to(folder.key)

    def exists(self) -> bool:
        """Say whether it is a file, or a folder with something in it."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Say whether there is a file of this name."""
        return bool(self._info().is_file)

    def is_dir(self) -> bool:
        """Say whether there is a file below it. Raises StoreUnreadableError without its bucket."""
        from pyarrow.fs import FileType

        if self._info().type == FileType.Directory:
            return True
        bucket = self.key.partition("/")[0]
        with _store_errors(str(self), self.scheme):
            [found] = self.files.get_file_info([bucket])
        if found.type == FileType.NotFound:
            raise StoreUnreadableError(str(self), f"there is no bucket {bucket}")
        return False

    def stat(self) -> FileStatus:
        """Return its size and time."""
        if self.status is not None:
            return self.status
        found = self._info()
        if not found.is_file:
            raise FileNotFoundError(str(self))
        return FileStatus(found.size, found.mtime_ns)

    def open(self, mode: str = "rb", buffering: int = -1) -> IO[bytes]:
        """Open it to read or to overwrite; with `buffering=0`, each read is a request."""
        with _store_errors(str(self), self.scheme):
            if mode == "wb":
                return cast(IO[bytes], self.files.open_output_stream(self.key, compression=None))
            file = self.files.open_input_file(self.key)
        return cast(IO[bytes], file if buffering == 0 else io.BufferedReader(file, _READ_AHEAD))

    def read_bytes(self) -> bytes:
        """Return its content."""
        with self.open(buffering=0) as file:
            return file.read()

    def write_bytes(self, content: bytes) -> None:
        """Replace its content; readers see either all of the new content or the old one."""
        with (
            _store_errors(str(self), self.scheme),
            self.files.open_output_stream(self.key, compression=None) as file,
        ):
            file.write(content)

    def unlink(self) -> None:
        """Remove it if it exists."""
        with suppress(FileNotFoundError), _store_errors(str(self), self.scheme):
            self.files.delete_file(self.key)

    def glob(self, pattern: str) -> Iterator["StorePath"]:
        """Yield the files whose relative path matches the pattern, part by part."""
        wanted = pattern.split("/")
        for path in self.rglob("*"):
            parts = path.key.removeprefix(f"{self.key}/").split("/")
            if len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted)):
                yield path

    def rglob(self, pattern: str) -> Iterator["StorePath"]:
        """Yield the files below it whose last parts match the pattern, in order of their names."""
        from pyarrow.fs import FileSelector

        selector = FileSelector(self.key, recursive=True, allow_not_found=True)
        with _store_errors(str(self), self.scheme):
            found = [each for each in self.files.get_file_info(selector) if each.is_file]
        for each in sorted(found, key=lambda info: info.path):
            if PurePosixPath(each.path).match(pattern):
                status = FileStatus(each.size, each.mtime_ns)
                yield StorePath(self.scheme, each.path, self.files, status)

    def _info(self) -> Any:
        with _store_errors(str(self), self.scheme):
            [found] = self.files.get_file_info([self.key])
        return found


@contextmanager
def _store_errors(place: str, scheme: str) -> Iterator[None]:
    """Convert Arrow's errors to StoreUnreadableError, with a message that says what to do."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        if not isinstance(error, OSError | ValueError) and not _is_arrow_error(error):
            raise
        message = without_secrets(str(error).partition("\n")[0].partition(" error_info=")[0])
        if any(word in message for word in _NO_BUCKET):
            message = f"there is no such bucket ({message})"
        elif any(word in message for word in _SILENT_WORDS):
            message = f"the store does not answer ({message})"
        elif any(word in message for word in _REFUSED_WORDS):
            message = f"access refused ({message}): credentials are {CREDENTIALS[scheme]}"
        raise StoreUnreadableError(place, message) from error


def _is_arrow_error(error: Exception) -> bool:
    """Say whether Arrow raised it: not all its errors are subclasses of OSError or ValueError."""
    return type(error).__module__.partition(".")[0] == "pyarrow"
