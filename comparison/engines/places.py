"""Tables that are named by a URL: the engine, its address and the table's name.

    duckdb://warehouse.duckdb?table=outcomes
    clickhouse://reader@host:8123/shop?table=outcomes

The part before `?` names the engine (`comparison.engines.connections`); `table` may include the
schema (`sales.outcomes`).
"""

from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import ibis.expr.types as ir

from comparison.engines.connections import connect_to, error_text
from comparison.engines.engine_urls import TABLE, PlaceError, parse_engine_url

_SIGNATURE: Final = b"DUCK"
_SIGNATURE_OFFSET: Final = 8
"""Offset of that signature in a database file: a checksum comes first."""

_MOST_LISTED: Final = 8
"""At most so many existing tables are listed in an error message."""


def database_hint(path: Path) -> str | None:
    """Say how to name a table of a DuckDB database file; None if the file is no database."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_SIGNATURE) + _SIGNATURE_OFFSET)
    except OSError:
        return None
    if head[_SIGNATURE_OFFSET:] != _SIGNATURE:
        return None
    return f"a DuckDB database: name its table, such as duckdb://{path}?table=outcomes"


def table_at(url: str, example: str = "outcomes") -> ir.Table:
    """Connect to an engine and return one of its tables. Raises PlaceError.

    `example` is a table name that the error message suggests.
    """
    parts = parse_engine_url(url)
    name = dict(parse_qsl(parts.query, keep_blank_values=True)).get(TABLE)
    if not name:
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise PlaceError(f"no table is named: add ?table=NAME, such as {place}?table={example}")
    connection = connect_to(url)
    *schema, table = name.split(".")
    database = ".".join(schema) or None
    try:
        return connection.table(table, database=database)
    except Exception as error:  # each engine's client has errors of its own
        there = _tables(connection, database)
        if there is None or table in there:
            raise PlaceError(error_text(url, error)) from error
        named = ", ".join(there[:_MOST_LISTED]) + (", ..." if len(there) > _MOST_LISTED else "")
        raise PlaceError(f"there is no table {name}; there are: {named or 'none'}") from error


def sibling_table(table: ir.Table, suffix: str) -> ir.Table | None:
    """Return the table whose name is that of `table` and a suffix; None if there is none."""
    found = table.op()
    connection = table.get_backend()
    database = ".".join(filter(None, (found.namespace.catalog, found.namespace.database))) or None
    name = f"{found.name}{suffix}"
    if name not in (_tables(connection, found.namespace.database) or ()):
        return None
    return connection.table(name, database=database)


def _tables(connection: Any, database: str | None) -> list[str] | None:
    """List the tables of a database; None if the engine cannot list them."""
    try:
        return sorted(connection.list_tables(database=database))
    except Exception:  # ignored: the caller reports the first error
        return None
