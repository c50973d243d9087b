"""Keep the counts of a compacted folder, so that the next look finds them."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from comparison.counts.aggregate import count
from comparison.counts.prepared import PreparedPairs
from comparison.engines.kept.tables import KEPT, KeptTables
from comparison.engines.parquet import ParquetPairs
from comparison.engines.worker_numbers import flags_made
from comparison.errors import ComparisonError
from comparison.judgement.flag_pairs import FlagPairs
from comparison.pairs.stores.folders import StorePath
from flags.playbook.model import Playbook


@dataclass(frozen=True, slots=True)
class KeptCounts:
    """Say how many tables of counts are kept, and how many bytes they take."""

    tables: int
    bytes: int

    @property
    def size(self) -> str:
        """Return the bytes in words."""
        return f"{self.bytes / 1e6:,.1f} MB"


def keep_counts(folder: Path) -> KeptCounts | None:
    """Count what is new in a folder, as the gate's next look at each flag wants it.

    None where nothing is kept: in an object store, or in a folder without pairs.
    """
    if isinstance(folder, StorePath):
        return None
    source = ParquetPairs(folder)
    for flag in flags_made(source):
        with suppress(ComparisonError):  # no rollout is known, so that the gate cannot judge it
            _look(FlagPairs(flag, source))
    kept = KeptTables(folder / KEPT)
    kept.tidy()
    return KeptCounts(*kept.size())


def _look(found: FlagPairs) -> None:
    """Count what evidence is taken from, but for labels and the playbook's own thresholds."""
    now = datetime.now(UTC)
    found = found.believed(now)
    run = found.run()
    begun = found.candidate_since(now)
    prepared = PreparedPairs.of(
        found.source,
        flag=found.flag,
        rollout=run.rollout,
        since=begun,
        until=now,
        step_since=max(run.since, begun),
    )
    count(prepared, warm_up=Playbook(flag=found.flag).warm_up)
