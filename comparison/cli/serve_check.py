"""A trial start of a service by itself, until it is ready."""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import requests

from flags.unleash.local.program import Program
from flags.unleash.local.server import free_port

_WITHHELD: Final = "UNLEASH_"
"""Prefix of the variables that are withheld: the candidate alone needs no flag server."""


def seconds_to_serve(service: str, within: float) -> float:
    """Run `bentoml serve` on a free port of this machine; return the seconds until /readyz is 200.

    Raises ProgramFailedError, with the end of the log, if it ends or takes longer than `within`.
    """
    port = free_port()
    ready = f"http://127.0.0.1:{port}/readyz"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_WITHHELD)
    }
    command = [sys.executable, "-m", "bentoml", "serve", service]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
        session.trust_env = False  # a proxy cannot reach this machine's ports
        program = Program(service, Path(folder) / "service.log")
        began = time.monotonic()
        program.start(command, environment={**environment, "BENTOML_DO_NOT_TRACK": "True"})
        try:
            program.wait_until(lambda: _answers(session, ready), within)
            return time.monotonic() - began
        finally:
            program.stop(seconds=20)


def _answers(session: requests.Session, address: str) -> bool:
    try:
        return session.get(address, timeout=2).status_code == 200
    except requests.RequestException:
        return False
