"""Units are counted by the engine as pandas counts them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comparison.counts.aggregate import aggregate
from comparison.counts.tables import UnitAggregates
from comparison.engines.sources import FramePairs
from comparison.pairs.reader import read_all
from flags.export import attributes
from tests.support.pair_files import FLAG, PairFile, Scored


def counted(tmp_path: Path, rows: list[tuple[str, str | None, float, float]]) -> UnitAggregates:
    """Write pairs (request id, unit, primary's and candidate's score) and count them."""
    file = PairFile(tmp_path)
    for request, unit, primary, candidate in rows:
        changes = {attributes.REQUEST_ID: request, attributes.UNIT: unit}
        file.pair(Scored(primary), Scored(candidate), changes=changes)
    found = aggregate(FramePairs(read_all(tmp_path)), flag=FLAG)
    [output] = found.outputs
    assert output.by_unit is not None
    return output.by_unit


def cells(table: pd.DataFrame) -> dict[tuple[bool, bool], int]:
    columns = ("primary_alarm", "candidate_alarm", "n")
    return {
        (bool(p), bool(c)): int(n) for p, c, n in zip(*(table[x] for x in columns), strict=True)
    }


def test_a_burst_counts_once_and_a_pair_without_a_unit_by_its_request(tmp_path: Path) -> None:
    rows = [(f"a{n}", "ada", 0.1, 0.9) for n in range(20)]
    rows += [("b1", "bob", 0.9, 0.9), ("c1", None, 0.9, 0.1), ("c2", None, 0.9, 0.1)]
    found = counted(tmp_path, rows)
    assert cells(found.blocks) == {(False, True): 1, (True, True): 1, (True, False): 2}
    assert (found.units, found.requests) == (2, 21)


def test_a_request_that_was_sent_again_counts_once(tmp_path: Path) -> None:
    found = counted(tmp_path, [("r1", None, 0.1, 0.9), ("r1", None, 0.1, 0.9)])
    assert cells(found.blocks) == {(False, True): 1}


@pytest.mark.parametrize("seed", range(3))
def test_units_are_counted_as_pandas_counts_them(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = [
        (f"r{n}", f"u{random.integers(40)}", float(random.random()), float(random.random()))
        for n in range(200)
    ]
    frame = pd.DataFrame(rows, columns=["request", "unit", "p", "c"])
    frame["p"], frame["c"] = frame["p"] >= 0.5, frame["c"] >= 0.5
    expected = frame.groupby("unit")[["p", "c"]].max().value_counts().to_dict()
    expected.pop((False, False), None)
    assert cells(counted(tmp_path, rows).once) == expected
