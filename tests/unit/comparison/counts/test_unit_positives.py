"""Positives are counted by unit by the engine as pandas counts them."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from comparison.counts.tables import UnitPositives
from comparison.engines.sources import FramePairs
from comparison.evidence.unit_recall import mean_burst_size, unit_recall
from comparison.labels import Labels
from comparison.pairs.reader import read_all
from flags.export import attributes
from flags.gate.evidence import UnitShare
from tests.support.counting import aggregate
from tests.support.pair_files import BEGIN, FLAG, PairFile, Scored

HOUR = 3_600_000_000_000
SIDES = ["primary", "candidate"]


def counted(folder: Path, rows: pd.DataFrame, young: int | None = None) -> UnitPositives | None:
    """Count pairs with the columns unit, hour, primary, candidate (scores) and label.

    Those from the hour `young` on are too young for their label to count.
    """
    file = PairFile(folder)
    for number, row in enumerate(rows.to_dict("records")):
        changes = {attributes.REQUEST_ID: f"r{number}", attributes.UNIT: row["unit"]}
        span = file.span(*(Scored(row[side]) for side in SIDES), changes=changes)
        for place, name in enumerate(("startTimeUnixNano", "endTimeUnixNano")):
            span[name] = str(BEGIN + row["hour"] * HOUR + number * 1_000_000 + place)
        file.write(span)
    labels = pd.DataFrame({"request_id": [f"r{n}" for n in range(len(rows))]})
    labels["label"] = rows["label"].astype("boolean")
    cutoff = None if young is None else datetime.fromtimestamp((BEGIN + young * HOUR) / 1e9, UTC)
    found = aggregate(
        FramePairs(read_all(folder)),
        flag=FLAG,
        labels=Labels.of("labels", labels),
        label_cutoff=cutoff,
    )
    return found.outputs[0].unit_positives


def burst(unit: str | None, requests: int, caught: tuple[int, int], hour: int = 0) -> pd.DataFrame:
    """Return positives of a unit of which the sides alarm the first so many."""
    number = np.arange(requests)
    sides = {side: np.where(number < n, 0.9, 0.1) for side, n in zip(SIDES, caught, strict=True)}
    return pd.DataFrame({"unit": unit, "hour": hour, **sides, "label": True})


def table(found: pd.DataFrame) -> list[tuple[int, ...]]:
    return [tuple(map(int, row)) for row in found.to_numpy().tolist()]


def test_a_burst_is_one_share_and_a_pair_without_a_unit_is_its_request(tmp_path: Path) -> None:
    rows = [burst("ada", 20, (20, 0)), burst("bob", 4, (1, 2)), burst(None, 1, (1, 1))]
    negative = burst("cy", 3, (3, 3)).assign(label=False)
    unknown = burst("cy", 3, (3, 3)).assign(label=None)
    found = counted(tmp_path, pd.concat([*rows, negative, unknown], ignore_index=True))
    assert found is not None
    assert table(found.once) == [(1, 1, 1, 1, 1), (1, 4, 1, 2, 1), (1, 20, 20, 0, 1)]
    recall = unit_recall(found)
    assert recall.once == (UnitShare(-1.0, 1), UnitShare(0.0, 1), UnitShare(0.25, 1))
    assert recall.mean_burst_size == pytest.approx((20**2 + 4**2 + 1) / 25)


def test_young_positives_are_kept_apart(tmp_path: Path) -> None:
    rows = pd.concat([burst("ada", 2, (2, 2)), burst("bob", 3, (3, 0), hour=30)], ignore_index=True)
    found = counted(tmp_path, rows, young=24)
    assert found is not None
    assert table(found.blocks) == [(0, 3, 3, 0, 1), (1, 2, 2, 2, 1)]
    assert unit_recall(found).shares == (UnitShare(0.0, 1),)
    assert mean_burst_size(found.blocks) == pytest.approx((9 + 4) / 5)


def test_where_no_pair_names_a_unit_each_minute_counts_once(tmp_path: Path) -> None:
    rows = [burst(None, 20, (20, 0)), burst(None, 4, (1, 2), hour=1)]
    found = counted(tmp_path, pd.concat(rows, ignore_index=True))
    assert found is not None
    assert table(found.blocks) == table(found.once) == [(1, 4, 1, 2, 1), (1, 20, 20, 0, 1)]
    shown = unit_recall(found)
    assert (shown.shares, shown.has_units) == ((UnitShare(-1.0, 1), UnitShare(0.25, 1)), False)
    assert shown.independent == 1.0  # positives of a minute are not known to be alike


def test_without_labels_of_the_output_there_is_nothing(tmp_path: Path) -> None:
    found = counted(tmp_path / "b", burst("ada", 5, (3, 3)).assign(label=None))
    assert found is not None
    assert found.blocks.empty
    assert unit_recall(found).mean_burst_size == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_blocks_and_their_design_effect_are_those_of_pandas(tmp_path: Path, seed: int) -> None:
    """Few units send all day long, so that a unit counts once per block."""
    random = np.random.default_rng(seed)
    size = 600
    rows = pd.DataFrame(
        {
            "unit": [f"u{each}" for each in random.integers(6, size=size)],
            "hour": np.sort(random.integers(0, 48, size)),
            "primary": random.random(size),
            "candidate": random.random(size),
            "label": random.random(size) < 0.3,
        }
    )
    found = counted(tmp_path, rows)
    assert found is not None
    positive = rows.loc[rows["label"]]
    fired = positive[SIDES] >= 0.5
    time = BEGIN + positive["hour"] * HOUR + positive.index * 1_000_000
    by = [positive["unit"], time // (4 * HOUR)]
    sums = fired.groupby(by).sum()
    sizes = fired.groupby(by).size()
    expected = pd.DataFrame({"old": True, "positives": sizes, **{s: sums[s] for s in SIDES}})
    counts = expected.value_counts().sort_index().rename("n").reset_index()
    assert table(found.blocks) == table(counts)
    gain = (sums["candidate"] - sums["primary"]) / sizes
    by_unit = gain.groupby(level=0)
    assert found.design_effect == pytest.approx(
        (by_unit.sum() ** 2).sum() / (gain**2).sum(), rel=1e-12
    )
