"""A real MLflow server on the loopback interface, in an environment of its own: its pins differ."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import requests

from flags.unleash.local.program import Program
from flags.unleash.local.server import free_port

RUN: Final = ["uv", "tool", "run", "--python", sys.executable, "--from", "mlflow>=3,<4"]


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run a server that keeps everything in a folder; skip where MLflow cannot be installed."""
    uv = str(Path(sys.executable).with_name(RUN[0]))
    command = [uv, *RUN[1:], "mlflow"]
    tried = subprocess.run([*command, "--version"], capture_output=True, check=False, timeout=600)
    if tried.returncode:
        pytest.skip("MLflow cannot be installed here")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = Program("mlflow", folder / "mlflow.log")
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    options += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    options += ["--artifacts-destination", str(folder / "artefacts")]
    server.start([*command, "server", *options], environment=dict(os.environ))
    try:
        server.wait_until(lambda: _answers(url), 300)
        yield url
    finally:
        server.stop(seconds=20)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False
