"""Units are counted by the engine as pandas counts them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comparison.counts.tables import UnitAggregates
from comparison.engines.sources import FramePairs
from comparison.pairs.reader import read_all
from flags.export import attributes
from tests.support.counting import aggregate
from tests.support.pair_files import BEGIN, FLAG, OUTPUT, PairFile, Scored, failed


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


@pytest.mark.parametrize("unrecorded", [("candidate",), ("primary", "candidate")])
def test_decisions_without_a_threshold_are_counted_by_unit(
    tmp_path: Path, unrecorded: tuple[str, ...]
) -> None:
    """Else a burst would count as many requests, and could roll an equal candidate back."""
    file = PairFile(tmp_path)
    gone = {f"{attributes.side(side, attributes.THRESHOLD)}.{OUTPUT}": None for side in unrecorded}
    for number in range(20):
        changes = {attributes.REQUEST_ID: f"a{number}", attributes.UNIT: "ada", **gone}
        file.pair(Scored(0.1), Scored(0.9), changes=changes)
    found = aggregate(FramePairs(read_all(tmp_path)), flag=FLAG)
    [output] = found.outputs
    assert output.by_unit is not None
    assert cells(output.by_unit.blocks) == {(False, True): 1}
    assert found.answers == (), "it is no number"


@pytest.mark.parametrize("seed", range(3))
def test_units_are_counted_as_pandas_counts_them(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = [
        (f"r{n}", f"u{random.integers(40)}", 0.8 * random.random(), random.random())
        for n in range(200)
    ]
    frame = pd.DataFrame(rows, columns=["request", "unit", "p", "c"])
    frame["p"], frame["c"] = frame["p"] >= 0.5, frame["c"] >= 0.5
    expected = frame.groupby("unit")[["p", "c"]].max().value_counts().to_dict()
    expected.pop((False, False), None)
    assert cells(counted(tmp_path, rows).once) == expected


def test_a_burst_of_failures_is_one_unit_and_a_pair_without_a_unit_is_one(tmp_path: Path) -> None:
    file = PairFile(tmp_path)
    for unit, requests, failures in (("ada", 20, 20), ("bob", 4, 1), ("cy", 2, 0), (None, 2, 1)):
        for number in range(requests):
            candidate = failed("error") if number < failures else Scored(0.1)
            file.pair(Scored(0.1), candidate, changes={attributes.UNIT: unit})
    counts = aggregate(FramePairs(read_all(tmp_path)), flag=FLAG).unit_failures
    assert counts is not None
    assert (counts.called, counts.active) == (5, 0)
    columns = ["called", "candidate_failed", "n"]
    assert counts.failed[columns].to_numpy().tolist() == [[1, 1, 1], [4, 1, 1], [20, 20, 1]]


def test_where_most_pairs_are_alarms_the_units_without_one_are_counted(tmp_path: Path) -> None:
    rows = [(f"r{n}", f"u{n}", 0.9, 0.9) for n in range(20)]
    rows += [("a1", "ada", 0.9, 0.1), ("a2", "ada", 0.9, 0.1), ("b1", "bob", 0.1, 0.1)]
    found = counted(tmp_path, rows)
    assert found.is_quiet
    assert cells(found.blocks) == {(False, True): 1, (True, True): 1}


def test_bursts_of_flips_are_seen_where_no_pair_names_a_unit(tmp_path: Path) -> None:
    """Three hours of ten pairs a minute; each hour, five minutes are a burst of flips."""
    for name, bursts in (("bursts", True), ("single", False)):
        file = PairFile(tmp_path / name)
        for number in range(1_800):
            minute, place = divmod(number, 10)
            flips = minute % 12 == 0 if bursts else place == 0 and minute % 2 == 0
            span = file.span(Scored(0.1), Scored(0.9 if flips else 0.1))
            span["startTimeUnixNano"] = str(BEGIN + number * 6_000_000_000)
            span["endTimeUnixNano"] = str(BEGIN + number * 6_000_000_000 + 1_000_000)
            file.write(span)
    effect = {
        name: aggregate(FramePairs(read_all(tmp_path / name)), flag=FLAG).outputs[0].by_unit
        for name in ("bursts", "single")
    }
    assert effect["bursts"] is not None
    assert effect["single"] is not None
    assert effect["bursts"].design_effect == pytest.approx(10, rel=0.2)
    assert effect["bursts"].hourly_design_effect == effect["bursts"].design_effect
    assert cells(effect["bursts"].blocks) == {(False, True): 150}
    for name in ("once", "hours"):
        assert getattr(effect["bursts"], name)["n"].sum() <= 15 * 3, "what chance brings a minute"
    assert effect["single"].design_effect == effect["single"].hourly_design_effect == 1.0
