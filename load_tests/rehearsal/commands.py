"""The commands of a migration, run as a person would run them, and their output."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BENTOML: Final = Path(sys.executable).with_name("bentoml")


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of one command."""

    exit_code: int
    output: str

    @property
    def last(self) -> str:
        """Return its last line."""
        return self.output.strip().rpartition("\n")[2]

    def line(self, word: str) -> str:
        """Return the first line with `word` in it, the whole output if there is none."""
        found = (line.strip() for line in self.output.splitlines() if word in line)
        return next(found, self.output.strip())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's verdict, from its JSON."""

    document: Mapping[str, Any]

    @property
    def decision(self) -> str:
        """Return ADVANCE, HOLD or ROLLBACK."""
        return str(self.document["decision"])

    @property
    def step(self) -> str:
        """Return the step that was judged."""
        return str(self.document["step"])

    @property
    def reasons(self) -> list[str]:
        """Return its reasons."""
        return list(self.document["reasons"])

    def outcome(self, check: str) -> str | None:
        """Return pass, fail or inconclusive: the outcome of the first check of this name."""
        found = (each for each in self.document["checks"] if each["name"] == check)
        return next((str(each["outcome"]) for each in found), None)

    @property
    def offered(self) -> float:
        """Return the threshold that the calibration suggests."""
        return float(self._calibration["threshold"])

    @property
    def calibrated_alarms(self) -> int:
        """Return the number of v1's alarms that the calibration keeps."""
        alarms = self._calibration["alarms"]
        return int(alarms["both"]) + int(alarms["primary_only"])

    @property
    def _calibration(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["evidence"]["outputs"][0]["calibration"]
        return found


class Commands:
    """`bentoml migration` in one folder, with the operator's environment."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment, "COLUMNS": "120"}

    def run(self, *words: str) -> CommandResult:
        """Run `bentoml migration` with further words."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return CommandResult(done.returncode, done.stdout)

    def command(self, *words: str) -> list[str]:
        """Return the command line."""
        return [str(BENTOML), "migration", *words]

    def gate(self, *words: str) -> Verdict | CommandResult:
        """Judge the pairs; return the command's result if there is no verdict yet."""
        path = self.folder / "verdict.json"
        options = ("--playbook", "playbook.yaml", "--json", path.name)
        result = self.run("gate", "pairs", *options, *words)
        if result.exit_code not in (0, 10, 20):
            return result
        return Verdict(json.loads(path.read_bytes()))
