"""Hold the options that the commands which move a flag have in common."""

from pathlib import Path
from typing import Final

import click

from comparison.cli.options import labels_option, pairs_argument, reference_option
from flags.cli.options import Command, with_options
from flags.errors import OtherFlagError
from flags.operate.audit import DEFAULT
from flags.playbook.file import read_playbook
from flags.playbook.model import Playbook

_FILE: Final = click.Path(path_type=Path, dir_okay=False)

_EVIDENCE: Final = (
    pairs_argument,
    click.option(
        "--playbook",
        metavar="FILE",
        required=True,
        type=_FILE,
        help="The plan of the migration; `bentoml migration playbook` writes one.",
    ),
    click.option("--flag", metavar="KEY", help="Key of the flag. Unset: the playbook's."),
    labels_option,
    reference_option,
)

audit_option = click.option(
    "--audit",
    metavar="FILE",
    type=_FILE,
    default=DEFAULT,
    show_default=True,
    envvar="MIGRATION_AUDIT",
    show_envvar=True,
    help="Where acts are recorded, one JSON line each.",
)

verdict_option = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=_FILE,
    help="Also write the verdict as JSON; verdict.json beside the pairs is on the live page.",
)


def evidence_options(command: Command) -> Command:
    """Add PAIRS, the playbook, the flag, the labels and the reference."""
    return with_options(_EVIDENCE, command)


def playbook_of(path: Path, flag: str | None) -> Playbook:
    """Read a playbook; raises OtherFlagError if it is that of another flag."""
    plan = read_playbook(path)
    if flag not in (None, plan.flag):
        raise OtherFlagError(f"{path} is the playbook of {plan.flag}, not of {flag}")
    return plan
