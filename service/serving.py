"""`bentoml serve` as a child process."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_POLL_INTERVAL: Final = 0.2
_STOP_TIMEOUT: Final = 20.0
"""Seconds after which a stopping service is killed."""


class ServiceStartError(RuntimeError):
    """The service did not become ready; the message ends with its last log lines."""


class Serving:
    """A running `bentoml serve TARGET`, on a free port of the loopback interface.

    `environment` is added to this process's own; `python` is the interpreter, by default this one.
    """

    def __init__(
        self,
        target: str,
        *,
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
        python: Path | None = None,
        start_within: float = 90.0,
        ready: str = "/readyz",
    ) -> None:
        self._target = target
        self._environment = environment
        self._folder = folder
        self._python = python or Path(sys.executable)
        self._start_within = start_within
        self._ready_path = ready
        self._process: subprocess.Popen[bytes] | None = None
        self.log = log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the process id of the supervisor."""
        assert self._process is not None, "the service was not started"  # noqa: S101
        return self._process.pid

    def start(self) -> "Serving":
        """Start, and wait until the service is ready. Raises ServiceStartError."""
        command = [str(self._python), "-m", "bentoml", "serve", self._target]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches only this process, which stops the service.
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                cwd=self._folder,
                env={**os.environ, "BENTOML_DO_NOT_TRACK": "True", **self._environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + self._start_within
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                raise ServiceStartError(f"{self._target} did not start:\n{tail}")
            time.sleep(_POLL_INTERVAL)
        return self

    def stop(self) -> None:
        """Stop the service gracefully, so that it writes its last pairs; kill what remains."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that outlived their supervisor
        process.wait()
        self._process = None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}{self._ready_path}", timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def __enter__(self) -> "Serving":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """Return a port of the loopback interface that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
