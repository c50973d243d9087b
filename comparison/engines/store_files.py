"""Files of an object store for DuckDB, which reads only the columns that a statement needs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fsspec import AbstractFileSystem
from ibis.backends.duckdb import Backend

from comparison.pairs.stores.folders import StorePath

_SCHEME: Final = "pairs-in-a-store"
"""A scheme of our own: for known ones such as `s3` DuckDB would install an extension."""


def readable(connection: Backend, parts: Sequence[Path]) -> list[str]:
    """Return the names under which a connection opens files, local or in an object store."""
    every: Sequence[object] = parts
    stored = {each.key: each for each in every if isinstance(each, StorePath)}
    if not stored:
        return [str(each) for each in parts]
    connection.con.register_filesystem(StoredParts(stored))
    return [f"{_SCHEME}://{key}" for key in stored]


class StoredParts(AbstractFileSystem):  # type: ignore[misc]  # no types upstream
    """A file system over an earlier listing: sizes and times are not queried again."""

    protocol = _SCHEME
    cachable = False

    def __init__(self, parts: Mapping[str, StorePath]) -> None:
        super().__init__()
        self._parts = parts

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size and time of a file, from the listing."""
        part = self._part(path)
        status = part.stat()
        return {
            "name": part.key,
            "size": status.st_size,
            "type": "file",
            "mtime": status.st_mtime_ns / 1e9,
        }

    def modified(self, path: str) -> Any:
        """Return when a file was written."""
        import pandas as pd

        return pd.Timestamp(self._part(path).stat().st_mtime_ns, tz="UTC").to_pydatetime()

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return self._part(path).open(mode, buffering=0)

    def _part(self, path: str) -> StorePath:
        try:
            return self._parts[self._strip_protocol(path)]
        except KeyError:
            raise FileNotFoundError(path) from None
