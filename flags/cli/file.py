"""`bentoml migration file`: keep the flag of a migration in a file, where there is no Unleash."""

from pathlib import Path

import click

from flags.cli.exit_codes import exit_codes
from flags.unleash.flags_file import write_flags_file


@click.command("file")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--flag", required=True, metavar="KEY", help="Key of the flag.")
@click.option(
    "--rollout",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    help="Rollout of requests that the candidate answers; Unleash knows whole numbers.",
)
@click.option("--off", is_flag=True, help="Switch the flag off: the primary answers everything.")
def file(path: Path, flag: str, rollout: int, off: bool) -> None:
    """Write the flag to the flags file PATH; running workers follow within two seconds.

    Example: bentoml migration file flags.json --flag fraud-detector-v2 --rollout 10
    """
    with exit_codes():
        write_flags_file(path, flag, rollout, enabled=not off)
    click.echo(f"{path}: {flag} is {'off' if off else f'on at {rollout} %'}")
