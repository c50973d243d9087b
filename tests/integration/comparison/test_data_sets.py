"""Pairs as data sets of other programs, as docs/how-to/mlflow.md shows it in two lines."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow.dataset import dataset, field

from comparison import load_pairs
from comparison.pairs.compaction.runs import compact
from tests.support.gated_pairs import PAIRS, write_gated_pairs
from tests.support.paths import ROOT


def test_pairs_are_an_arrow_table(tmp_path: Path) -> None:
    folder = write_gated_pairs(tmp_path).folder
    pairs = pa.Table.from_pandas(load_pairs(folder))
    assert pairs.num_rows == PAIRS
    assert pairs.schema.field("candidate_score").type == pa.float64()
    assert pc.sum(pairs["primary_decision"].cast(pa.int64())).as_py() == PAIRS / 10


def test_a_compacted_folder_is_an_arrow_data_set(tmp_path: Path) -> None:
    compact(write_gated_pairs(tmp_path).folder, tmp_path / "compacted")
    data = dataset(tmp_path / "compacted" / "pairs", partitioning="hive")
    assert data.count_rows() == PAIRS
    assert data.filter(field("rollout") == 10).count_rows() == PAIRS * 5 / 6
    assert data.head(1)["flag"][0].as_py() == "fraud-detector-v2"


def documented(page: Path, what: str) -> str:
    """Return the block of a page that imports something."""
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    [found] = [block for block in blocks if f"from {what} import" in block]
    return str(found)


@pytest.mark.slow
def test_both_sides_are_data_sets_of_evidently(tmp_path: Path) -> None:
    """In an environment of its own, as it wants an older pandas."""
    write_gated_pairs(tmp_path)
    lines = documented(ROOT / "docs" / "how-to" / "mlflow.md", "evidently")
    script = tmp_path / "drift.py"
    script.write_text(
        "from comparison import load_pairs\n"
        + lines.replace("Report([", "done = Report([")
        + "print(len(done.dict()['metrics']), 'metrics')\n",
        encoding="utf-8",
    )
    uv = Path(sys.executable).with_name("uv")
    own = ["--with", "evidently>=0.7,<0.8", "--with", "pandas<3"]
    with_it = [*own, "--with-editable", f"{ROOT}[comparison]"]
    command = [uv, "run", "--no-project", "--python", sys.executable, *with_it, "python"]
    tried = subprocess.run([*command, "-c", ""], capture_output=True, check=False, timeout=900)
    if tried.returncode:
        pytest.skip("Evidently cannot be installed here")
    done = subprocess.run(
        [*command, script], cwd=tmp_path, capture_output=True, check=False, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-2]) > 0
