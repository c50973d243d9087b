"""The counts of a compacted folder, written beside it so that the next look reads them."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from comparison.counts.aggregate import count
from comparison.counts.prepared import PreparedPairs
from comparison.engines.kept.tables import KEPT, KeptTables
from comparison.engines.parquet import ParquetPairs
from comparison.engines.worker_numbers import recorded_flags
from comparison.errors import ComparisonError
from comparison.judgement.flag_pairs import FlagPairs
from comparison.pairs.stores.folders import StorePath
from flags.playbook.model import Playbook


@dataclass(frozen=True, slots=True)
class KeptCounts:
    """The number of kept tables of counts, and their size."""

    tables: int
    bytes: int

    @property
    def size(self) -> str:
        """Return the size in MB, as text."""
        return f"{self.bytes / 1e6:,.1f} MB"


def keep_counts(folder: Path) -> KeptCounts | None:
    """Count the new pairs of a folder for the gate's next look at each flag.

    None where no counts are kept, which is in an object store.
    """
    if isinstance(folder, StorePath):
        return None
    source = ParquetPairs(folder)
    for flag in recorded_flags(source):
        with suppress(ComparisonError):  # pairs without a rollout: the gate cannot judge them
            _count(FlagPairs(flag, source))
    kept = KeptTables(folder / KEPT)
    kept.tidy()
    return KeptCounts(*kept.size())


def _count(flag_pairs: FlagPairs) -> None:
    """Count as for evidence, but without labels and without thresholds of the playbook."""
    now = datetime.now(UTC)
    flag_pairs = flag_pairs.with_possible_times(now)
    run = flag_pairs.run()
    begun = flag_pairs.candidate_since(now)
    prepared = PreparedPairs.of(
        flag_pairs.source,
        flag=flag_pairs.flag,
        rollout=run.rollout,
        since=begun,
        until=now,
        step_since=max(run.since, begun),
    )
    count(prepared, warm_up=Playbook(flag=flag_pairs.flag).warm_up)
