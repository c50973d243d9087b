"""`bentoml migration retire`: check that the primary can go, and list what to remove."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import click
from rich.console import Console

from comparison.cli.exit_codes import VerdictExit
from comparison.cli.flag_place import FlagPlace
from comparison.cli.gate_input import GateInput, evidence_options
from comparison.cli.parameter_types import DurationOption
from comparison.cli.refusals import refusals
from comparison.cli.serve_check import seconds_to_serve
from flags.cli.exit_codes import exit_codes
from flags.cli.options import UnleashAccess, unleash_options
from flags.gate import Decision
from flags.printable import printable
from flags.unleash.admin import UnleashAdmin
from flags.unleash.admin.seed import shadow_key
from flags.unleash.local.errors import ProgramFailedError


@click.command("retire")
@evidence_options
@click.option(
    "--service",
    required=True,
    metavar="IMPORT",
    help="The candidate's own service, as `bentoml serve` takes it: module:Name.",
)
@click.option(
    "--within",
    type=DurationOption(),
    default="90s",
    show_default=True,
    metavar="TIME",
    help="How long that service may take to be ready.",
)
@unleash_options
def retire(
    given: GateInput,
    service: str,
    within: timedelta,
    unleash: UnleashAccess,
) -> None:
    """Check that the primary is not needed, start the candidate alone, list what to remove.

    The last step of the playbook must have passed its gate: in the deprecation, the primary must
    not have answered any request for the whole hold. Then the candidate's service is started alone
    on a free port of this machine, until it is ready, and stopped. Nothing is changed.

    The exit code is 0 if the primary can go, else 10 HOLD, 20 ROLLBACK, 1 if the candidate does not
    serve alone.

    Example: bentoml migration retire pairs --playbook playbook.yaml --service service:FraudV2
    """
    with (
        refusals(),
        exit_codes(ProgramFailedError),
        unleash.admin() as admin,
    ):
        from comparison.judgement.pairs_judge import NOT_YET
        from comparison.report.terminal.verdict import print_verdict

        place = FlagPlace.of(admin, given.plan())
        try:
            judge = given.judge()
            evidence, judgement = judge.judged(place.plan, place.run, datetime.now(UTC))
        except NOT_YET as problem:
            raise _NotRetired(Decision.HOLD, str(problem)) from problem
        print_verdict(evidence, judgement, Console(highlight=False))
        decision = judgement.verdict.decision
        if decision is not Decision.ADVANCE:
            raise _NotRetired(decision, f"the verdict is {decision}")
        after = place.plan.after(judgement.step)
        if after is not None:
            raise _NotRetired(Decision.HOLD, f"{after.name} comes first")
        click.echo()
        seconds = seconds_to_serve(service, within.total_seconds())
    click.echo(f"{service} serves alone: ready after {seconds:.1f} s")
    click.echo()
    for number, text in enumerate(
        _to_do(place.plan.flag, service, evidence.integrity.models, admin), start=1
    ):
        click.echo(f"{number}. {text}")


class _NotRetired(VerdictExit):
    """Say that the primary is still needed."""

    def __init__(self, decision: Decision, why: str) -> None:
        super().__init__(decision, f"the primary cannot go yet: {why}")


def _to_do(
    flag: str, service: str, models: Mapping[str, Mapping[str, int]], admin: UnleashAdmin
) -> Iterator[str]:
    """Yield the tasks, in an order in which the primary never answers a request."""
    strategy = admin.state(flag).rollout_strategy
    if strategy is not None and strategy.payload:
        yield (
            f"Give {service} the thresholds that the flag's payload carries now, "
            f"{printable(json.dumps(strategy.payload))}: alone it decides at its own."
        )
    yield f"Deploy {service} in place of the service that `migrate` makes. Its routes are the same."
    yield (
        "See that no worker of the migration runs any more: `bentoml migration status` finds none. "
        "Where the flag is missing, the primary answers."
    )
    yield (
        f"Archive the flags {flag} and {shadow_key(flag)}: {admin.flag_url(flag)} and "
        f"{admin.flag_url(shadow_key(flag))}"
    )
    yield (
        "Remove bentoml-flags and what its settings were for: UNLEASH_URL, UNLEASH_API_TOKEN, the "
        "playbook, the gate's jobs, the autopilot and its admin token."
    )
    for tag in models.get("primary", {}):
        for model in printable(tag).split("+"):
            yield f"Delete the primary's bundle: bentoml models delete {model}"
    yield "Keep the pairs and the audit file for as long as the decision may be asked about."
