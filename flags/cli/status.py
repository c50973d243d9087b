"""`bentoml migration status`: how far a migration is, and whether every worker follows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import orjson
from rich.console import Console

from flags.cli.exit_codes import exit_codes
from flags.cli.options import UnleashAccess, environment_option, project_option
from flags.cli.status_table import print_status
from flags.errors import OtherFlagError
from flags.monitoring.last_verdict import LastVerdict
from flags.monitoring.worker_state import Workers
from flags.operate.status import MigrationStatus
from flags.operate.watch import running_workers, verdict_at
from flags.playbook.file import read_playbook
from flags.printable import printable_json
from flags.unleash.admin import FlagEvent, FlagState


@click.command("status")
@click.option(
    "--service",
    default="http://127.0.0.1:3000",
    show_default=True,
    metavar="URL",
    help="The running service, with its path prefix if it has one.",
)
@click.option("--flag", metavar="KEY", help="Key of the flag. Unset: the one that the service has.")
@click.option(
    "--url", envvar="UNLEASH_URL", show_envvar=True, help="Unleash, with or without /api."
)
@click.option(
    "--token",
    envvar="UNLEASH_ADMIN_TOKEN",
    show_envvar=True,
    help="Admin token. Unset: the flag is shown as the workers see it.",
)
@environment_option
@project_option
@click.option(
    "--playbook",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The plan of the migration, for its next step and those taken without evidence.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout, and nothing else.")
def status(
    service: str,
    flag: str | None,
    url: str | None,
    token: str | None,
    environment: str | None,
    project: str,
    playbook: Path | None,
    as_json: bool,
) -> None:
    """Show the stage of a migration, who changed its flag last, and what each worker sees.

    What cannot be asked is named, and the rest is shown: exit code 1 if asking again may help, 2
    if not.

    Example: bentoml migration status --service http://127.0.0.1:3000 --flag fraud-detector-v2
    """
    with exit_codes():
        plan = read_playbook(playbook) if playbook else None
        if plan and flag not in (None, plan.flag):
            raise OtherFlagError(f"{playbook} is the playbook of {plan.flag}, not of {flag}")
    flag = flag or (plan.flag if plan else None)
    workers: Workers | None = None
    verdict: LastVerdict | None = None
    state: FlagState | None = None
    events: list[FlagEvent] = []
    questions = _Questions()
    with questions.about("service"):
        workers = _workers(service, flag)
    if workers:
        with questions.about("verdict"):
            verdict = verdict_at(service)
    key = flag or (workers.flag if workers else None)
    if key is None:
        click.echo(f"Error: {questions.failed['service']}, and --flag is not given", err=True)
        raise SystemExit(questions.exit_code)
    if not url or not token:
        unset = "UNLEASH_ADMIN_TOKEN" if url else "UNLEASH_URL"
        questions.failed["Unleash"] = f"{unset} is not set: who changed the flag last is not known"
    else:
        access = UnleashAccess(url, token, environment, project)
        with questions.about("Unleash"), access.admin() as admin:
            state = admin.state(key)
            events = admin.all_events(key)
    found = MigrationStatus.of(
        key,
        unleash=state,
        events=events,
        playbook=plan,
        workers=workers,
        verdict=verdict,
        not_shown=questions.failed,
    )
    if as_json:
        click.echo(printable_json(found.as_plain(), option=orjson.OPT_INDENT_2))
    else:
        print_status(found, Console(highlight=False))
    raise SystemExit(questions.exit_code)


def _workers(service: str, flag: str | None) -> Workers:
    workers = running_workers(service)
    if flag not in (None, workers.flag):
        raise OtherFlagError(f"{service} follows the flag {workers.flag}, not {flag}")
    return workers


class _Questions:
    """A collector of the errors of questions to service and Unleash, and their exit code."""

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}
        self.exit_code = 0

    @contextmanager
    def about(self, subject: str) -> Iterator[None]:
        """Store the message of a FlagsError instead of raising it."""
        try:
            with exit_codes():
                yield
        except click.ClickException as refusal:
            self.failed[subject] = refusal.message
            self.exit_code = max(self.exit_code, refusal.exit_code)
