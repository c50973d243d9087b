"""`bentoml migration init`: put the flag of a migration into an Unleash."""

import click

from flags.cli.exit_codes import REFUSED, exit_codes
from flags.cli.options import UnleashAccess, unleash_options
from flags.unleash.admin import Seeded, seed


@click.command("init")
@click.option(
    "--flag",
    "flags",
    required=True,
    multiple=True,
    metavar="KEY",
    help="Key of the flag; several may be given.",
)
@unleash_options
def init(flags: tuple[str, ...], unleash: UnleashAccess) -> None:
    """Create the flag at 0 %, its shadow switch, and the context field they are sticky on.

    What is there is left as it is, so the command can be run again. It refuses a flag that is
    ramped already or differs in stickiness or groupId: exit code 2, and nothing is created for it.

    Example: bentoml migration init --flag fraud-detector-v2 --environment production
    """
    refused = []
    with exit_codes(), unleash.admin() as admin:
        for flag in flags:
            outcome = seed(admin, flag)
            show(outcome)
            click.echo(f"dashboard: {admin.flag_url(flag)}")
            if any(item.outcome == "refused" for item in outcome):
                refused.append(flag)
    for flag in refused:
        click.echo(f"Error: {flag} was not changed, and nothing was created for it", err=True)
    if refused:
        raise SystemExit(REFUSED)


def show(outcome: tuple[Seeded, ...], refused: str = "refused") -> None:
    """Print a line for each item: what was done, and its state."""
    words = {
        "created": "created",
        "changed": "completed",
        "present": "already there",
        "refused": refused,
    }
    for each in outcome:
        click.echo(f"{each.item}: {words[each.outcome]}, {each.detail}")
