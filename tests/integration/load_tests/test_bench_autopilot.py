"""The benchmark of the autopilot runs from end to end, on few pairs."""

import re
import subprocess
import sys

import pytest

from tests.support.paths import ROOT


@pytest.mark.slow
def test_the_benchmark_measures_some_hours_and_ends_in_its_result() -> None:
    script = ROOT / "load_tests" / "bench_autopilot.py"
    done = subprocess.run(
        [sys.executable, script, "--pairs", "20000", "--samples", "2"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words in (
        r"one count of 20,000 pairs: [\d.]+ processor-s",
        r"hour   2 of 336: [\d.]+ processor-s for a look at new pairs, [\d.]+ after an hour, ",
        r"hour 336 of 336: ",
        r"goal: all looks at most 3x one count: (not )?met",
    ):
        assert re.search(words, done.stdout), words
    assert re.fullmatch(
        r"4,032 looks at 0\.02M pairs [\d,]+ processor-s \(new [\d,]+, hours [\d,]+, "
        r"others [\d,]+; 2 hours measured\), one count [\d.]+ s, [\d,.]+x",
        done.stdout.splitlines()[-1],
    )
