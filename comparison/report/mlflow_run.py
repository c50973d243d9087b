"""A comparison as a run of an MLflow server: figures as metrics, verdict and page as artefacts.

The server is `MLFLOW_TRACKING_URI`; MLflow's own client takes credentials from the environment. The
experiment is `MLFLOW_EXPERIMENT_NAME`, or is named after the flag.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from comparison.errors import ExportFailedError
from comparison.pairs.secrets import without_secrets
from flags.gate.evidence import Evidence
from flags.gate.verdict import Check, Verdict

_INVALID: Final = re.compile(r"[^\w\-. /:]")
"""Characters that MLflow does not allow in the name of a metric."""

_BATCH: Final = 500
"""Metrics per request: MLflow allows 1,000."""

_CLIENT_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a gate connects only to the server that it is given
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # `--json -` writes to stdout
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # by default, an unreachable server takes minutes
}


@dataclass(frozen=True, slots=True)
class MlflowRun:
    """The content of a run; metrics that are not finite are left out."""

    name: str
    experiment: str
    time: datetime
    """The time of the metrics."""
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, str]
    """Contents of text files, by name."""

    @classmethod
    def of(
        cls, evidence: Evidence, verdict: Verdict | None, step: str | None, files: Mapping[str, str]
    ) -> "MlflowRun":
        """Build a run from the evidence, and from its verdict if there is one."""
        window = evidence.window
        decision = verdict.decision if verdict else None
        params = {
            "flag": window.flag,
            "step": step,
            "rollout": f"{window.rollout:g}",
            "since": window.since.isoformat(),
            "until": window.until.isoformat(),
            "source": evidence.source,
        }
        return cls(
            name=" ".join(filter(None, (step or f"{window.rollout:g} %", decision))),
            experiment=os.environ.get("MLFLOW_EXPERIMENT_NAME") or window.flag,
            time=window.until,
            params={name: str(value) for name, value in params.items() if value is not None},
            tags={"decision": str(decision), "reasons": "\n".join(verdict.reasons)}
            if verdict
            else {},
            metrics=dict(_metrics(evidence, verdict)),
            files=files,
        )

    def write(self) -> str:
        """Write the run to the server; return its address. Raises ExportFailedError."""
        server = os.environ.get("MLFLOW_TRACKING_URI")
        if not server:
            raise ExportFailedError("MLFLOW_TRACKING_URI names no server")
        for name, value in _CLIENT_SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise ExportFailedError(
                "MLflow's client is not installed: it comes with the extra `mlflow` of "
                "bentoml-flags (in a clone: pip install '.[comparison,mlflow]')"
            ) from None
        try:
            return self._log(MlflowClient(server), server)
        except Exception as error:  # the client lets the errors of its HTTP library pass
            message = without_secrets(f"{type(error).__name__}: {error}".partition("\n")[0])
            raise ExportFailedError(f"MLflow did not take the run: {message}") from error

    def _log(self, client: Any, server: str) -> str:
        from mlflow.entities import Metric, Param, RunTag

        known = client.get_experiment_by_name(self.experiment)
        experiment = known.experiment_id if known else client.create_experiment(self.experiment)
        run = client.create_run(experiment, run_name=self.name).info.run_id
        at = int(self.time.timestamp() * 1000)
        metrics = [Metric(name, value, at, 0) for name, value in self.metrics.items()]
        params = [Param(name, value) for name, value in self.params.items()]
        tags = [RunTag(name, value) for name, value in self.tags.items()]
        client.log_batch(run, params=params, tags=tags)
        for begin in range(0, len(metrics), _BATCH):
            client.log_batch(run, metrics=metrics[begin : begin + _BATCH])
        for name, text in self.files.items():
            client.log_text(run, text, name)
        client.set_terminated(run)
        return f"{server.rstrip('/')}/#/experiments/{experiment}/runs/{run}"


def _metrics(evidence: Evidence, verdict: Verdict | None) -> Iterator[tuple[str, float]]:
    """Yield names and values: figures of checks, or without a verdict the alarm rates."""
    figures: list[tuple[str, float | None]] = [("pairs_at_rollout", evidence.window.pairs)]
    for check in verdict.checks if verdict else ():
        name = _name(check)
        figures += [(name, check.figure), (f"{name}/low", check.low), (f"{name}/high", check.high)]
        figures.append((f"{name}/limit", check.limit))
    if verdict is None:
        for output in evidence.outputs:
            if output.alarms is not None:
                figures += [
                    (f"alarm_rate/{output.name}/primary", output.alarms.primary.rate),
                    (f"alarm_rate/{output.name}/candidate", output.alarms.candidate.rate),
                ]
    for name, value in figures:
        if value is not None and math.isfinite(value):
            yield _INVALID.sub("_", name), float(value)


def _name(check: Check) -> str:
    return "/".join(filter(None, (check.name, check.subject, check.output, check.segment)))
