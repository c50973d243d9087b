"""The demo cleans up after itself, also when it is interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.fraud_store import environment
from tests.support.paths import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_neither_processes_nor_files(
    ending: signal.Signals, tmp_path: Path
) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "service.demo"],
        cwd=ROOT,
        env={**environment(tmp_path / "bentoml"), "TMPDIR": str(tmp_path), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.stdout is not None
    with demo.stdout:
        for line in demo.stdout:
            if line.startswith("3/5"):  # the service runs
                break
        family = psutil.Process(demo.pid).children(recursive=True)
        assert family
        os.kill(demo.pid, ending)
        rest = demo.stdout.read()
    assert demo.wait(60) == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest
    psutil.wait_procs(family, timeout=10)
    assert not [process for process in family if process.is_running()]
    assert not [*tmp_path.glob("bentoml-flags-demo-*")]
