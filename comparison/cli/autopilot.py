"""`bentoml migration autopilot`: assess the flag at an interval; advance, hold or roll back."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from comparison.cli.exit_codes import EXIT_CODES
from comparison.cli.gate_input import GateInput, evidence_options, verdict_option
from comparison.cli.parameter_types import DurationOption
from comparison.cli.refusals import refusals
from comparison.cli.stop import stop_asked
from flags.cli.exit_codes import exit_codes
from flags.cli.options import UnleashAccess, audit_option, unleash_options
from flags.errors import AuditUnwritableError, FlagsError
from flags.gate import Decision
from flags.gate.number_format import plural
from flags.operate.audit import AuditFile, record
from flags.operate.autopilot import Assessment, Autopilot
from flags.operate.history import read_history
from flags.operate.news import News
from flags.operate.next_action import Action
from flags.operate.notify import Notifier
from flags.playbook.durations import duration_text
from flags.playbook.model import Playbook
from flags.printable import printable
from flags.unleash.admin import UnleashAdmin
from flags.unleash.admin.errors import (
    FlagChangedError,
    RateLimitedError,
    UnleashFailedError,
    UnleashUnreachableError,
)

if TYPE_CHECKING:  # needs the extra `comparison`
    from comparison.judgement.judgement import Judgement
    from flags.gate.evidence import Evidence

_PASSING: Final = (UnleashUnreachableError, UnleashFailedError, RateLimitedError)
"""Errors of Unleash that may pass by the next look."""

_REASONS: Final = 3
"""Largest number of reasons in a line of the log; `gate` shows all of them."""

_EXIT_CODES: Final = {
    Action.ADVANCE: EXIT_CODES[Decision.ADVANCE],
    Action.HOLD: EXIT_CODES[Decision.HOLD],
    Action.PAUSED: EXIT_CODES[Decision.HOLD],
    Action.PROPOSED: EXIT_CODES[Decision.HOLD],
    Action.ROLLBACK: EXIT_CODES[Decision.ROLLBACK],
    Action.DONE: 0,
}


@click.command("autopilot")
@evidence_options
@click.option(
    "--interval",
    type=DurationOption(timedelta(seconds=1)),
    default="60s",
    show_default=True,
    metavar="TIME",
    help="Time between two looks, such as 30s or 5m.",
)
@click.option("--once", is_flag=True, help="Look once; the exit code says what was done.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--resume",
    type=click.IntRange(min=0),
    default=0,
    metavar="ENTRY",
    help="Go on from the change that somebody else made in this entry of the flag's event log.",
)
@click.option(
    "--account",
    metavar="USER",
    help="The user of its token in Unleash, if nobody else uses that account.",
)
@verdict_option
@audit_option
@unleash_options
def autopilot(
    given: GateInput,
    interval: timedelta,
    once: bool,
    dry_run: bool,
    resume: int,
    account: str | None,
    json_file: Path | None,
    audit: Path,
    unleash: UnleashAccess,
) -> None:
    """Move the flag by its evidence: up on ADVANCE, off on ROLLBACK, else leave it.

    It runs until the last step is passed, Ctrl-C or SIGTERM. It is stateless, so it can be
    started again at any time. It never switches the flag on. A change by anybody else pauses it,
    until it is started with the number of that change: the log says which. Give it an admin token
    of its own, so that its changes can be told from those of others.

    With --once the exit code is 0 ADVANCE or DONE, 10 HOLD, paused or proposed, 20 ROLLBACK.

    Example: bentoml migration autopilot pairs --playbook playbook.yaml --interval 5m
    """
    with refusals(), exit_codes(), unleash.admin() as admin:
        from comparison.cli.verdict_file import VerdictFile, write_beside

        plan = given.plan()
        file = AuditFile(audit)

        def record_change(assessment: Assessment) -> None:
            _warn(*record(admin, assessment.as_change(admin, plan.flag), file).warnings)

        def write_verdict(evidence: "Evidence", judgement: "Judgement") -> None:
            problems = [write_beside(given.pairs, evidence, judgement)]
            if json_file:
                problems.append(VerdictFile(json_file).write(evidence, judgement))
            _warn(*(each for each in problems if each))

        judge = replace(given.judge(_warn), on_verdict=write_verdict, will_retry=not once)
        pilot = Autopilot(
            admin,
            plan,
            judge,
            resumed=resume,
            account=account,
            record=record_change,
            exclusive=file.exclusive,
            approved=lambda: _approved(file, plan.flag, admin.environment),
        )
        news = _LookNews(admin, plan, given.notifier(plan, _warn), silent=dry_run)
        if once:
            raise SystemExit(_EXIT_CODES[_assess_and_act(pilot, dry_run, news).next.action])
        with contextlib.suppress(*_PASSING):
            pilot.check()  # an unfit token ends the command, an Unleash that is down does not
        _log(f"{plan.flag} in {admin.environment}, every {duration_text(interval)}{_dry(dry_run)}")
        _fly(pilot, interval, dry_run, news)


class _LookNews:
    """Notifies the recipients in the playbook after each look and its action."""

    def __init__(
        self, admin: UnleashAdmin, plan: Playbook, notifier: Notifier, *, silent: bool
    ) -> None:
        self._admin = admin
        self._flag = plan.flag
        self._notifier = notifier
        self._link = notifier.link(admin.flag_url(plan.flag))
        self._silent = silent or not notifier.has_recipients

    def looked(self, assessment: Assessment) -> None:
        """Notify of news after a look; the event log has the move that followed from it."""
        if self._silent:
            return
        history = assessment.history
        if assessment.before != assessment.after:
            with contextlib.suppress(FlagsError):
                history = read_history(self._admin, self._flag)[1]
        found, chosen = assessment.step_verdict, assessment.next
        self._notifier.send(News.of(self._flag, history, found, chosen, self._link))

    def failed(self, problem: str) -> None:
        """Notify that a look failed, so that the flag is not watched."""
        if not self._silent:
            self._notifier.send(News.of_failure(self._flag, problem, self._link))


def _fly(pilot: Autopilot, interval: timedelta, dry_run: bool, news: _LookNews) -> None:
    with stop_asked() as stop:
        while not stop.asked:
            try:
                if _assess_and_act(pilot, dry_run, news).next.action is Action.DONE:
                    return
            except Exception as error:  # it must go on, or a later rollback would not happen
                kind = "" if isinstance(error, FlagsError) else f"{type(error).__name__}: "
                problem = f"{kind}{printable(str(error))}"
                _log(f"{Action.HOLD:<8}  {problem}")
                if not isinstance(error, FlagChangedError):  # the next look notifies of the change
                    news.failed(problem)
            stop.wait(interval.total_seconds())
    _log("stopped")


def _assess_and_act(pilot: Autopilot, dry_run: bool, news: _LookNews) -> Assessment:
    """Assess once, act, log the action, and notify the recipients."""
    assessment = pilot.assess(datetime.now(UTC))
    if not dry_run:
        pilot.act(assessment)
    _log(_line(assessment) + _dry(dry_run and assessment.before != assessment.after))
    news.looked(assessment)
    return assessment


def _line(assessment: Assessment) -> str:
    """Return a line of the log: the action, the step or the change, the first reasons."""
    step = assessment.step_verdict.step
    if assessment.before != assessment.after:
        where = assessment.change
    else:
        where = step.name if step else str(assessment.run.setting)
    reasons = [printable(reason) for reason in assessment.next.reasons]
    more = len(reasons) - _REASONS
    if more > 0:
        reasons = [*reasons[:_REASONS], f"and {plural(more, 'more reason')}"]
    return f"{assessment.next.action:<8}  {where}: {'; '.join(reasons)}"


def _dry(dry_run: bool) -> str:
    return " (dry run: nothing is done)" if dry_run else ""


def _approved(file: AuditFile, flag: str, environment: str) -> int:
    try:
        return file.read().approved(flag, environment)
    except AuditUnwritableError:
        return 0


def _warn(*problems: str) -> None:
    for problem in problems:
        _log(f"Warning   {printable(problem)}")


def _log(line: str) -> None:
    click.echo(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {line}")
