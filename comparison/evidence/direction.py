"""Outputs whose low scores are alarms: their scores are negated where the order matters."""

import math
from dataclasses import replace

from comparison.counts.tables import OutputAggregates
from flags.gate.evidence import Calibration


def alarms_below(output: OutputAggregates) -> bool:
    """Return whether the primary has alarms, all of them at scores below its thresholds."""
    thresholds, scores = output.thresholds.get("primary", ()), output.scores
    if not thresholds:
        return False
    alarms = scores.loc[(scores["side"] == "primary") & scores["primary_alarm"].fillna(False)]
    return len(alarms) > 0 and bool(alarms["high"].max() < min(thresholds))


def negated(output: OutputAggregates) -> OutputAggregates:
    """Return an output with negated scores: high scores are then the alarms."""
    scores = output.scores.assign(
        score=-output.scores["score"], low=-output.scores["high"], high=-output.scores["low"]
    )
    sides = {name: -output.joint[name] for name in ("primary_score", "candidate_score")}
    return replace(output, scores=scores, joint=output.joint.assign(**sides))


def negated_calibration(offer: Calibration | None) -> Calibration | None:
    """Convert thresholds of negated scores (alarm: score >= t) to original ones (score < t)."""
    if offer is None:
        return None
    low, threshold, high = (
        math.nextafter(-each, math.inf) for each in (offer.high, offer.threshold, offer.low)
    )
    return replace(offer, threshold=threshold, low=low, high=high)
