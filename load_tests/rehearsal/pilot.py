"""The autopilot in the background, with its log."""

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from load_tests.rehearsal.commands import Commands
from load_tests.rehearsal.timeline import Timeline


class Pilot:
    """`bentoml migration autopilot` until the block ends; its actions appear in the timeline."""

    def __init__(self, commands: Commands, log: Path, timeline: Timeline, *words: str) -> None:
        self._command = commands.command(
            "autopilot", "pairs", "--playbook", "playbook.yaml", *words
        )
        self._commands = commands
        self._log = log
        self._timeline = timeline
        self._read = 0

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._commands.folder,
                env=self._commands.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def until(self, words: str, within: float) -> str | None:
        """Wait for a new line of its log that contains `words`; None if none comes in time."""
        deadline = time.monotonic() + within
        is_last = False
        while not is_last:
            # Asked before the log is read: what it wrote before it ended is read once more.
            is_last = time.monotonic() >= deadline or self._process.poll() is not None
            lines = self._log.read_text(errors="replace").splitlines()
            for line in lines[self._read :]:
                self._read += 1
                text = re.sub(r"^.* UTC  ", "", line)
                if words in text or not text.startswith("HOLD"):
                    self._timeline.tell("autopilot", re.sub(r"^(\w+) +", r"\1  ", text))
                if words in text:
                    return text
            time.sleep(0.3)
        return None
