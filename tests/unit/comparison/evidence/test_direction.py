"""Outputs whose scores below the threshold are alarms: their ranks are reversed."""

import numpy as np
import pytest

from comparison.evidence.build import evidence
from flags.gate.evidence import Output
from tests.support.answer_pairs import BEGIN, NOW, answer_pairs, table_of
from tests.support.counting import aggregate


def output_of(*, below: bool, thresholds: dict[str, float] | None = None) -> tuple[Output, ...]:
    rng = np.random.default_rng(6)
    scores = {side: rng.normal(0, 1, 2_000) for side in ("primary", "candidate")}
    sign = -1 if below else 1
    columns: dict[str, object] = {}
    for side, score in scores.items():
        columns[f"{side}_score.rating"] = sign * score
        columns[f"{side}_threshold.rating"] = sign * 1.5
        columns[f"{side}_decision.rating"] = score >= 1.5
    pairs = table_of(answer_pairs(columns))
    counted = aggregate(pairs, thresholds={"rating": thresholds} if thresholds else None)
    return evidence(counted, source="", since=BEGIN, until=NOW, rollout=0).outputs


def test_alarms_and_the_offered_threshold_are_those_of_the_mirrored_scores() -> None:
    [above], [below] = output_of(below=False), output_of(below=True)
    assert above.alarms == below.alarms
    assert above.calibration is not None
    assert below.calibration is not None
    assert below.calibration.alarms == above.calibration.alarms
    assert below.calibration.threshold == pytest.approx(-above.calibration.threshold)
    assert below.calibration.low == pytest.approx(-above.calibration.high)
    assert below.distribution is not None
    assert above.distribution is not None
    low, high = (
        each.quantiles["primary"]["0.5"] for each in (below.distribution, above.distribution)
    )
    assert low is not None
    assert high is not None
    assert low == pytest.approx(-high, abs=0.01)


def test_another_threshold_decides_in_the_same_direction() -> None:
    [above] = output_of(below=False, thresholds={"candidate": 1.0})
    [below] = output_of(below=True, thresholds={"candidate": -1.0})
    assert above.alarms == below.alarms
