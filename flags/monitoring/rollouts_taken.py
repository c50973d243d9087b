"""The rollouts at which a service has seen its flag on, kept beside its workers' states."""

import contextlib
from pathlib import Path
from typing import Final
from urllib.parse import quote

from flags.export.worker_count import FOLDER

_SUFFIX: Final = ".rollouts"


class RolloutsTaken:
    """Note each rollout once, a line each; whatever fails costs the live page a filled circle."""

    def __init__(self, pairs_dir: Path, flag: str) -> None:
        self._path = _path(pairs_dir, flag)
        self._noted: set[float] = set()

    def note(self, enabled: bool | None, rollout: float | None) -> None:
        """Note the rollout of a flag that is on."""
        if not enabled or rollout is None or rollout in self._noted:
            return
        with contextlib.suppress(OSError):
            if rollout not in read_rollouts(self._path):
                with self._path.open("a", encoding="ascii") as file:
                    file.write(f"{rollout:g}\n")
            self._noted.add(rollout)


def rollouts_taken(pairs_dir: Path, flag: str) -> frozenset[float]:
    """Return every rollout that a worker of the folder has noted of the flag."""
    return read_rollouts(_path(pairs_dir, flag))


def read_rollouts(path: Path) -> frozenset[float]:
    """Return the rollouts in a file; of one that cannot be read, none."""
    found = set()
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            with contextlib.suppress(ValueError):
                found.add(float(line))
    return frozenset(found)


def _path(pairs_dir: Path, flag: str) -> Path:
    return pairs_dir / FOLDER / f"{quote(flag, safe='')}{_SUFFIX}"
