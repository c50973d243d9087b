"""The option --export: hand a comparison over to another program."""

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


def export_to_mlflow(found: "Comparison", files: Mapping[str, str]) -> None:
    """Write a run and say where it is; that it failed is a warning, and changes no exit code."""
    from comparison.report.mlflow_run import MlflowRun

    judged = found.judgement
    step = judged.step.name if judged else None
    run = MlflowRun.of(found.evidence, found.verdict, step, files)
    try:
        click.echo(f"MLflow: {run.write()}", err=True)
    except ExportFailedError as error:
        warn(str(error))
