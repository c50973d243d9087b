"""The transactions of a load test: from a table, or simulated once and cached."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from service.replay import bodies
from service.simulator import simulate
from service.training import production, read

COUNT: Final = 2_000
_KEPT: Final = Path(tempfile.gettempdir()) / f"bentoml-flags-{os.getuid()}-transactions.json"


def transactions(table: Path | None) -> list[dict[str, Any]]:
    """Return request bodies of the production days of `table`, by default of simulated ones.

    Simulated ones are cached in the folder for temporary files, because the simulation takes
    seconds and each process of a load test needs them.
    """
    if table is not None:
        return _sample(table)
    try:
        kept: list[dict[str, Any]] = json.loads(_KEPT.read_bytes())
    except (OSError, ValueError):
        kept = _sample(None)
        handle, temporary = tempfile.mkstemp(dir=_KEPT.parent, prefix=_KEPT.name)
        with os.fdopen(handle, "w") as file:
            json.dump(kept, file)
        os.replace(temporary, _KEPT)
    return kept


def _sample(table: Path | None) -> list[dict[str, Any]]:
    rows = production(read(table) if table else simulate(seed=0))
    return list(bodies(rows.sample(min(COUNT, len(rows)), random_state=0)))
