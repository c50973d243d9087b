"""The options of the commands that judge pairs by a playbook, and the input made from them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from comparison.cli.options import (
    labels_option,
    outcomes_option,
    pairs_argument,
    preferences_option,
    reference_option,
)
from comparison.cli.refusals import warn
from flags.cli.options import Command, packed, record_option, with_options
from flags.errors import OtherFlagError
from flags.operate.default_files import LOOKS

if TYPE_CHECKING:  # imported when they are used: the help of a command does without
    from comparison.judgement.pairs_judge import PairsJudge
    from comparison.labels import LabelFiles
    from flags.operate.alarms.looks import AlarmLooks
    from flags.operate.notify import Notifier
    from flags.playbook.model import Playbook

_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class GateInput:
    """The input of the gate: pairs, playbook, further inputs, and operational alarms."""

    pairs: str | Path
    playbook: Path
    flag: str | None
    labels: "LabelFiles | None"
    outcomes: str | Path | None
    preferences: str | Path | None
    reference: Path | None
    prometheus: str | None
    alertmanager: str | None
    looks: Path

    def plan(self) -> "Playbook":
        """Read the playbook. Raises OtherFlagError if it belongs to another flag."""
        from flags.playbook.file import read_playbook

        plan = read_playbook(self.playbook)
        if self.flag not in (None, plan.flag):
            raise OtherFlagError(
                f"{self.playbook} is the playbook of {plan.flag}, not of {self.flag}"
            )
        return plan

    def judge(self, warn: Callable[[str], object] = warn) -> "PairsJudge":
        """Create the judge of the pairs."""
        from comparison.judgement.pairs_judge import PairsJudge

        return PairsJudge(
            self.pairs,
            self.labels,
            self.reference,
            self.outcomes,
            ask_alarms=self.ask_alarms(warn),
            preferences=self.preferences,
        )

    def ask_alarms(self, warn: Callable[[str], object] = warn) -> "AlarmLooks":
        """Create the reader of the playbook's operational alarms."""
        from flags.operate.alarms.looks import AlarmLooks
        from flags.operate.alarms.sources import AlarmSources
        from flags.operate.look_file import LookFile

        sources = AlarmSources(self.prometheus, self.alertmanager, os.environ)
        return AlarmLooks(sources, LookFile(self.looks), warn)

    def notifier(self, plan: "Playbook", warn: Callable[[str], object] = warn) -> "Notifier":
        """Create the notifier of the recipients in the playbook."""
        from flags.operate.notify import Notifier
        from flags.operate.sent_messages import SentMessagesFile

        sent = SentMessagesFile(self.looks.with_suffix(".told.json"))
        return Notifier(plan.notify, os.environ, sent, warn)


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
    outcomes_option,
    preferences_option,
    reference_option,
    click.option(
        "--prometheus",
        metavar="URL",
        envvar="PROMETHEUS_URL",
        show_envvar=True,
        help="Server of the playbook's PromQL alarms; the token is in PROMETHEUS_TOKEN.",
    ),
    click.option(
        "--alertmanager",
        metavar="URL",
        envvar="ALERTMANAGER_URL",
        show_envvar=True,
        help="Server of the playbook's alerts; the token is in ALERTMANAGER_TOKEN.",
    ),
    record_option(
        "--looks", LOOKS, "MIGRATION_LOOKS", "Where looks at operational alarms are kept"
    ),
)
verdict_option = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=_FILE,
    help="Also write the verdict as JSON.",
)


def evidence_options(command: Command) -> Command:
    """Add the options of GateInput, which the command gets as the argument `given`."""
    return with_options(_EVIDENCE, packed("given", GateInput, command))
