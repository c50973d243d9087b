"""Temporary tables of ClickHouse: rows that are dear to read, read once for many questions."""

from contextlib import suppress
from typing import Any, Final
from uuid import uuid4
from weakref import finalize

import ibis.expr.operations as ops
import ibis.expr.types as ir

_IDLE: Final = "600"
"""Seconds after the last statement after which the server may forget the session and its tables."""


def held_by_clickhouse(table: ir.Table, owner: object) -> ir.Table | None:
    """Write rows into a temporary table, which lasts as long as `owner`.

    None if the server is another one, or does not let us: this takes the right CREATE ARBITRARY
    TEMPORARY TABLE, and a session that lasts.
    """
    connection: Any = table.get_backend()
    if connection.name != "clickhouse":
        return None
    client, name = connection.con, f"held_{uuid4().hex}"
    try:
        if "session_id" in getattr(client, "params", {}):
            client.set_client_setting("session_timeout", _IDLE)
        client.command(
            f"CREATE TEMPORARY TABLE {name} ENGINE = MergeTree ORDER BY tuple() AS "
            f"{connection.compile(table)}"
        )
        there = client.command(f"EXISTS TEMPORARY TABLE {name}")
    except Exception:  # the client has many; what is wrong with the rows, the next question tells
        return None
    finalize(owner, _drop, client, name)
    if not int(there):  # behind a balancer, another server may have answered
        return None
    return ops.DatabaseTable(name, schema=table.schema(), source=connection).to_expr()


def _drop(client: Any, name: str) -> None:
    with suppress(Exception):  # the server drops it with the session
        client.command(f"DROP TEMPORARY TABLE IF EXISTS {name}")
