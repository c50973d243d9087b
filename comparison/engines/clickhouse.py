"""What ClickHouse needs to be told: joins as SQL has them, and temporary tables.

A temporary table holds rows that are dear to read, for many questions.
"""

from contextlib import suppress
from typing import Any, Final
from uuid import uuid4
from weakref import finalize

import ibis.expr.operations as ops
import ibis.expr.types as ir

from comparison.errors import PlaceUnreadableError

_IDLE: Final = "600"
"""Seconds after the last statement after which the server may forget the session and its tables."""


def joins_as_in_sql(table: ir.Table) -> None:
    """Let ClickHouse leave missing what a join does not find; it makes zeros of it, unless told.

    Raises PlaceUnreadableError where its user may not say so, since counts would be wrong.
    """
    connection: Any = table.get_backend()
    if connection.name != "clickhouse":
        return
    client = connection.con
    with suppress(Exception):  # what it says is asked below
        client.set_client_setting("join_use_nulls", "1")
    if not int(client.command("SELECT toUInt8(getSetting('join_use_nulls'))")):
        said = "this user may not set join_use_nulls = 1: allow it, or set it in the user's profile"
        raise PlaceUnreadableError("ClickHouse", said)


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
        if client.get_client_setting("session_id"):
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
