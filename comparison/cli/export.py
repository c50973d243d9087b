"""The option --export: send a comparison to another program."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from comparison.cli.refusals import warn
from comparison.errors import ExportFailedError

if TYPE_CHECKING:  # needs the extra `comparison`
    from comparison.report.comparison import Comparison

MLFLOW: Final = "mlflow"

export_option = click.option(
    "--export",
    type=click.Choice([MLFLOW]),
    help="Also hand it over: as a run to the MLflow server of MLFLOW_TRACKING_URI.",
)


def export_to_mlflow(comparison: "Comparison", files: Mapping[str, str]) -> None:
    """Write a run and print its place; a failure is a warning, and changes no exit code."""
    from comparison.report.mlflow_run import MlflowRun

    judged = comparison.judgement
    step = judged.step.name if judged else None
    run = MlflowRun.of(comparison.evidence, comparison.verdict, step, files)
    try:
        click.echo(f"MLflow: {run.write()}", err=True)
    except ExportFailedError as error:
        warn(str(error))
