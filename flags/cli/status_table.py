"""The status of a migration as text for a terminal of 80 columns or more, or for a pipe."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flags.monitoring.last_verdict import LastVerdict
from flags.monitoring.views import FlagView, WorkerView
from flags.operate.status import Change, MigrationStatus, Upcoming
from flags.playbook.durations import duration_text
from flags.playbook.stages import Stage
from flags.printable import printable

_BAD = "bold red"
_DOUBTFUL = "yellow"

_NAME_WIDTH: Final = 13
"""Characters of the name at the beginning of a line."""
_BAR_WIDTH: Final = 20
"""Characters of the progress bar."""
_MAX_REASONS: Final = 3
_REASON_LENGTH: Final = 160
"""Characters of a reason; the gate's own output has the full text."""


def print_status(status: MigrationStatus, console: Console, now: datetime | None = None) -> None:
    """Print the flag, then its workers, then the remarks."""
    now = now or datetime.now(UTC)
    _print_flag(status, console, now)
    if status.workers:
        console.print()
        console.print(_table(status.workers, status.view))
    remarks = [(each, remark) for each in status.workers for remark in each.remarks]
    differ = status.seen.workers_differ and all(each.follows is None for each in status.workers)
    if remarks or differ:
        console.print()
    if differ:
        console.print(Text("the workers do not agree on the flag", style=_BAD))
    for each, remark in remarks:
        style = _BAD if each.follows is False else _DOUBTFUL
        console.print(Text(f"{_name(each)}: {printable(remark)}", style=style), soft_wrap=True)


def _print_flag(status: MigrationStatus, console: Console, now: datetime) -> None:
    console.print(Text(f"{printable(status.flag)}: {_stage(status)}", style="bold"))
    lines: list[tuple[str, str, Sequence[str]]] = [("flag", _flag(status), ())]
    if status.last_change:
        change = status.last_change
        lines.append(("last change", _change(change, now), ()))
        lines.append(("changed by", change.by + (" (admin token)" if change.by_token else ""), ()))
        if change.note:
            noted = f"{change.note.text}, {_ago(now - change.note.time)} by {change.note.by}"
            lines.append(("note", noted, ()))
    if status.upcoming:
        lines.append(("next step", _upcoming(status.upcoming, now), ()))
        lines.append(("progress", _progress(status.upcoming, now), ()))
    if status.verdict:
        lines.append(("verdict", *_verdict(status.verdict, now)))
    if status.url:
        lines.append(("dashboard", status.url, ()))
    if status.service is not None:
        count = len(status.workers)
        running = f"{count} worker" + ("" if count == 1 else "s")
        lines.append(("service", f"{status.service}, {running}: {_following(status)}", ()))
    for name, text, reasons in lines:
        _print_line(console, name, text, reasons)
    for step in status.unproven:
        text = f"{step.what} by {step.by}, {_ago(now - step.time)}"
        _print_line(console, "no evidence", text, step.why, style=_DOUBTFUL)
    for name, why in (status.not_shown or {}).items():
        _print_line(console, name, f"not shown: {why}", style=_DOUBTFUL)


def _print_line(
    console: Console, name: str, text: str, reasons: Sequence[str] = (), style: str = ""
) -> None:
    """Print a name and its text on one line, and below it a wrapped list of reasons."""
    console.print(Text(f"{name:<{_NAME_WIDTH}}{printable(text)}", style=style), soft_wrap=True)
    below = Table.grid(padding=(0, 1, 0, 0))
    below.add_column(min_width=_NAME_WIDTH + 1, justify="right")
    below.add_column(overflow="fold")
    for reason in reasons:
        below.add_row(Text("-", style), Text(printable(reason), style))
    if reasons:
        console.print(below)


def _stage(status: MigrationStatus) -> str:
    view = status.view
    if view is None:
        return "stage unknown"
    if status.stage in (None, Stage.OFF):
        return str(status.stage or "stage unclear")
    return f"{status.stage}, {view.rollout:g} %"


def _flag(status: MigrationStatus) -> str:
    view = status.view
    if view is None:
        return "unknown" if not status.seen.workers_differ else "the workers do not agree"
    rollout = "no single rollout" if view.rollout is None else f"{view.rollout:g} %"
    sticky = f"sticky on {view.stickiness}" if view.stickiness else "not sticky"
    switch = "on" if view.enabled else "off"
    if status.environment is None:
        return f"{switch}, {rollout}, {sticky} (as the workers see it)"
    return f"{switch} in {status.environment}, {rollout}, {sticky}"


def _change(change: Change, now: datetime) -> str:
    when = f"{change.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{change.what}, {_ago(now - change.time)} ({when})"


def _upcoming(upcoming: Upcoming, now: datetime) -> str:
    over = upcoming.not_before <= now
    moment = f"{upcoming.not_before.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    when = "as soon as the gate allows it" if over else f"not before {moment}"
    approval = ", with approval" if upcoming.needs_approval else ""
    return f"{upcoming.step}{approval}, {when}"


def _progress(upcoming: Upcoming, now: datetime) -> str:
    hold = upcoming.not_before - upcoming.since
    held = max(timedelta(0), min(hold, now - upcoming.since))
    share = held / hold if hold else 1.0
    filled = round(_BAR_WIDTH * share)
    bar = "#" * filled + "." * (_BAR_WIDTH - filled)
    return f"[{bar}] {share:.0%} of the {duration_text(hold)} that this step is held".replace(
        "%", " %"
    )


def _verdict(verdict: LastVerdict, now: datetime) -> tuple[str, list[str]]:
    """Return the last verdict and its first reasons."""
    at = f", {_ago(now - verdict.at)}" if verdict.at else ""
    reasons = [printable(reason, _REASON_LENGTH) for reason in verdict.reasons[:_MAX_REASONS]]
    if more := len(verdict.reasons) - len(reasons):
        reasons.append(f"and {more} more: `bentoml migration gate` has all")
    return f"{verdict.decision}{at}", reasons


def _following(status: MigrationStatus) -> str:
    behind = sum(each.follows is False for each in status.workers)
    if behind:
        return f"{behind} NOT FOLLOWING"
    if status.seen.followed:
        return "all follow"
    if status.seen.workers_differ:
        return "they DIFFER"
    return "all see the same" if status.view else "what they see is not known"


def _table(workers: Sequence[WorkerView], flag: FlagView | None) -> Table:
    several_hosts = len({each.state.host for each in workers}) > 1
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("worker")
    table.add_column("pid", justify="right")
    if several_hosts:
        table.add_column("host")
    table.add_column("flags")
    table.add_column("sees")
    table.add_column("follows")
    table.add_column("pairs", justify="right")
    table.add_column("dropped", justify="right")
    for each in workers:
        table.add_row(*_row(each, flag, several_hosts))
    return table


def _row(each: WorkerView, flag: FlagView | None, with_host: bool) -> list[Text]:
    state, seen_flag, pairs = each.state, each.state.flag, each.state.pairs
    age = "" if seen_flag.age_seconds is None else f" {_short(seen_flag.age_seconds)}"
    condition = "silent" if each.silent else seen_flag.state.replace("_", " ") + age
    follows = {True: Text("yes"), False: Text("NO", style=_BAD), None: Text("?")}[each.follows]
    return [
        Text(_name(each)),
        Text(str(state.pid)),
        *([Text(printable(state.host))] if with_host else []),
        Text(printable(condition), style="" if seen_flag.state == "ready" else _DOUBTFUL),
        Text(printable(_sees(each.sees, flag))),
        follows,
        Text(f"{pairs.recorded:,}"),
        Text(f"{sum(pairs.dropped.values()):,}", style=_BAD if pairs.dropped else ""),
    ]


def _sees(sees: FlagView | None, flag: FlagView | None) -> str:
    """Return the flag as a worker sees it; with its stickiness only if `flag` has another one."""
    if sees is None:
        return "nothing"
    if flag and sees.stickiness == flag.stickiness:
        sees = replace(sees, stickiness=None)
    return str(sees)


def _name(each: WorkerView) -> str:
    return printable(each.state.worker[:8])


def _short(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f}s"
    return f"{seconds:.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m"


def _ago(passed: timedelta) -> str:
    seconds = max(0.0, passed.total_seconds())
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
