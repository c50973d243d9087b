"""The digest of labels, which changes with any label: sums of hashes that DuckDB computes."""

from collections.abc import Sequence

from ibis.backends.duckdb import Backend

from comparison.engines.arrays import BATCH
from comparison.engines.embedded import quoted
from comparison.engines.id_hashes import IdHashes
from comparison.labels.files import ID, TIME


def digest_of(engine: Backend, rows: str, columns: Sequence[str]) -> tuple[IdHashes, int, str]:
    """Return hashes of the ids, the number of rows without an id, and a digest of all labels.

    `rows` is SQL that selects `columns`; only rows with a label count. The digest does not depend
    on the order of the rows.
    """
    others = [name for name in columns if name != ID]
    values = ", ".join(map(quoted, others))
    is_known = " OR ".join(f"{quoted(name)} IS NOT NULL" for name in others if name != TIME)
    hashes = {
        "hash": f"hash({ID})",
        "check": f"hash({ID} || '#')",
        "one": f"hash({ID}, {values})",
        "other": f"hash({ID} || '#', {values})",
    }
    columns_of_hashes = ", ".join(
        f'CASE WHEN is_known THEN {it} END AS "{n}"' for n, it in hashes.items()
    )
    text = f"""
        SELECT {columns_of_hashes}, CAST(coalesce({ID}, '') = '' AS UBIGINT) AS wrong
        FROM (SELECT *, {is_known} AS is_known FROM ({rows}))
    """  # noqa: S608 - our own names
    found = IdHashes.read(engine.con.execute(text).to_arrow_reader(BATCH))
    digest = found.size, found.sums["one"], found.sums["other"]
    return found, found.sums["wrong"], "-".join(map(str, digest))
