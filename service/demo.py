"""Play the Tuesday-to-Friday failure, and catch it on Tuesday: `make demo`.

Trains both models on simulated transactions, serves them as one service, replays production
traffic in shadow, moves the flag to a 10 % canary, and switches it off. Then it prints what the
pairs mean, the outcomes of the answers (reviews and missed fraud), and the gate's verdict on the
canary. The gate also reads how many payments wait for a reviewer.
"""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judgement import Judgement
from comparison.outcomes import load_outcomes
from comparison.pairs.reader import read_pairs
from comparison.report.headline import REASONS
from comparison.report.html.page import render
from comparison.report.terminal.operational import print_operational
from comparison.report.terminal.summary import print_summary
from comparison.report.terminal.tables import print_list
from comparison.summary.conclusion import conclude
from comparison.summary.figures import Summary
from comparison.summary.in_memory import summarise
from flags.errors import FlagsError
from flags.gate.number_format import plural
from service.canary_gate import Canary, Looks, playbook
from service.downstream import write_outcomes
from service.endings import Endings
from service.flag_switch import FileSwitch, FlagSwitch, dashboard_switch
from service.replay import Reply, bodies, replay
from service.review_queue import ReviewQueue
from service.serving import ServiceStartError, Serving

CANARY: Final = 10
RATE: Final = 60
"""Transactions per second; low enough that every shadow is scored."""

PAGE: Final = "comparison.html"
"""Name of the report's page, which stays with --keep."""

ELSEWHERE: Final = "make demo KEEP=FOLDER keeps a page that has all"

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class PhaseSizes:
    """Number of transactions in each phase."""

    shadow: int = 6_000
    canary: int = 2_000
    rollback: int = 500

    @property
    def total(self) -> int:
        """Return the sum of all phases."""
        return self.shadow + self.canary + self.rollback


@dataclass(frozen=True, slots=True)
class Holdout:
    """Average precision of both models on days that were not used in training."""

    v1: float
    v2: float


@dataclass(frozen=True, slots=True)
class Replies:
    """The replies of each phase, and the gate's input about the canary."""

    shadow: list[Reply]
    canary: list[Reply]
    rollback: list[Reply]
    gate: Canary

    @property
    def every(self) -> tuple[Reply, ...]:
        """Return the replies of all phases."""
        return (*self.shadow, *self.canary, *self.rollback)

    @property
    def answered(self) -> int:
        """Return the number of requests with status 200."""
        return sum(reply.status == 200 for reply in self.every)


class Demo:
    """One run, in a folder of its own with its own model store."""

    def __init__(
        self, folder: Path, traffic: PhaseSizes, console: Console, endings: Endings
    ) -> None:
        self._folder = folder
        self._traffic = traffic
        self._console = console
        self._endings = endings

    def run(self, *, dashboard: bool) -> str:
        """Run all phases; return the last line of the output."""
        # Set before BentoML is imported, because the import fixes the model store.
        os.environ["BENTOML_HOME"] = str(self._folder / "bentoml")
        self._step("1/5", "train v1 and v2 on simulated card transactions")
        holdout, production = self._train()
        requests = [(f"demo-{number:06d}", body) for number, body in enumerate(bodies(production))]
        with self._switch(dashboard) as switch:
            replies = self._serve(switch, requests)
        fraud = dict(zip((each for each, _ in requests), production["TX_FRAUD"] == 1, strict=True))
        write_outcomes(self._folder / "outcomes.csv", replies.every, fraud)
        pairs = read_pairs(self._folder / "pairs")
        outcomes = load_outcomes(self._folder / "outcomes.csv")
        summary = summarise(pairs)
        evidence, judgement = replies.gate.judge(FlagPairs.of(pairs), outcomes)
        self._console.print()
        print_summary(
            summary,
            conclude(summary),
            self._console,
            evidence,
            now=datetime.now(UTC),
            elsewhere=ELSEWHERE,
        )
        print_operational(evidence, self._console)
        self._console.print()
        self._print_verdict(judgement)
        (self._folder / PAGE).write_text(render(evidence, judgement))
        self._console.print()
        self._console.print(
            _in_words(holdout, summary), style="bold", soft_wrap=True, highlight=False
        )
        return _last_line(summary, replies)

    def _print_verdict(self, judgement: Judgement) -> None:
        """Print the gate's decision on the canary and its first reasons."""
        reasons = judgement.verdict.reasons
        decision = f"The gate at {CANARY} %: {judgement.verdict.decision}"
        self._console.print(decision, style="bold", highlight=False)
        print_list(self._console, reasons[:REASONS])
        if more := len(reasons) - REASONS:
            self._console.print(
                f"... and {plural(more, 'more reason')}: {ELSEWHERE}", highlight=False
            )

    def _train(self) -> tuple[Holdout, pd.DataFrame]:
        from service.simulator import simulate
        from service.training import production, save, summary, train

        transactions = simulate(seed=0)
        trained = train(transactions)
        self._console.print(summary(trained, save(trained, "simulated, seed 0")))
        sample = production(transactions).sample(self._traffic.total, random_state=0).sort_index()
        return Holdout(trained.v1.average_precision, trained.v2.average_precision), sample

    @contextlib.contextmanager
    def _switch(self, dashboard: bool) -> Iterator[FlagSwitch]:
        if not dashboard:
            yield FileSwitch(self._folder / "flags.json")
            return
        self._console.print("     start a real Unleash (the first time npm fetches it)")
        with dashboard_switch(self._folder / "unleash") as switch:
            yield switch

    def _serve(self, switch: FlagSwitch, requests: Sequence[tuple[str, Any]]) -> Replies:
        self._step("2/5", "serve both as one service: bentoml serve service.app:FraudDetector")
        self._console.print(f"     its flag: {switch.where}", highlight=False, soft_wrap=True)
        settings = {
            "PAIRS_DIR": str(self._folder / "pairs"),
            # High limits, so that a slow machine neither sheds shadows nor lets v2 fail.
            "SHADOW_CONCURRENCY": "256",
            "SHADOW_TIMEOUT": "20",
            "CANDIDATE_TIMEOUT": "20",
            **switch.settings,
        }
        log, first = self._folder / "service.log", self._traffic.shadow
        second = first + self._traffic.canary
        with (
            Serving(
                "service.app:FraudDetector", environment=settings, log=log, folder=ROOT
            ) as serving,
            ReviewQueue() as queue,
        ):
            self._step("3/5", "shadow: both score every transaction, v1 answers all of them")
            shadow = self._replay(serving.url, requests[:first], queue)
            self._step("4/5", f"canary: the flag goes to {CANARY} %, no deploy")
            plan = playbook(queue.url, CANARY)
            switch.roll_out(CANARY)
            with Looks(plan) as looks:
                canary = self._replay(serving.url, requests[first:second], queue)
            gate = Canary(plan, looks.readings, datetime.now(UTC))
            self._step("5/5", "rollback: the flag goes off, one flip")
            switch.switch_off()
            rollback = self._replay(serving.url, requests[second:], queue)
        return Replies(shadow, canary, rollback, gate)

    def _replay(
        self, url: str, requests: Sequence[tuple[str, Any]], queue: ReviewQueue
    ) -> list[Reply]:
        columns = (
            TextColumn("    "),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[sides]}"),
        )
        sides = {"primary": 0, "candidate": 0}
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("", total=len(requests), sides="")

            def done(reply: Reply) -> None:
                queue.take(reply)
                side = reply.side or "nobody"
                sides[side] = sides.get(side, 0) + 1
                counts = ", ".join(f"{name} {count:,}" for name, count in sides.items())
                progress.update(task, advance=1, sides=f"answered by {counts}")

            return self._endings.run(replay(url, requests, rate=RATE, done=done))

    def _step(self, number: str, what: str) -> None:
        self._console.print(f"[bold cyan]{number}[/]  {what}", highlight=False)


def _in_words(holdout: Holdout, summary: Summary) -> str:
    alarms = summary.outputs[0].alarms
    ratio = alarms.ratio.value if alarms else None
    better = "better" if holdout.v2 > holdout.v1 else "no better"
    fires = f"would fire {ratio:.1f} times as often at v1's threshold" if ratio else "never fires"
    verdict = "HOLD" if conclude(summary).hold else "no objection"
    return (
        f"v2 is {better} on the holdout: AP {holdout.v1:.2f} to {holdout.v2:.2f}, "
        f"and {fires}: {verdict}"
    )


def _last_line(summary: Summary, replies: Replies) -> str:
    candidates = sum(reply.side == "candidate" for reply in replies.canary)
    share = 100 * candidates / len(replies.canary)
    alarms = summary.outputs[0].alarms
    ratio = alarms.ratio.value if alarms and alarms.ratio.value else float("nan")
    late = sum(reply.side == "candidate" for reply in replies.rollback)
    return (
        f"pairs {summary.pairs}/{replies.answered}, candidate share {share:.1f} % at {CANARY} %, "
        f"alarm ratio {ratio:.2f}, after rollback {late} answers by the candidate"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return 0, 1 when the service or Unleash did not start, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m service.demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep models, pairs and logs here")
    parser.add_argument(
        "--dashboard", action="store_true", help="with a real Unleash in place of a flags file"
    )
    options = parser.parse_args(arguments)
    # Both signals end the demo in the same way: the service is stopped, the folder is removed.
    endings = Endings()
    endings.install()
    console = Console()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="bentoml-flags-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        last_line = Demo(folder.resolve(), PhaseSizes(), console, endings).run(
            dashboard=options.dashboard
        )
    except KeyboardInterrupt:
        console.print("\ninterrupted: the service is stopped", style="yellow")
        return 130
    except (ServiceStartError, FlagsError) as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        return 1
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if options.keep is not None:
        console.print(f"\nits page: {folder / PAGE}", highlight=False, soft_wrap=True)
    console.print()
    console.print(last_line, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
