"""Tables of an engine by URL: which engine, where it is, and the table's name.

    duckdb://warehouse.duckdb?table=outcomes
    clickhouse://reader:password@host:8123/shop?table=outcomes

The part before `?` is what `ibis.connect` takes; `table` may name a schema too (`sales.outcomes`).
"""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import ibis
import ibis.expr.types as ir

_TABLE: Final = "table"
_FILES: Final = ("duckdb", "sqlite")
"""Engines that would make a file that is not there."""

_DUCKDB: Final = b"DUCK"
_DUCKDB_AT: Final = 8
"""Where that is in a database file: behind a checksum."""


class PlaceError(Exception):
    """Say why there is no table at a URL; the message holds no password."""


def is_url(place: object) -> bool:
    """Say whether a place is a URL, and not a path."""
    return isinstance(place, str) and "://" in place


def shown_url(url: str) -> str:
    """Return a URL without user, password and all of its query but the table's name."""
    parts = urlsplit(url)
    kept = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key == _TABLE])
    # Not by `urlunsplit`: it leaves the slashes of an empty host away.
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return f"{place}?{kept}" if kept else place


def database_hint(path: Path) -> str | None:
    """Say how to name a table of a file that is a DuckDB database; None if it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_DUCKDB) + _DUCKDB_AT)
    except OSError:
        return None
    if head[_DUCKDB_AT:] != _DUCKDB:
        return None
    return f"a DuckDB database: name its table, such as duckdb://{path}?table=outcomes"


def table_at(url: str, example: str = "outcomes") -> ir.Table:
    """Connect to an engine and return a table of it; raises PlaceError.

    `example` is what a table may be called, for the message.
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    name = dict(query).get(_TABLE)
    if not name:
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise PlaceError(f"no table is named: add ?table=NAME, such as {place}?table={example}")
    options = [(key, value) for key, value in query if key != _TABLE]
    if parts.scheme in _FILES and not Path(parts.netloc + parts.path).is_file():
        raise PlaceError("there is no such file")
    if parts.scheme == "duckdb":
        options.append(("read_only", "true"))
    *schema, table = name.split(".")
    try:
        connection = ibis.connect(urlunsplit(parts._replace(query=urlencode(options))))
        return connection.table(table, database=".".join(schema) or None)
    except ImportError as error:
        raise PlaceError(f"what connects to it is not installed: {error}") from error
    except Exception as error:  # each engine's client has errors of its own
        said = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise PlaceError(said.replace(parts.password or "\n", "***")) from error
