"""Train the reference models in a process of their own, into a model store of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.once_per_run import once
from tests.support.paths import ROOT

_TRAIN: Final = """
from service.simulator import simulate
from service.training import save, train
save(train(simulate(1_000, 2_000, seed=0)), "simulated")
"""


def trained_store(factory: pytest.TempPathFactory, home: Path) -> None:
    """Fill a BentoML home with models of simulated transactions, trained once in this run."""
    store = once(factory, "fraud-store", lambda made: run(_TRAIN, home=made))
    shutil.copytree(store, home, symlinks=True)


def environment(home: Path, **further: str) -> dict[str, str]:
    """Return a full environment with a BentoML home of its own and no Unleash."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("UNLEASH_", "OTEL_", "BENTOML_", "PROMETHEUS_"))
    }
    return {
        **inherited,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        **further,
    }


def run(program: str, *arguments: str, home: Path) -> str:
    """Run a Python program from the project's folder and return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
