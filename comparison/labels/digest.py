"""What tells labels from others: hashes of all of them, which DuckDB in this process makes."""

from collections.abc import Sequence

from ibis.backends.duckdb import Backend

from comparison.engines.arrays import BATCH
from comparison.engines.embedded import quoted
from comparison.engines.id_hashes import IdHashes
from comparison.labels.files import ID, TIME


def digest_of(engine: Backend, rows: str, columns: Sequence[str]) -> tuple[IdHashes, int, str]:
    """Return hashes of the ids, how many rows have none, and what differs where any label does.

    `rows` select `columns`; those count in which one of the labels is known. The digest does not
    depend on the order of the rows.
    """
    others = [name for name in columns if name != ID]
    wanted = ", ".join(map(quoted, others))
    is_known = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in others if name != TIME)
    hashes = {
        "hash": f"hash({ID})",
        "check": f"hash({ID} || '#')",
        "one": f"hash({ID}, {wanted})",
        "other": f"hash({ID} || '#', {wanted})",
    }
    taken = ", ".join(f'CASE WHEN is_known THEN {it} END AS "{n}"' for n, it in hashes.items())
    text = f"""
        SELECT {taken}, CAST(coalesce({ID}, '') = '' AS UBIGINT) AS wrong
        FROM (SELECT *, {is_known} AS is_known FROM ({rows}))
    """  # noqa: S608 - our own names
    found = IdHashes.read(engine.con.execute(text).to_arrow_reader(BATCH))
    told = found.size, found.sums["one"], found.sums["other"]
    return found, found.sums["wrong"], "-".join(map(str, told))
