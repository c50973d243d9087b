"""Play a migration: a real Unleash, the service, its traffic, and the commands that move the flag.

The commands are those that a person types; only time is shorter.
"""

import asyncio
import atexit
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd

import comparison
from examples.handbook.training import PRODUCTION, WEEK, Models, week
from flags.operate.watch import running_workers
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.replay import Reply, bodies, replay
from service.serving import Serving

FLAG: Final = "handbook-v2"
SERVICE: Final = "examples.handbook.service:Detector"
ROOT: Final = Path(__file__).parents[2]
AT_A_TIME: Final = 40
"""Requests that are sent before all their pairs are there, however slow the machine is."""
KEPT: Final = 0.02
"""Share of the transactions that are sent where neither model alarms and that are not fraud.

Ratios of alarms and all that labels say stay as they are: there such a pair says nothing.
"""
_FOLLOWED: Final = 4.0
"""Seconds until the workers have seen a change in Unleash."""
_RECORDED: Final = 60.0
"""Seconds within which pairs must be there."""
_RATE: Final = 40.0
"""Requests per second: a fast machine too sends a week for longer than a step is held."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command came to."""

    exit_code: int
    output: str

    @property
    def end(self) -> str:
        """Return the last paragraph of the output."""
        return self.output.rpartition("\n\n")[2]


class Migration:
    """Hold what is running; a context. `folder` gets pairs, labels and logs."""

    def __init__(self, folder: Path, table: pd.DataFrame, models: Models) -> None:
        self.folder = folder
        self._table, self._models = table, models
        self._weeks, self._sent = 0, 0
        self._until = datetime.now(UTC)
        self._labels: list[pd.DataFrame] = []
        self._context = ExitStack()
        shutil.copy(Path(__file__).with_name("playbook.yaml"), folder)

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            unleash = starting.enter_context(LocalUnleash(self.folder / "unleash", port=0))
            seed(unleash.admin, FLAG)
            settings = {
                "UNLEASH_URL": unleash.sdk_url,
                "UNLEASH_API_TOKEN": unleash.client_token,
                "FLAGS_REFRESH_INTERVAL": "1",
                "PAIRS_DIR": str(self.folder / "pairs"),
                "CANDIDATE_TIMEOUT": "10",  # what a busy machine lets time out says nothing of v2
                "SHADOW_TIMEOUT": "20",
            }
            log = self.folder / "service.log"
            self.serving = starting.enter_context(
                Serving(SERVICE, environment=settings, log=log, folder=ROOT)
            )
            self.unleash = unleash
            self._context = starting.pop_all()
            atexit.register(self._context.close)  # of a notebook whose kernel is shut down
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def send_a_week(self) -> str:
        """Send the next week of production, and write down what its transactions turn out to be."""
        first = PRODUCTION + self._weeks * WEEK
        self._weeks += 1
        sent = telling(week(self._table, first), self._models)
        ids = [f"{FLAG}-{each}" for each in sent["TRANSACTION_ID"]]
        requests, replies = [*zip(ids, bodies(sent), strict=True)], []
        for first_one in range(0, len(requests), AT_A_TIME):
            replies += self._send(requests[first_one : first_one + AT_A_TIME])
        self._labels.append(pd.DataFrame({"request_id": ids, "label": sent["TX_FRAUD"]}))
        pd.concat(self._labels).to_csv(self.folder / "labels.csv", index=False)
        self._until = datetime.now(UTC)
        sides = pd.Series([each.side for each in replies if each.status == 200]).value_counts()
        counted = ", ".join(f"{count:,} answers by the {side}" for side, count in sides.items())
        return f"days {first} to {first + WEEK - 1}: {len(ids):,} requests, {counted}"

    def _send(self, requests: Sequence[tuple[str, dict[str, float | int]]]) -> list[Reply]:
        """Send requests, and wait until each has its pair."""
        with ThreadPoolExecutor(1) as thread:  # that of a notebook has a loop of its own
            sending = replay(self.serving.url, requests, rate=_RATE)
            replies = thread.submit(asyncio.run, sending).result()
        self._sent += len(requests)
        deadline = time.monotonic() + _RECORDED
        while self._recorded() < self._sent and time.monotonic() < deadline:
            time.sleep(0.2)
        return replies

    def _recorded(self) -> int:
        workers = running_workers(self.serving.url).workers
        return sum(each.pairs.recorded for each in workers)

    def compare(self) -> comparison.Comparison:
        """Compare and judge the pairs of the last setting of the flag that has any."""
        return comparison.compare(
            self.folder / "pairs",
            self.folder / "playbook.yaml",
            labels=self.folder / "labels.csv",
            until=self._until,
        )

    def run(self, *words: str) -> Ended:
        """Run `bentoml migration` with further words, in the folder."""
        done = subprocess.run(  # noqa: S603 - our own command
            [str(Path(sys.executable).with_name("bentoml")), "migration", *words],
            cwd=self.folder,
            env=self._operator(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout.strip())

    def advance(self) -> Ended:
        """Go one step up, if the gate says so."""
        options = ("--playbook", "playbook.yaml", "--labels", "labels.csv")
        ended = self.run("advance", "pairs", *options)
        time.sleep(_FOLLOWED)
        return ended

    def roll_back(self, reason: str) -> Ended:
        """Switch the flag off, and wait until each worker has followed."""
        return self.run("rollback", reason, "--flag", FLAG, "--service", self.serving.url)

    def switch_on(self) -> None:
        """Switch the flag on again, at the rollout where it was, as a person does."""
        self.unleash.admin.turn_on(FLAG)
        time.sleep(_FOLLOWED)

    def give_threshold(self, threshold: float) -> None:
        """Give v2 a threshold of its own, by the payload of the flag."""
        payload: Mapping[str, Any] = {"threshold": {"fraud_probability": threshold}}
        self.unleash.admin.set_variant_payload(FLAG, payload)
        time.sleep(_FOLLOWED)

    def _operator(self) -> dict[str, str]:
        # A notebook asks for colours, which its own outputs show and a document does not.
        colours = ("FORCE_COLOR", "CLICOLOR_FORCE")
        inherited = {name: value for name, value in os.environ.items() if name not in colours}
        return {
            **inherited,
            "UNLEASH_URL": self.unleash.url,
            "UNLEASH_ADMIN_TOKEN": self.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": self.unleash.environment,
            "PYTHONPATH": str(ROOT),  # `retire` starts the candidate's own service
            "COLUMNS": "100",
        }


def telling(transactions: pd.DataFrame, models: Models) -> pd.DataFrame:
    """Return all fraud, all that either model alarms on, and a share of the rest, in order."""
    kept = np.random.default_rng(0).random(len(transactions)) < KEPT
    kept |= transactions["TX_FRAUD"].to_numpy(bool)
    for scores in models.scores(transactions):
        kept |= scores >= models.threshold
    return transactions[kept]
