"""`bentoml migration judge`: ask any callable which side's text is better."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from comparison.cli.options import files_argument
from comparison.cli.refusals import refusals
from flags.cli.options import Command, packed, with_options

if TYPE_CHECKING:
    from comparison.judges.asking import JudgeRun, Question
    from comparison.judges.journal import Journal
    from comparison.judges.judge import Judge

INTERRUPTED: Final = 130
"""Exit code of an interrupted run, the usual one of shells."""


@dataclass(frozen=True, slots=True)
class JudgeChoice:
    """The choice of the judge: a callable, or a chat model with its instructions."""

    judge: str
    model: str | None
    instructions: Path | None
    price: tuple[float, float]
    timeout: float

    @property
    def name(self) -> str:
        """Return the judge's name in the table of preferences."""
        return f"{self.judge}:{self.model}" if self.judge == "openai" else self.judge

    def open(self) -> "Judge":
        """Create the judge. Raises JudgeNotFoundError."""
        from comparison.judges.judge import named_judge

        if self.judge != "openai":
            return named_judge(self.judge, Path.cwd())
        if self.model is None or self.instructions is None:
            raise click.UsageError("--judge openai needs --model and --instructions")
        from comparison.judges.chat import Prices, chat_judge

        return chat_judge(self.model, self.instructions, Prices(*self.price), self.timeout)


_CHOICE: Final = (
    click.option(
        "--judge",
        metavar="MODULE:FUNCTION",
        required=True,
        help="The judge: a callable (prompt, first, second), or openai: a chat model behind "
        "OPENAI_BASE_URL, with OPENAI_API_KEY.",
    ),
    click.option("--model", metavar="NAME", help="For --judge openai: the model."),
    click.option(
        "--instructions",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="For --judge openai: the text to send, with {prompt}, {first} and {second}.",
    ),
    click.option(
        "--price",
        metavar="SENT RECEIVED",
        type=click.FloatRange(min=0),
        nargs=2,
        default=(0.0, 0.0),
        help="For --judge openai: the prices of a million tokens.",
    ),
    click.option(
        "--timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="For --judge openai: time limit of one reply.",
    ),
)


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The limits of a run; None is no limit."""

    budget: int
    max_cost: float | None
    per_minute: float | None
    parallel: int
    retries: int


_LIMITS: Final = (
    click.option(
        "--budget",
        metavar="N",
        type=click.IntRange(min=2),
        default=200,
        show_default=True,
        help="Questions, those of earlier runs included; a pair takes two, one for each order.",
    ),
    click.option(
        "--max-cost",
        metavar="X",
        type=click.FloatRange(min=0, min_open=True),
        help="Stop once this has been spent, earlier runs included.",
    ),
    click.option(
        "--per-minute",
        metavar="N",
        type=click.FloatRange(min=0, min_open=True),
        help="Largest number of calls of the judge in a minute.",
    ),
    click.option(
        "--parallel",
        metavar="N",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        help="Questions asked at the same time.",
    ),
    click.option(
        "--retries",
        metavar="N",
        type=click.IntRange(0, 10),
        default=3,
        show_default=True,
        help="Retries of a question on which the judge failed.",
    ),
)


def _options(command: Command) -> Command:
    limited = with_options(_LIMITS, packed("limits", RunLimits, command))
    return with_options(_CHOICE, packed("choice", JudgeChoice, limited))


@click.command()
@files_argument
@_options
@click.option("--flag", metavar="KEY", help="Key of the flag, where PAIRS holds several.")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("preferences.csv"),
    show_default=True,
    help="The table of preferences; a run continues where the last one ended.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the random choice of pairs."
)
def judge(
    pairs: Path,
    choice: JudgeChoice,
    limits: RunLimits,
    flag: str | None,
    out: Path,
    seed: int,
) -> None:
    """Ask a judge which side's text is better, for recorded pairs in PAIRS with differing texts.

    Pairs are chosen at random, the same ones each time, and the judge sees each in both orders.
    Ctrl-C ends the run once the open questions are answered; the next run does not repeat them. The
    exit code is 0 if all questions were answered, 1 if some failed.

    Example: bentoml migration judge pairs --judge my_judge:prefer --budget 400
    """
    with refusals():
        from comparison.judges.asking import JudgeRun, Limits, questions
        from comparison.judges.journal import open_journal
        from comparison.judges.selection import select
        from comparison.judges.text_pairs import read_text_pairs
        from comparison.report.terminal.preferences import print_preferences

        judge_of_texts = choice.open()
        with open_journal(out) as journal:
            chosen = select(
                read_text_pairs(pairs, flag),
                limits.budget // 2,
                seed=seed,
                answered=journal.complete,
            )
            bounds = Limits(limits.parallel, limits.retries, limits.per_minute, limits.max_cost)
            run = JudgeRun(judge_of_texts, choice.name, bounds)
            spent = sum(row.cost for row in journal.rows)
            if limits.max_cost is not None and spent >= limits.max_cost:
                todo: list[Question] = []
            else:
                todo = questions(chosen.pairs, journal.settled)
            click.echo(
                f"{chosen.differing:,} of {chosen.total:,} pairs differ, "
                f"{chosen.same_model:,} more are of the same model twice; "
                f"{chosen.answered:,} judged before, {len(todo):,} questions to ask"
            )
            with _interrupts(run) as interrupted:
                failed = _ask(run, todo, spent, journal)
            print_preferences(journal, Console(highlight=False))
            if interrupted():
                raise SystemExit(INTERRUPTED)
            raise SystemExit(1 if failed else 0)


def _ask(run: "JudgeRun", todo: "list[Question]", spent: float, journal: "Journal") -> int:
    """Ask, write each answer as it comes, and return the number of failed questions."""
    failed = 0
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("asked", total=len(todo))
        for answered in run.answers(todo, spent):
            journal.add(answered)
            spent += answered.cost
            failed += answered.preference is None
            progress.update(
                task, advance=1, description=f"asked, {failed} failed, cost {spent:.4g}"
            )
    return failed


@contextmanager
def _interrupts(run: "JudgeRun") -> Iterator[Callable[[], bool]]:
    """End the run in order at the first SIGINT or SIGTERM, and at once at the second."""
    received: list[int] = []

    def interrupt(number: int, _frame: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt
        run.interrupt()
        click.echo("waiting for the questions that are being answered", err=True)

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
