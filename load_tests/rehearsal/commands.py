"""Run the commands of a migration as a person would, and keep what they said."""

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
class Said:
    """What one command came to."""

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
    """What the gate said, from its JSON."""

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
        """Return pass, fail or inconclusive of the first check of a name."""
        found = (each for each in self.document["checks"] if each["name"] == check)
        return next((str(each["outcome"]) for each in found), None)

    @property
    def offered(self) -> float:
        """Return the threshold that the calibration offers."""
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
    """Run `bentoml migration` in one folder, with the operator's environment."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment, "COLUMNS": "120"}

    def run(self, *words: str) -> Said:
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
        return Said(done.returncode, done.stdout)

    def command(self, *words: str) -> list[str]:
        """Return the command line."""
        return [str(BENTOML), "migration", *words]

    def gate(self, *words: str) -> Verdict | Said:
        """Judge the pairs; what was said where that cannot be done yet."""
        path = self.folder / "verdict.json"
        said = self.run("gate", "pairs", "--playbook", "playbook.yaml", "--json", path.name, *words)
        if said.exit_code not in (0, 10, 20):
            return said
        return Verdict(json.loads(path.read_bytes()))
