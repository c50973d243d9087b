"""The published case: the handbook's figures, and its notebook from the data to the retirement."""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from examples.handbook.training import HOLDOUT, train, transactions, week
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

pytest_plugins = ("tests.support.unleash.server",)

NOTEBOOK = ROOT / "examples" / "handbook" / "handbook.ipynb"


def outputs(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [each for cell in cells for each in cell.get("outputs", [])]


def last_line(notebook: Path) -> str:
    return "".join(outputs(notebook)[-1]["text"]).strip()


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"\d+\.\d+", text)]


def test_the_committed_notebook_has_run_from_top_to_bottom() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output["output_type"] for output in outputs(NOTEBOOK)}
    assert kinds == {"stream", "execute_result"}, "no error"
    assert all(each.get("name") != "stderr" for each in outputs(NOTEBOOK))
    assert str(Path.home()) not in NOTEBOOK.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_simulated_figures_are_near_the_books() -> None:
    table = transactions()
    tree, forest = train(table).figures(week(table, HOLDOUT))
    assert tree.average_precision == pytest.approx(0.496, abs=0.1), "chapter 3, its table"
    assert forest.average_precision == pytest.approx(0.658, abs=0.1)
    said = numbers(last_line(NOTEBOOK))
    assert tree.average_precision == pytest.approx(said[0], abs=0.001)
    assert forest.average_precision == pytest.approx(said[1], abs=0.01)
    assert forest.alarms / tree.alarms == pytest.approx(said[2], abs=0.05)


@pytest.mark.slow
def test_the_notebook_runs_from_the_data_to_the_retirement(
    tmp_path: Path, dashboard_extra: None
) -> None:
    run = tmp_path / "handbook.ipynb"
    execute = Path(sys.executable).with_name("jupyter-execute")
    command = [str(execute), str(NOTEBOOK), "--output", str(run)]
    # The path of a socket is short: the notebook's folder cannot be in pytest's.
    with TemporaryDirectory() as short:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(tmp_path / "bentoml", TMPDIR=short),
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    now, then = last_line(run), last_line(NOTEBOOK)
    assert re.sub(r"\d+\.\d+", "0", now) == re.sub(r"\d+\.\d+", "0", then)
    assert numbers(now) == pytest.approx(numbers(then), abs=0.1)
