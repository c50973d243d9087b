"""Tables of an engine by URL: which engine, where it is, and the table's name.

    duckdb://warehouse.duckdb?table=outcomes
    clickhouse://reader@host:8123/shop?table=outcomes

The part before `?` says which engine (`comparison.engines.connections`); `table` may name a schema
too (`sales.outcomes`).
"""

from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import ibis.expr.types as ir

from comparison.engines.connections import connected, said
from comparison.engines.engine_urls import TABLE, PlaceError, checked

_DUCKDB: Final = b"DUCK"
_DUCKDB_AT: Final = 8
"""Where that is in a database file: behind a checksum."""

_NAMED: Final = 8
"""How many of the tables that are there a message names."""


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
    parts = checked(url)
    name = dict(parse_qsl(parts.query, keep_blank_values=True)).get(TABLE)
    if not name:
        place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise PlaceError(f"no table is named: add ?table=NAME, such as {place}?table={example}")
    connection = connected(url)
    *schema, table = name.split(".")
    database = ".".join(schema) or None
    try:
        return connection.table(table, database=database)
    except Exception as error:  # each engine's client has errors of its own
        there = _tables(connection, database)
        if there is None or table in there:
            raise PlaceError(said(url, error)) from error
        named = ", ".join(there[:_NAMED]) + (", ..." if len(there) > _NAMED else "")
        raise PlaceError(f"there is no table {name}; there are: {named or 'none'}") from error


def beside(table: ir.Table, ending: str) -> ir.Table | None:
    """Return the table of the same name with an ending, None if there is none."""
    found = table.op()
    connection = table.get_backend()
    database = ".".join(filter(None, (found.namespace.catalog, found.namespace.database))) or None
    name = f"{found.name}{ending}"
    if name not in (_tables(connection, found.namespace.database) or ()):
        return None
    return connection.table(name, database=database)


def _tables(connection: Any, database: str | None) -> list[str] | None:
    """Return the names of the tables beside it; None where the engine does not say them."""
    try:
        return sorted(connection.list_tables(database=database))
    except Exception:  # of no account: the first error is told
        return None
