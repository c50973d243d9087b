"""`bentoml migration gate`: a verdict on the evidence of pairs."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from comparison.cli.exit_codes import EXIT_CODES
from comparison.cli.export import export_option, export_to_mlflow
from comparison.cli.gate_input import GateInput, evidence_options
from comparison.cli.options import html_option, json_option, since_option, until_option
from comparison.cli.refusals import refusals, warn, write


@click.command()
@evidence_options
@click.option(
    "--step",
    metavar="STEP",
    help="The step to judge, a rollout or a stage. Unset: that of the newest pairs.",
)
@since_option
@until_option
@json_option
@html_option
@export_option
def gate(
    given: GateInput,
    step: str | None,
    since: datetime | None,
    until: datetime | None,
    json_file: Path | None,
    html_file: Path | None,
    export: str | None,
) -> None:
    """Decide whether a migration goes on, from the pairs in PAIRS and the gates of a playbook.

    The exit code is the verdict: 0 ADVANCE, 10 HOLD, 20 ROLLBACK; 2 is bad input.

    Without --since, the window begins with the pairs of the present rollout; without --until,
    it ends now.

    Example: bentoml migration gate pairs --playbook playbook.yaml --html verdict.html
    """
    with refusals():
        from comparison.cli.verdict_file import write_beside
        from comparison.report.comparison import compare
        from comparison.report.verdict_document import VerdictDocument
        from flags.playbook.file import read_playbook

        plan = read_playbook(given.playbook)
        found = compare(
            given.pairs,
            plan,
            labels=given.labels,
            outcomes=given.outcomes,
            preferences=given.preferences,
            reference=given.reference,
            flag=given.flag,
            step=step,
            since=since,
            until=until,
            readings=given.ask_alarms()(plan, datetime.now(UTC)),
        )
        if html_file:
            write(html_file, found.to_html().encode())
    judgement = found.judged
    if unwritten := write_beside(given.pairs, found.evidence, judgement):
        warn(unwritten)
    document = VerdictDocument.of(found.evidence, judgement).json()
    if export:
        files = {"verdict.json": document.decode(), "page.html": found.to_html()}
        export_to_mlflow(found, files)
    if json_file == Path("-"):
        click.echo(document)
    else:
        if json_file:
            write(json_file, document + b"\n")
        from comparison.report.terminal.verdict import print_verdict

        print_verdict(found.evidence, judgement, Console(highlight=False))
    raise SystemExit(EXIT_CODES[judgement.verdict.decision])
