"""The benchmark of the comparison runs from end to end, on few pairs and without its peers."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow
def test_the_benchmark_measures_each_part_and_ends_in_its_result() -> None:
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "load_tests" / "bench_comparison.py", "--without-peers"),
            *("--pairs", "20000", "--growth", "5000", "--lines", "600"),
        ],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    for words in (
        r"scan of 20,000 pairs: [\d.]+ s, [\d.]+ processor-s, \d+ MB",
        r"evidence on 20,000 pairs: ",
        r"evidence on 5,000 pairs: ",
        r"compacting: [\d,]+ pairs per processor-second",
        r"evidence on 500 pairs of ten outputs: ",
        r"goal: at most 1000 MB: met",
    ):
        assert re.search(words, done.stdout), words
    assert re.fullmatch(
        r"0\.02M pairs first [\d.]+ s [\d.]+x scan \d+ MB, counted [\d.]+ s, 10 outputs [\d.]+x, "
        r"100M - MB, evidently -, compaction [\d,]+/core-s",
        done.stdout.splitlines()[-1],
    )
