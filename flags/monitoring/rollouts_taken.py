"""The rollouts at which a service has seen its flag on, in a file beside its workers' states."""

import contextlib
from pathlib import Path
from typing import Final
from urllib.parse import quote

from flags.export.worker_count import FOLDER

_SUFFIX: Final = ".rollouts"


class RolloutsTaken:
    """A writer of the file, a line per rollout; a failure only affects a mark on the live page."""

    def __init__(self, pairs_dir: Path, flag: str) -> None:
        self._path = _path(pairs_dir, flag)
        self._written: set[float] = set()

    def note(self, enabled: bool | None, rollout: float | None) -> None:
        """Write the rollout of a flag that is on, unless it is in the file."""
        if not enabled or rollout is None or rollout in self._written:
            return
        with contextlib.suppress(OSError):
            if rollout not in read_rollouts(self._path):
                with self._path.open("a", encoding="ascii") as file:
                    file.write(f"{rollout:g}\n")
            self._written.add(rollout)


def rollouts_taken(pairs_dir: Path, flag: str) -> frozenset[float]:
    """Return every rollout at which a worker of the folder has seen the flag on."""
    return read_rollouts(_path(pairs_dir, flag))


def read_rollouts(path: Path) -> frozenset[float]:
    """Return the rollouts in a file; none if it cannot be read."""
    found = set()
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            with contextlib.suppress(ValueError):
                found.add(float(line))
    return frozenset(found)


def _path(pairs_dir: Path, flag: str) -> Path:
    return pairs_dir / FOLDER / f"{quote(flag, safe='')}{_SUFFIX}"
