"""`--export mlflow`: a verdict as a run of a real MLflow server."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from comparison.cli.compare import compare
from comparison.cli.gate import gate
from tests.support.gated_pairs import GatedPairs, write_gated_pairs
from tests.support.mlflow_server import mlflow_server
from tests.support.pair_files import FLAG


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> GatedPairs:
    return write_gated_pairs(tmp_path_factory.mktemp("mlflow-pairs"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as url:
        yield url


def judged(pairs: GatedPairs, *options: str) -> Result:
    until = pairs.end.isoformat()
    arguments = [str(pairs.folder), "--playbook", str(pairs.playbook), "--until", until]
    return CliRunner().invoke(gate, [*arguments, *options, "--export", "mlflow"])


def only_run(server: str, experiment: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(server)
    [run] = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


def artefact(server: str, run: Any, name: str, folder: Path) -> str:
    from mlflow.artifacts import download_artifacts

    path = download_artifacts(
        run_id=run.info.run_id, artifact_path=name, dst_path=str(folder), tracking_uri=server
    )
    return Path(path).read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_verdict_is_a_run_with_metrics_verdict_and_page(
    pairs: GatedPairs, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    result = judged(pairs, "--json", "-")
    assert result.exit_code == 0, result.output
    verdict = json.loads(result.stdout)
    run = only_run(server, FLAG)
    assert f"MLflow: {server}/#/experiments/{run.info.experiment_id}/runs/" in result.stderr
    assert run.info.run_name == f"{verdict['step']} ADVANCE"
    assert run.info.status == "FINISHED"
    assert run.data.tags["decision"] == "ADVANCE"
    assert (run.data.params["flag"], run.data.params["rollout"]) == (FLAG, "10")
    checks = {(each["name"], each["output"], each["segment"]): each for each in verdict["checks"]}
    ratio = checks["alarm_ratio", "fraud_probability", None]
    for part in ("figure", "low", "high", "limit"):
        name = "alarm_ratio/fraud_probability" + ("" if part == "figure" else f"/{part}")
        assert run.data.metrics[name] == pytest.approx(ratio[part])
    assert run.data.metrics["pairs_at_rollout"] == verdict["evidence"]["window"]["pairs"]
    assert json.loads(artefact(server, run, "verdict.json", tmp_path)) == verdict
    assert artefact(server, run, "page.html", tmp_path).startswith("<!doctype html>")


@pytest.mark.slow
def test_a_comparison_without_a_playbook_is_a_run_too(
    pairs: GatedPairs, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "first comparisons")
    result = CliRunner().invoke(
        compare, [str(pairs.folder), "--export", "mlflow", "--json", str(tmp_path / "told.json")]
    )
    assert result.exit_code == 0, result.output
    run = only_run(server, "first comparisons")
    assert "decision" not in run.data.tags
    assert run.data.metrics["alarm_rate/fraud_probability/primary"] == pytest.approx(0.1, abs=0.01)
    told = json.loads((tmp_path / "told.json").read_bytes())
    assert json.loads(artefact(server, run, "comparison.json", tmp_path)) == told


# --- what is missing changes no verdict -----------------------------------------------------------


def warned(pairs: GatedPairs) -> str:
    result = judged(pairs)
    assert result.exit_code == 0, result.output
    return " ".join(result.stderr.split())


def test_without_an_address_the_verdict_stands_and_a_warning_says_what_is_missing(
    pairs: GatedPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert warned(pairs) == "Warning: MLFLOW_TRACKING_URI names no server"


def test_a_server_that_is_away_is_a_warning_that_tells_no_password(
    pairs: GatedPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not-to-be-told")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    said = warned(pairs)
    assert "Warning: MLflow did not take the run: MlflowException: API request to" in said
    assert "not-to-be-told" not in said


def test_a_client_that_is_not_installed_is_a_warning_that_names_the_extra(
    pairs: GatedPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert "it comes with the extra `mlflow` of bentoml-flags" in warned(pairs)
