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

_SHOWN: Final = "_shown_tables"
"""The attribute of a connection that has the tables in memory that it shows."""


def memory_limit() -> int:
    """Return the bytes that DuckDB may take; beyond that it spills to temporary files.

    It takes what its tables need: ten million pairs the same with 1 GB and with 8. With too little,
    it gives up: groups of millions of units are only in part spilled.
    """
    return memory() // 2


def connect() -> Backend:
    """Return a DuckDB of its own."""
    connection = ibis.duckdb.connect(
        memory_limit=f"{memory_limit()}B",
        temp_directory=str(Path(tempfile.gettempdir()) / f"bentoml-flags-{uuid4().hex}"),
        preserve_insertion_order=False,
    )
    # Else each statement, and each view, about many files reads the ends of all of them.
    connection.raw_sql("SET parquet_metadata_cache = true")
    # The system holds what was read of files as well; this would be the half of their bytes again.
    connection.raw_sql("SET enable_external_file_cache = false")
    return connection


def shown(connection: Backend, name: str, table: pa.Table) -> ir.Table:
    """Return a table in memory to a connection, which does not copy it."""
    connection.con.register(name, table)
    vars(connection).setdefault(_SHOWN, {})[name] = table
    return known(connection, name, ibis.Schema.from_pyarrow(table.schema))


def table_behind(rows: ir.Table) -> pa.Table | None:
    """Return the table in memory that is shown as it is, None if there is something to compute."""
    op = rows.op()
    if not isinstance(op, ops.DatabaseTable):
        return None
    found: pa.Table | None = vars(op.source).get(_SHOWN, {}).get(op.name)
    return found


def shown_anew(connection: Backend, table: pa.Table) -> ir.Table:
    """Show a table under a name of its own."""
    return shown(connection, f"shown_{uuid4().hex}", table)


@contextmanager
def registered(connection: Backend, /, **tables: pa.Table) -> Iterator[None]:
    """Let statements see tables in memory by these names."""
    for name, table in tables.items():
        connection.con.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.con.unregister(name)


def hide(connection: Backend, table: ir.Table) -> None:
    """Show a table in memory no longer, so that it can go."""
    name = table.get_name()
    connection.con.unregister(name)
    del vars(connection)[_SHOWN][name]


def known(connection: Backend, name: str, schema: ibis.Schema) -> ir.Table:
    """Return a table or view by its name and known columns, without asking the engine."""
    return ops.DatabaseTable(name, schema=schema, source=connection).to_expr()


def named(connection: Backend, table: ir.Table) -> ir.Table:
    """Give an expression a name in the engine: a view, which computes nothing by itself.

    ibis spends 20 to 50 ms on each statement about an expression of many columns and steps, and 3
    on one about a name.
    """
    name = f"view_{uuid4().hex}"
    connection.raw_sql(f'CREATE TEMPORARY VIEW "{name}" AS {connection.compile(table)}')
    return known(connection, name, table.schema())


def held(connection: Backend, table: ir.Table) -> ir.Table:
    """Compute a table and hold it until the connection ends."""
    if table_behind(table) is not None:
        return table
    return connection.create_table(f"held_{uuid4().hex}", table, temp=True)


def quoted(name: str) -> str:
    """Return a name as a statement has it."""
    return '"' + name.replace('"', '""') + '"'
