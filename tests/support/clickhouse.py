"""ClickHouse in this process, if it is installed: chdb is its engine in a wheel."""

from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

needs_clickhouse = pytest.mark.skipif(
    not (find_spec("chdb") and find_spec("clickhouse_connect")),
    reason="no ClickHouse: pip install chdb 'ibis-framework[clickhouse]'",
)


@cache
def clickhouse() -> Any:
    """Return a client; there is one ClickHouse in a process, and it keeps its tables."""
    import clickhouse_connect

    return clickhouse_connect.get_client(interface="chdb")
