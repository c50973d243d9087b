"""DuckDB in this process, in a bounded amount of memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from comparison.pairs.machine import memory

_REGISTERED: Final = "_registered_tables"
"""Attribute of a connection with the in-memory tables that are registered with it, by name."""


def memory_limit() -> int:
    """Return the bytes that DuckDB may use; beyond them it spills to temporary files.

    A larger limit does not make it use more: ten million pairs take the same with 1 GB and with 8.
    With too little memory it fails, since groups of millions of units are spilled only in part.
    """
    return memory() // 2


def connect() -> Backend:
    """Open a new in-memory DuckDB."""
    connection = ibis.duckdb.connect(
        memory_limit=f"{memory_limit()}B",
        temp_directory=str(Path(tempfile.gettempdir()) / f"bentoml-flags-{uuid4().hex}"),
        preserve_insertion_order=False,
    )
    # Without it, each statement and each view over many files reads the footer of every file.
    connection.raw_sql("SET parquet_metadata_cache = true")
    # The operating system caches files already; this cache would hold half of their bytes again.
    connection.raw_sql("SET enable_external_file_cache = false")
    return connection


def register_table(connection: Backend, name: str, table: pa.Table) -> ir.Table:
    """Register an in-memory table with a connection, which reads it without a copy."""
    connection.con.register(name, table)
    vars(connection).setdefault(_REGISTERED, {})[name] = table
    return table_reference(connection, name, ibis.Schema.from_pyarrow(table.schema))


def table_in_memory(rows: ir.Table) -> pa.Table | None:
    """Return the registered table that `rows` is; None if `rows` must be computed."""
    op = rows.op()
    if not isinstance(op, ops.DatabaseTable):
        return None
    found: pa.Table | None = vars(op.source).get(_REGISTERED, {}).get(op.name)
    return found


def register_unnamed(connection: Backend, table: pa.Table) -> ir.Table:
    """Register an in-memory table under a generated name."""
    return register_table(connection, f"table_{uuid4().hex}", table)


@contextmanager
def registered(connection: Backend, /, **tables: pa.Table) -> Iterator[None]:
    """Register in-memory tables by these names inside a `with` block."""
    for name, table in tables.items():
        connection.con.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.con.unregister(name)


def unregister_table(connection: Backend, table: ir.Table) -> None:
    """Unregister an in-memory table, so that its memory can be freed."""
    name = table.get_name()
    connection.con.unregister(name)
    del vars(connection)[_REGISTERED][name]


def table_reference(connection: Backend, name: str, schema: ibis.Schema) -> ir.Table:
    """Return a table or view by its name and schema, without a query to the engine."""
    return ops.DatabaseTable(name, schema=schema, source=connection).to_expr()


def create_view(connection: Backend, table: ir.Table) -> ir.Table:
    """Create a view of an expression.

    ibis spends 20 to 50 ms on each statement about an expression of many columns and steps, and 3
    on one about a view.
    """
    name = f"view_{uuid4().hex}"
    connection.raw_sql(f'CREATE TEMPORARY VIEW "{name}" AS {connection.compile(table)}')
    return table_reference(connection, name, table.schema())


def materialize(connection: Backend, table: ir.Table) -> ir.Table:
    """Compute a table into a temporary table, which lasts as long as the connection."""
    if table_in_memory(table) is not None:
        return table
    return connection.create_table(f"rows_{uuid4().hex}", table, temp=True)


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'
