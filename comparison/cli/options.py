"""The arguments and options that several commands on pairs share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from comparison.cli.parameter_types import FolderPlace, PairsPlace, moment_option
from comparison.cli.refusals import refusals

if TYPE_CHECKING:  # imported when they are used: the help of a command does without
    from comparison.labels import LabelFiles

_INPUT: Final = click.Path(path_type=Path, dir_okay=False)
_OUTPUT: Final = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
pairs_argument = click.argument("pairs", type=PairsPlace())
files_argument = click.argument("pairs", type=FolderPlace())
since_option = click.option(
    "--since",
    metavar="TIME",
    callback=moment_option,
    help="Leave out pairs accepted before, ISO 8601.",
)
until_option = click.option(
    "--until", metavar="TIME", callback=moment_option, help="Leave out pairs accepted from then on."
)
_LABEL_VALUES: Final = "comparison.label_values"
"""Key of the value of --label-values in the click context, until --labels is parsed."""


def _label_values(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Parse `fraud=1,legit=0` and keep it in the context."""
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
    """Add --labels and --label-values, which become one argument, `labels`."""
    values = click.option(
        "--label-values",
        metavar="WORD=VALUE,...",
        callback=_label_values,
        is_eager=True,
        expose_value=False,
        help="Meanings of words in the labels, e.g. fraud=1,legit=0.",
    )
    labels = click.option(
        "--labels",
        metavar="PLACE",
        type=PairsPlace(),
        callback=_label_files,
        help="CSV or Parquet with request_id and label (label.OUTPUT of several outputs), a folder "
        "of them, or an engine's table: the true values of the requests.",
    )
    return labels(values(command))


outcomes_option = click.option(
    "--outcomes",
    metavar="PLACE",
    type=PairsPlace(),
    help="Outcomes, events downstream: CSV or Parquet, a folder of them, or an engine's table "
    "(duckdb://FILE?table=NAME), with request_id or unit, metric, value and occurred_at.",
)
preferences_option = click.option(
    "--preferences",
    metavar="PLACE",
    type=PairsPlace(),
    help="CSV or Parquet with request_id and preference, a folder of them, or an engine's table: "
    "which side's text is better; `bentoml migration judge` writes it.",
)
reference_option = click.option(
    "--reference",
    metavar="FILE",
    type=_INPUT,
    help="Output of `bentoml models get TAG --output json`, for the drift of features.",
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
