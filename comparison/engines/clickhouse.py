"""ClickHouse: joins that leave missing values missing, and temporary tables.

A temporary table holds rows that are slow to read and that many statements ask about.
"""

from contextlib import suppress
from typing import Any, Final
from uuid import uuid4
from weakref import finalize

import ibis.expr.operations as ops
import ibis.expr.types as ir

from comparison.errors import PlaceUnreadableError

_SESSION_SECONDS: Final = "600"
"""Seconds without a statement after which the server may drop the session and its tables."""


def require_join_nulls(table: ir.Table) -> None:
    """Set join_use_nulls: by default ClickHouse fills zeros where a join finds no row.

    Raises PlaceUnreadableError if the user may not set it, since counts would be wrong.
    """
    connection: Any = table.get_backend()
    if connection.name != "clickhouse":
        return
    client = connection.con
    with suppress(Exception):  # the setting is read back below
        client.set_client_setting("join_use_nulls", "1")
    if not int(client.command("SELECT toUInt8(getSetting('join_use_nulls'))")):
        said = "this user may not set join_use_nulls = 1: allow it, or set it in the user's profile"
        raise PlaceUnreadableError("ClickHouse", said)


def temporary_table(table: ir.Table, owner: object) -> ir.Table | None:
    """Write rows into a temporary table of ClickHouse, which lasts as long as `owner`.

    None if the engine is not ClickHouse, or refuses: the user needs the right CREATE ARBITRARY
    TEMPORARY TABLE, and a session.
    """
    connection: Any = table.get_backend()
    if connection.name != "clickhouse":
        return None
    client, name = connection.con, f"held_{uuid4().hex}"
    try:
        if client.get_client_setting("session_id"):
            client.set_client_setting("session_timeout", _SESSION_SECONDS)
        client.command(
            f"CREATE TEMPORARY TABLE {name} ENGINE = MergeTree ORDER BY tuple() AS "
            f"{connection.compile(table)}"
        )
        there = client.command(f"EXISTS TEMPORARY TABLE {name}")
    except Exception:  # many types; an error in the rows themselves shows in the next statement
        return None
    finalize(owner, _drop, client, name)
    if not int(there):  # a load balancer may have sent the statement to another server
        return None
    return ops.DatabaseTable(name, schema=table.schema(), source=connection).to_expr()


def _drop(client: Any, name: str) -> None:
    with suppress(Exception):  # the server drops it with the session
        client.command(f"DROP TEMPORARY TABLE IF EXISTS {name}")
