"""A place in which the console blocks of the documents run as they are printed.

It has what a page takes for granted: pairs with labels and outcomes, a playbook, a judge, the
variables of an operator, a flag at 10 % in a real Unleash, and a service whose workers follow it.
The flag's key is one of this run: it is put in the place of the documents' key, and back.
"""

import csv
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
from click.testing import CliRunner

from flags.cli import migration
from flags.export import attributes
from flags.playbook.template import write_playbook
from flags.unleash.admin import UnleashAdmin
from flags.unleash.local import LocalUnleash
from tests.support.console import Block, Command
from tests.support.pair_files import FLAG, PairFile, Scored
from tests.support.paths import ROOT
from tests.support.text_pairs import TextPairFile

ENVIRONMENT: Final = "production"
BIN: Final = Path(sys.executable).parent
VERDICTS: Final = {0, 10, 20}
"""Exit codes of what ran: done, or a verdict."""

JUDGE: Final = """
def prefer(prompt, first, second):
    return "tie" if len(first) == len(second) else "first" if len(first) > len(second) else "second"
"""


@dataclass(frozen=True)
class World:
    """The folder and the servers; `of` makes a new folder for each block."""

    unleash: LocalUnleash
    admin: UnleashAdmin
    flag: str
    service: str
    """Address of the service whose workers follow the flag."""

    def run(self, block: Block, folder: Path) -> None:
        """Run a block from top to bottom; assert that each command works, and prints the same."""
        text = " ".join(command.line for command in block.commands)
        self._fill(folder, with_texts="migration judge" in text)
        if "migration playbook playbook.yaml --flag" in text:
            (folder / "playbook.yaml").unlink()
        self.admin.set_rollout(self.flag, 0 if "migration init" in text else 10)
        self.admin.turn_on(self.flag)
        for command in block.commands:
            command.agrees_with(self._run(command, folder))

    def _run(self, command: Command, folder: Path) -> str:
        line = command.line.replace(FLAG, self.flag)
        for example, real in (
            ("https://unleash.example.com", self.unleash.url),
            ("http://127.0.0.1:3000", self.service),
        ):
            line = line.replace(example, real)
        words = shlex.split(line, comments=True)
        if words[:2] == ["bentoml", "migration"] and "\n" not in line:
            return self._migration(words[2:], folder).replace(self.flag, FLAG)
        if words[0] in ("export", "set"):
            return ""  # what it sets is set already, to what there is
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env={**os.environ, **self._variables(folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _migration(self, words: list[str], folder: Path) -> str:
        if words[0] == "autopilot" and "--once" not in words:
            words = [*words, "--once"]
        if words[0] == "playbook" and "--flag" not in words and "--check" not in words:
            words = [*words, "--flag", self.flag]
        here = os.getcwd()
        os.chdir(folder)
        try:
            shown = CliRunner(env=self._variables(folder)).invoke(
                migration,
                words,
                default_map={
                    "status": {"service": self.service},
                    # Workers of a busy machine are not what is tested.
                    "rollback": {"service": self.service, "within": 90.0},
                },
            )
        finally:
            os.chdir(here)
        unexpected = shown.exception and not isinstance(shown.exception, SystemExit)
        assert not unexpected, f"{words}\n{shown.output}\n{shown.exception!r}"
        assert shown.exit_code in VERDICTS, f"{words}\n{shown.output}"
        return shown.stdout

    def _variables(self, folder: Path) -> Mapping[str, str]:
        return {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder),
            "UNLEASH_URL": self.unleash.sdk_url,
            "UNLEASH_ADMIN_TOKEN": self.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": ENVIRONMENT,
            "BENTOML_HOME": str(folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
        }

    def _fill(self, folder: Path, *, with_texts: bool) -> None:
        for name in ("models.py", "service.py", "transaction.json"):
            shutil.copy(ROOT / "examples" / "ten_lines" / name, folder)
        write_playbook(folder / "playbook.yaml", self.flag)
        (folder / "my_judge.py").write_text(JUDGE)
        ids = _texts(folder, self.flag) if with_texts else _scores(folder, self.flag)
        now = datetime.now(UTC).isoformat()
        _table(folder / "labels.csv", ("request_id", "label"), [(each, 0) for each in ids])
        outcomes = [(each, "complaint", 1, now) for each in ids[:3]]
        names = ("request_id", "metric", "value", "occurred_at")
        (folder / "outcomes").mkdir()
        for path in (folder / "outcomes.csv", folder / "outcomes" / "first.csv"):
            _table(path, names, outcomes)
        with duckdb.connect(folder / "shop.duckdb") as shop:
            shop.execute(f"create table outcomes as from '{folder / 'outcomes.csv'}'")


def _scores(folder: Path, flag: str) -> list[str]:
    """Write pairs of the last hour at 0, 5 and 10 %, by two workers; return their request ids."""
    first, ids = time.time_ns() - 3_600 * 10**9, []
    for worker in ("worker-1", "worker-2"):
        file = PairFile(folder / "pairs", worker, flag)
        file.start()
        for number in range(120):
            rollout = (0, 5, 10)[number // 40]
            score = 0.9 if number % 8 == 0 else 0.1
            made = file.span(
                Scored(score),
                Scored(0.9 if number % 4 == 0 else 0.1),
                active="candidate" if rollout and number % 10 == 0 else "primary",
                changes={attributes.ROLLOUT: float(rollout)},
            )
            begins = first + number * 25 * 10**9
            made["startTimeUnixNano"] = str(begins)
            made["endTimeUnixNano"] = str(begins + 2_000_000)
            file.write(made)
            ids.append(f"{worker}-request-{number + 1}")
    return ids


def _texts(folder: Path, flag: str) -> list[str]:
    file = TextPairFile(folder / "pairs", "worker-1", flag)
    file.start()
    for number in range(40):
        file.texts(f"A cat, number {number}.", "A cat.")
    return [f"worker-1-request-{number + 1}" for number in range(40)]


def _table(path: Path, names: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(names)
        table.writerows(rows)
