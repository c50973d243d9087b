"""The jobs of deploy/spark under spark-submit: what they write and say is what one machine does."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pandas as pd
import pytest

from comparison import load_pairs
from comparison.pairs.compaction.runs import compact
from comparison.pairs.reader import read_all
from tests.support.gated_pairs import GatedPairs, assert_same_verdict, verdict, write_gated_pairs
from tests.support.paths import ROOT
from tests.support.spark import needs_spark

pytestmark = [needs_spark, pytest.mark.slow]

HERE = ("spark.driver.bindAddress=127.0.0.1", "spark.driver.host=127.0.0.1")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> GatedPairs:
    """Hold pairs, some of them twice, a line that is not JSON, and one of another program."""
    pairs = write_gated_pairs(tmp_path_factory.mktemp("spark-jobs"))
    [first, *_] = sorted(pairs.folder.glob("*.jsonl"))
    lines = first.read_text(encoding="utf-8").splitlines(keepends=True)
    (pairs.folder / "again.jsonl").write_text("".join(lines[1:40]), encoding="utf-8")
    return pairs


def submitted(job: str, *arguments: object) -> "subprocess.CompletedProcess[bytes]":
    """Run a job on this machine."""
    submit = Path(sys.executable).with_name("spark-submit")
    settings = [part for each in (*HERE, "spark.ui.enabled=false") for part in ("--conf", each)]
    return subprocess.run(
        [submit, "--master", "local[2]", *settings, ROOT / "deploy" / "spark" / job]
        + [str(each) for each in arguments],
        capture_output=True,
        timeout=900,
        check=False,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
    )


def test_pair_files_compacted_by_spark_are_those_that_one_machine_compacts(
    pairs: GatedPairs, tmp_path: Path
) -> None:
    done = submitted("compact.py", pairs.folder, "--into", tmp_path / "by-spark")
    assert done.returncode == 0, done.stderr.decode()
    assert b"Took 3,000 pairs" in done.stdout
    compact(pairs.folder, tmp_path / "here")
    frames = [load_pairs(tmp_path / name) for name in ("by-spark", "here")]
    by = ["time", "span_id"]
    found, wanted = (frame.sort_values(by, ignore_index=True) for frame in frames)
    pd.testing.assert_frame_equal(found[wanted.columns], wanted)
    assert read_all(tmp_path / "by-spark").accounting.duplicates == 39
    assert_same_verdict(pairs, str(tmp_path / "by-spark"), tmp_path / "here")


def test_the_gate_under_spark_submit_says_what_it_says_on_the_folder(
    pairs: GatedPairs, tmp_path: Path
) -> None:
    compact(pairs.folder, tmp_path / "here")
    place = f"spark://local?folder={tmp_path / 'here'}"
    options = ["--playbook", pairs.playbook, "--until", pairs.end.isoformat()]
    done = submitted("gate.py", place, *options, "--json", tmp_path / "verdict.json")
    assert done.returncode == 0, done.stderr.decode()
    there = (tmp_path / "verdict.json").read_bytes().strip().replace(orjson.dumps(place), b"0")
    here = verdict(pairs, tmp_path / "here").strip()
    assert there == here.replace(orjson.dumps(str(tmp_path / "here")), b"0")
