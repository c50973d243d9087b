"""The options, refusals and output files shared by the commands over pairs."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from comparison.errors import ComparisonError
from flags.cli.options import Command, packed, with_options
from flags.errors import FlagsError, OtherFlagError
from flags.operate.default_files import AUDIT, LOOKS
from flags.playbook.durations import duration, duration_text
from flags.printable import printable

if TYPE_CHECKING:  # imported when they are used: the help of a command does without
    from comparison.judgement.pairs_judge import PairsJudge
    from comparison.labels import LabelFiles
    from flags.operate.alarms.looks import AlarmLooks
    from flags.operate.notify import Notifier
    from flags.playbook.model import Playbook


class DurationOption(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Take a number with a unit (d, h, m, s, ms), `least` or more."""

    name = "duration"

    def __init__(self, least: timedelta = timedelta(0)) -> None:
        self._least = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the duration."""
        try:
            found = duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if found < self._least:
            self.fail(f"{value} is too short: {duration_text(self._least)} at least", param, ctx)
        return found


EXTRA: Final = ("ibis", "duckdb", "pyarrow", "scipy", "jinja2", "markupsafe")
"""Modules that come with the extra `comparison`."""


class Refusal(click.ClickException):
    """Show a domain error as one message on stderr; exit code 2, as for any bad input."""

    exit_code = 2


@contextmanager
def refusals() -> Iterator[None]:
    """Turn domain errors, and what is not installed, into a Refusal."""
    try:
        yield
    except (ComparisonError, FlagsError) as error:
        lines = map(printable, str(error).split("\n"))  # names in it may be anybody's
        raise Refusal("\n".join(lines)) from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        raise Refusal(
            f"{error.name} is not installed: it comes with the extra `comparison` of bentoml-flags "
            "(in a clone: pip install '.[comparison]')"
        ) from error


def _moment(
    ctx: click.Context, param: click.Parameter, value: str | datetime | None
) -> datetime | None:
    """Read an ISO 8601 date or time; UTC unless it has an offset."""
    del ctx, param
    if value is None or isinstance(value, datetime):
        return value
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not an ISO 8601 time such as 2025-11-24T06:00 (UTC) or "
            "2025-11-24T06:00+01:00"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


_INPUT: Final = click.Path(path_type=Path, dir_okay=False)
_OUTPUT: Final = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


class PairsPlace(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Take a path, or the URL of an engine's table or of a folder in an object store."""

    name = "place"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Path:
        """Return a URL as a text, and anything else as a path."""
        del param, ctx
        return value if isinstance(value, Path) or "://" in value else Path(value)


class FolderPlace(click.ParamType):  # type: ignore[type-arg]  # generic in the stubs only
    """Take a path, or the URL of a folder in an object store."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return what stands for a path; a ComparisonError becomes a Refusal."""
        from comparison.pairs.stores import SCHEMES, folder_at, is_store

        if isinstance(value, str) and "://" in value and not is_store(value):
            starts = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            scheme = value.partition("://")[0]
            self.fail(f"a folder is a path or begins with {starts}, not {scheme}://", param, ctx)
        with refusals():
            return folder_at(value)


pairs_argument = click.argument("pairs", type=PairsPlace())
files_argument = click.argument("pairs", type=FolderPlace())
since_option = click.option(
    "--since", metavar="TIME", callback=_moment, help="Leave out pairs accepted before, ISO 8601."
)
until_option = click.option(
    "--until", metavar="TIME", callback=_moment, help="Leave out pairs accepted from then on."
)
_LABEL_VALUES: Final = "comparison.label_values"
"""Where the context of a command keeps what --label-values says until --labels is read."""


def _label_values(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Read `fraud=1,legit=0`."""
    del param
    pairs = [each.partition("=") for each in (value or "").split(",") if each]
    if any(not (word.strip() and equals and given.strip()) for word, equals, given in pairs):
        raise click.BadParameter(f"{value!r} is not of the form fraud=1,legit=0")
    ctx.meta[_LABEL_VALUES] = {word.strip(): given.strip() for word, _, given in pairs}


def _label_files(
    ctx: click.Context, param: click.Parameter, value: str | Path | None
) -> "LabelFiles | None":
    del param
    if value is None:
        return None
    with refusals():
        from comparison.labels import LabelFiles

        return LabelFiles(value, ctx.meta.get(_LABEL_VALUES, {}))


def labels_option(command: Any) -> Any:
    """Add --labels and --label-values, which make up one argument, `labels`."""
    values = click.option(
        "--label-values",
        metavar="WORD=VALUE,...",
        callback=_label_values,
        is_eager=True,
        expose_value=False,
        help="What words in the labels stand for, e.g. fraud=1,legit=0.",
    )
    labels = click.option(
        "--labels",
        metavar="PLACE",
        type=PairsPlace(),
        callback=_label_files,
        help="CSV or Parquet with request_id and label (label.OUTPUT of several outputs), a folder "
        "of them, or an engine's table: what the requests turned out to be.",
    )
    return labels(values(command))


outcomes_option = click.option(
    "--outcomes",
    metavar="PLACE",
    type=PairsPlace(),
    help="What happened downstream: CSV or Parquet, a folder of them, or an engine's table "
    "(duckdb://FILE?table=NAME), with request_id or unit, metric, value and occurred_at.",
)
preferences_option = click.option(
    "--preferences",
    metavar="PLACE",
    type=PairsPlace(),
    help="CSV or Parquet with request_id and preference, a folder of them, or an engine's table: "
    "whose text is the better one; `bentoml migration judge` writes it.",
)
reference_option = click.option(
    "--reference",
    metavar="FILE",
    type=_INPUT,
    help="What `bentoml models get TAG --output json` printed, for the drift of features.",
)
json_option = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=_OUTPUT,
    help="Also write everything as JSON; - writes it to stdout, and nothing else.",
)
html_option = click.option(
    "--html",
    "html_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write one self-contained HTML page.",
)


def write(path: Path, content: bytes) -> None:
    """Write a file whole; a Refusal says why it cannot be."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror or error}") from error


def warn(problem: str) -> None:
    """Print a warning on stderr."""
    click.echo(f"Warning: {printable(problem)}", err=True)


_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class GateInput:
    """What the gate judges: pairs with what is added to them, by which playbook, and alarms."""

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
        """Read the playbook; raises OtherFlagError if it is that of another flag."""
        from flags.playbook.file import read_playbook

        plan = read_playbook(self.playbook)
        if self.flag not in (None, plan.flag):
            raise OtherFlagError(
                f"{self.playbook} is the playbook of {plan.flag}, not of {self.flag}"
            )
        return plan

    def judge(self, warn: Callable[[str], object] = warn) -> "PairsJudge":
        """Return what judges the pairs."""
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
        """Return what asks for the playbook's operational alarms."""
        from flags.operate.alarms.looks import AlarmLooks
        from flags.operate.alarms.sources import AlarmSources
        from flags.operate.look_file import LookFile

        sources = AlarmSources(self.prometheus, self.alertmanager, os.environ)
        return AlarmLooks(sources, LookFile(self.looks), warn)

    def notifier(self, plan: "Playbook", warn: Callable[[str], object] = warn) -> "Notifier":
        """Return what tells those whom the playbook names."""
        from flags.operate.notify import Notifier
        from flags.operate.told_file import ToldFile

        told = ToldFile(self.looks.with_suffix(".told.json"))
        return Notifier(plan.notify, os.environ, told, warn)


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
        help="Where the playbook's PromQL alarms are asked; the token is in PROMETHEUS_TOKEN.",
    ),
    click.option(
        "--alertmanager",
        metavar="URL",
        envvar="ALERTMANAGER_URL",
        show_envvar=True,
        help="Where its alerts are asked; the token is in ALERTMANAGER_TOKEN.",
    ),
    click.option(
        "--looks",
        metavar="FILE",
        type=_FILE,
        default=LOOKS,
        show_default=True,
        envvar="MIGRATION_LOOKS",
        show_envvar=True,
        help="Where looks at operational alarms are kept, one JSON line each.",
    ),
)

audit_option = click.option(
    "--audit",
    metavar="FILE",
    type=_FILE,
    default=AUDIT,
    show_default=True,
    envvar="MIGRATION_AUDIT",
    show_envvar=True,
    help="Where changes are recorded, one JSON line each.",
)

verdict_option = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=_FILE,
    help="Also write the verdict as JSON.",
)


def evidence_options(command: Command) -> Command:
    """Add the options of GateInput, which the command takes as `given`."""
    return with_options(_EVIDENCE, packed("given", GateInput, command))
