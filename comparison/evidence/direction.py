"""Outputs of which a low score is an alarm, turned round where the order of scores counts."""

import math
from dataclasses import replace

from comparison.counts.tables import OutputAggregates
from flags.gate.evidence import Calibration


def alarms_below(output: OutputAggregates) -> bool:
    """Say whether scores below the primary's thresholds, and none above, are its alarms."""
    thresholds, scores = output.thresholds.get("primary", ()), output.scores
    if not thresholds:
        return False
    alarms = scores.loc[(scores["side"] == "primary") & scores["primary_alarm"].fillna(False)]
    return len(alarms) > 0 and bool(alarms["high"].max() < min(thresholds))


def turned(output: OutputAggregates) -> OutputAggregates:
    """Return an output with the signs of its scores changed: the largest is then the worst."""
    scores = output.scores.assign(
        score=-output.scores["score"], low=-output.scores["high"], high=-output.scores["low"]
    )
    sides = {name: -output.joint[name] for name in ("primary_score", "candidate_score")}
    return replace(output, scores=scores, joint=output.joint.assign(**sides))


def turned_back(offer: Calibration | None) -> Calibration | None:
    """Return an offer for turned scores, an alarm from there on, as one below which alarms are."""
    if offer is None:
        return None
    low, threshold, high = (
        math.nextafter(-each, math.inf) for each in (offer.high, offer.threshold, offer.low)
    )
    return replace(offer, threshold=threshold, low=low, high=high)
