"""A child process that logs to a file and does not outlive this process."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flags.unleash.local.errors import ProgramFailedError

_POLL_SECONDS: Final = 0.05
_TAIL_LINES: Final = 15


@dataclass(slots=True)
class Program:
    """A child process in a session of its own, so that Ctrl-C in the terminal reaches only us.

    `stop_signal` asks it to stop. `orphan_signal` is sent by the Linux kernel if this process dies
    without stopping it (`kill -9`). Without util-linux's `setpriv`, as on macOS, the orphan keeps
    running. The kernel watches the thread that called `start`, so call it in a long-lived one.
    """

    name: str
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path | None = None,
        identity: Sequence[str] = (),
    ) -> None:
        """Start `command` with exactly `environment`; `identity` are options of `setpriv`."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a list of our own making, no shell
                [*self._prefix(identity), *command],
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """Process id while it runs, else None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def wait(self, seconds: float | None = None) -> int | None:
        """Return the exit code, or None if it still runs after `seconds`."""
        if self._process is None:
            return None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready()`. Raises ProgramFailedError if the program ends or takes longer."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.pid is None:
                raise self.failure("stopped before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def stop(self, seconds: float = 10) -> None:
        """Ask it to stop, wait, then kill it; do nothing if it does not run."""
        if self._process is None or self.pid is None:
            return
        self._process.send_signal(self.stop_signal)
        if self.wait(seconds) is None:
            self.kill()

    def kill(self) -> None:
        """Kill it, with its children in the same session."""
        if self._process is None or self.pid is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def failure(self, problem: str) -> ProgramFailedError:
        """Return an error with the problem and the end of the log."""
        return ProgramFailedError(f"{self.name} {problem} (log: {self.log}):\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def _prefix(self, identity: Sequence[str]) -> list[str]:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            return []
        signal_name = self.orphan_signal.name.removeprefix("SIG")
        return [setpriv, f"--pdeathsig={signal_name}", *identity, "--"]
