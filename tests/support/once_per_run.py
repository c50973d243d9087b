"""What is made once in a run of the tests, by the process that needs it first."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flags.unleash.local.lock import FileLock


def run_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of this run share, and no other run."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder `name` of this run, filled by `make`; read it only: others do, too."""
    made = run_folder(factory) / name
    with FileLock(made.with_suffix(".lock")):
        if not made.exists():
            partial = made.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(made)
    return made
