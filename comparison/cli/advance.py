"""`bentoml migration advance`: one step up, if the verdict is ADVANCE."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from comparison.cli.exit_codes import VerdictExit
from comparison.cli.flag_place import FlagPlace
from comparison.cli.gate_input import GateInput, evidence_options, verdict_option
from comparison.cli.refusals import Refusal, refusals, warn
from flags.cli.exit_codes import exit_codes
from flags.cli.options import UnleashAccess, audit_option, unleash_options
from flags.errors import FlagsError
from flags.gate import Decision
from flags.monitoring.views import FlagView
from flags.operate.audit import AuditFile, FlagChange, record
from flags.operate.flag_moves import raise_rollout
from flags.operate.history import read_history
from flags.operate.news import News
from flags.operate.next_action import Action, NextAction, StepVerdict
from flags.operate.notify import Notifier
from flags.unleash.admin import Author, UnleashAdmin

if TYPE_CHECKING:  # needs the extra `comparison`
    from comparison.judgement.pairs_judge import PairsJudge

_OVERRIDE: Final = '--override "REASON" goes on in spite of it, and records why'


@click.command("advance")
@evidence_options
@click.option(
    "--override", metavar="REASON", help="Go on whatever the verdict is; the reason is recorded."
)
@click.option(
    "--approve",
    metavar="REASON",
    help="Approve a step that needs approval, if the verdict is ADVANCE; the reason is recorded.",
)
@verdict_option
@audit_option
@unleash_options
def advance(
    given: GateInput,
    override: str | None,
    approve: str | None,
    json_file: Path | None,
    audit: Path,
    unleash: UnleashAccess,
) -> None:
    """Set the flag to the next rollout of the playbook, if the gate says ADVANCE.

    Judges the pairs in PAIRS that were made since the flag is at its present rollout, which its
    event log tells, no matter who set it. The exit code is 0 if the flag was moved, or nothing is
    left to be done, and else the verdict's: 10 HOLD, 20 ROLLBACK. Nothing is switched on or off.

    Example: bentoml migration advance pairs --playbook playbook.yaml
    """
    for option, reason in (("--override", override), ("--approve", approve)):
        if reason is not None and not reason.strip():
            raise click.BadParameter("say why", param_hint=option)
    if override is not None and approve is not None:
        raise click.UsageError("--override goes on in spite of the verdict and approves, too")
    with refusals(), exit_codes(), unleash.admin() as admin:
        place = FlagPlace.of(admin, given.plan())
        judge = given.judge()
        request = _PersonReasons(override, approve)
        permission = _permission(judge, place, request, given.pairs, json_file)
        moved, notifier = _move(admin, place, permission, audit), given.notifier(place.plan)
        if moved and notifier.has_recipients:
            _notify(admin, place, permission, notifier)


class _NotAdvanced(VerdictExit):
    """Say why the flag was not moved, and which option would move it."""

    def __init__(self, decision: Decision, why: str, way_out: str = _OVERRIDE) -> None:
        super().__init__(decision, f"not advanced: {why}; {way_out}")


@dataclass(frozen=True, slots=True)
class _PersonReasons:
    """The reasons that a person gave with --override or --approve, None without the option."""

    override: str | None
    approve: str | None


@dataclass(frozen=True, slots=True)
class _Permission:
    """The reason why the flag may be moved, and the verdict."""

    reason: str
    step_verdict: StepVerdict
    overridden: bool
    approval: str | None = None


def _permission(
    judge: "PairsJudge",
    place: FlagPlace,
    request: _PersonReasons,
    pairs: str | Path,
    json_file: Path | None,
) -> _Permission:
    """Print the verdict; return the permission to move the flag, or raise _NotAdvanced."""
    from comparison.cli.verdict_file import VerdictFile, write_beside
    from comparison.judgement.pairs_judge import NOT_YET
    from comparison.report.terminal.verdict import print_verdict

    try:
        evidence, judgement = judge.judged(place.plan, place.run, datetime.now(UTC))
    except NOT_YET as problem:
        if request.override is None:
            raise _NotAdvanced(Decision.HOLD, f"there is no verdict: {problem}") from problem
        click.echo(f"no verdict: {problem}")
        step_verdict = StepVerdict(None, None, str(problem))
        return _Permission(f"override: {request.override}", step_verdict, overridden=True)
    print_verdict(evidence, judgement, Console(highlight=False))
    if unwritten := write_beside(pairs, evidence, judgement):
        warn(unwritten)
    if json_file and (unwritten := VerdictFile(json_file).write(evidence, judgement)):
        raise Refusal(unwritten)
    verdict = judgement.verdict
    step_verdict = StepVerdict(judgement.step, verdict)
    if request.override is not None:
        return _Permission(
            f"override: {request.override} (the verdict is {verdict.decision})",
            step_verdict,
            overridden=True,
        )
    if verdict.decision is not Decision.ADVANCE:
        raise _NotAdvanced(verdict.decision, f"the verdict is {verdict.decision}")
    reasons = "; ".join(verdict.reasons)
    if request.approve is not None:
        reason = f"approved: {request.approve} ({reasons})"
        return _Permission(reason, step_verdict, overridden=False, approval=request.approve)
    if judgement.step.approval and place.following is not None:
        raise _NotAdvanced(
            Decision.HOLD, f"{place.following} % needs approval", '--approve "REASON" gives it'
        )
    return _Permission(reasons, step_verdict, overridden=False)


def _move(admin: UnleashAdmin, place: FlagPlace, permission: _Permission, audit: Path) -> bool:
    """Move the flag one step up and record it; return False if there is no further step."""
    flag, following = place.plan.flag, place.following
    click.echo()
    if following is None and permission.overridden:
        raise Refusal(f"{flag} is at {place.rollout} %, and the playbook has no step above it")
    if following is None:
        click.echo(f"{flag} stays at {place.rollout} %: `bentoml migration retire` comes next")
        return False
    before = FlagView(True, place.rollout, place.run.setting.stickiness)
    file = AuditFile(audit)
    with file.exclusive():
        raise_rollout(admin, flag, place.run, following)
        change = FlagChange.of(
            admin,
            flag,
            "advance",
            before=before,
            after=replace(before, rollout=following),
            reason=permission.reason,
            verdict=permission.step_verdict.as_plain(),
            approval=permission.approval,
            event=_entry(admin, flag, following) if permission.approval else None,
        )
        recorded = record(admin, change, file)
    after = admin.state(flag)
    click.echo(f"before    {place.rollout} % in {admin.environment}")
    click.echo(f"after     {after.rollout} % in {admin.environment}, {after.url}")
    if recorded.note:
        click.echo(f"recorded  {audit}, on the flag: {recorded.note}")
    for warning in recorded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    return True


def _notify(
    admin: UnleashAdmin, place: FlagPlace, permission: _Permission, notifier: Notifier
) -> None:
    flag = place.plan.flag
    with contextlib.suppress(FlagsError):
        chosen = NextAction(Action.ADVANCE, (permission.reason,), place.following)
        history, link = read_history(admin, flag)[1], notifier.link(admin.flag_url(flag))
        notifier.send(News.of(flag, history, permission.step_verdict, chosen, link))


def _entry(admin: UnleashAdmin, flag: str, rollout: int) -> int | None:
    """Return the number of the move's entry in the event log; None if it is not certain."""
    try:
        run, author = read_history(admin, flag)[1].current, admin.author()
    except FlagsError:
        return None
    own = Author(run.by or "", run.by_token) == author
    return run.event if own and run.setting.rollout == rollout else None
