"""From the handbook's production days through both models to evidence and verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from comparison.engines.tables import TablePairs
from comparison.evidence.build import evidence
from comparison.evidence.drift import References
from comparison.evidence.statistics import paired_ratio
from comparison.labels import Labels
from flags.gate import decide
from flags.gate.evidence import Evidence, Output
from flags.gate.verdict import Check, Decision, Outcome, Verdict
from flags.playbook.gate import Gate
from flags.playbook.model import Playbook
from flags.playbook.stages import Stage
from service.training import TRAINING, Trained, feature_rows, production, read, train
from tests.support.card_pairs import FLAG, OUTPUT, Scores, card_pairs, request_ids
from tests.support.counting import aggregate

SINCE = datetime(2018, 7, 18, tzinfo=UTC)
"""Day 108 of the handbook's calendar."""


@dataclass(frozen=True)
class Production:
    """Hold the production days, both models, and what the primary makes of them."""

    transactions: pd.DataFrame
    trained: Trained
    training: pd.DataFrame
    primary: Scores

    @property
    def fraud(self) -> np.ndarray:
        return self.transactions["TX_FRAUD"].to_numpy(bool)

    def scores(self, classifier: HistGradientBoostingClassifier) -> Scores:
        with threadpool_limits(limits=1):
            return classifier.predict_proba(feature_rows(self.transactions))[:, 1]

    def seen(self, candidate: Scores, threshold: float | None = None) -> Evidence:
        """Return the evidence of shadowing a candidate, at the primary's threshold or its own."""
        limits = {
            "primary": self.trained.threshold,
            "candidate": self.trained.threshold if threshold is None else threshold,
        }
        scores = {"primary": self.primary, "candidate": candidate}
        ids = request_ids(self.transactions)
        table = card_pairs(self.transactions, scores, limits)
        references = References("fraud-v2:1", self.trained.references)
        counted = aggregate(
            TablePairs(ibis.memtable(table), "transactions"),
            rollout=0.0,
            since=SINCE,
            until=SINCE + timedelta(days=14),
            labels=Labels.of("labels", pd.DataFrame({"request_id": ids, "label": self.fraud})),
            feature_edges=references.edges,
        )
        return evidence(
            counted,
            source="transactions",
            since=SINCE,
            until=SINCE + timedelta(days=14),
            rollout=0.0,
            references=references,
        )


@pytest.fixture(scope="module")
def days(transactions_path: Path) -> Production:
    published = read(transactions_path)
    trained, transactions = train(published), production(published)
    with threadpool_limits(limits=1):
        primary = trained.v1.classifier.predict_proba(feature_rows(transactions))[:, 1]
    return Production(transactions, trained, TRAINING.of(published), primary)


@pytest.fixture(scope="module")
def v2(days: Production) -> Scores:
    return days.scores(days.trained.v2.classifier)


@pytest.fixture(scope="module")
def flooded(days: Production, v2: Scores) -> Evidence:
    """Return the evidence of v2 at v1's threshold, as it was deployed."""
    return days.seen(v2)


@pytest.fixture(scope="module")
def calibrated(days: Production, v2: Scores, flooded: Evidence) -> Evidence:
    """Return the evidence of v2 at the threshold that the first evidence offers."""
    offer = only(flooded).calibration
    assert offer is not None
    return days.seen(v2, offer.payload(OUTPUT)["threshold"][OUTPUT])


def only(found: Evidence) -> Output:
    [output] = found.outputs
    return output


def judged(found: Evidence, gate: Gate | None = None) -> Verdict:
    playbook = Playbook(flag=FLAG, gate=gate or Gate())
    [shadow] = [step for step in playbook.steps if step.stage is Stage.SHADOW]
    return decide(found, playbook, shadow)


def named(verdict: Verdict, name: str) -> Check:
    [check] = [each for each in verdict.checks if each.name == name]
    return check


def ratio_of(output: Output) -> tuple[float, float, float]:
    assert output.alarms is not None
    alarms = output.alarms
    ratio = paired_ratio(alarms.both, alarms.candidate_only, alarms.primary_only)
    assert ratio.value is not None
    return ratio.low, ratio.value, ratio.high


def test_the_evidence_has_the_figures_of_the_scores(
    days: Production, v2: Scores, flooded: Evidence
) -> None:
    output = only(flooded)
    quality, alarms = output.quality, output.alarms
    assert quality is not None
    assert alarms is not None
    assert quality.labelled == output.paired == alarms.pairs == len(v2)
    assert quality.primary.average_precision == pytest.approx(0.656, abs=2e-3)
    assert quality.candidate.average_precision == pytest.approx(0.745, abs=5e-3)
    for side, scores in ((quality.primary, days.primary), (quality.candidate, v2)):
        expected = average_precision_score(days.fraud, scores)
        assert side.average_precision == pytest.approx(expected, abs=1e-3)
        fired = scores >= days.trained.threshold
        assert side.recall.count == (fired & days.fraud).sum()
        assert side.precision.total == fired.sum()
    low, ratio, high = ratio_of(output)
    assert ratio == pytest.approx(3.72, abs=0.1)
    assert 3.3 < low < high < 4.2
    difference = quality.average_precision_difference
    assert difference.low is not None
    assert 0.04 < difference.low < 0.09
    assert [each.value for each in output.segments] == ["0", "1"]
    assert sum(each.alarms.pairs for each in output.segments) == alarms.pairs
    new, lost = alarms.candidate_only, alarms.primary_only
    assert sum(each.is_new for each in output.flips) == min(new, 50) == 50
    assert sum(not each.is_new for each in output.flips) == min(lost, 50)
    [amount] = flooded.drift
    assert amount.psi is not None
    assert amount.psi < 0.01
    assert flooded.integrity.expected == flooded.integrity.found == len(v2)
    assert flooded.notes == ()


def test_v2_as_it_was_deployed_does_not_advance_for_its_alarms(flooded: Evidence) -> None:
    verdict = judged(flooded)
    assert verdict.decision is not Decision.ADVANCE
    assert named(verdict, "alarm_ratio").outcome is Outcome.FAIL
    assert any("3.7" in reason and "alarm" in reason for reason in verdict.reasons)


def test_at_the_offered_threshold_v2_fires_as_often_and_catches_more(
    v2: Scores, flooded: Evidence, calibrated: Evidence
) -> None:
    output = only(calibrated)
    low, _, high = ratio_of(output)
    assert low < 1 < high
    assert output.quality is not None
    assert output.quality.candidate.recall.count > output.quality.primary.recall.count
    offer = only(flooded).calibration
    assert offer is not None
    assert offer.alarms == output.alarms
    assert offer.recall == output.quality.candidate.recall
    assert offer.low < offer.threshold < offer.high
    [threshold] = output.thresholds["candidate"]
    assert output.alarms is not None
    assert output.alarms.candidate.count == (v2 >= threshold).sum()
    assert named(judged(calibrated), "alarm_ratio").outcome is not Outcome.FAIL


@pytest.fixture(scope="module")
def unweighted(days: Production) -> Evidence:
    """Return the evidence of v2', the same model trained without class weights."""
    with threadpool_limits(limits=1):
        model = HistGradientBoostingClassifier(random_state=0)
        model.fit(feature_rows(days.training), days.training["TX_FRAUD"].to_numpy(np.int64))
    return days.seen(days.scores(model))


@pytest.mark.parametrize(
    ("margins", "outcome"),
    [
        ({"advance": 1.02, "rollback": 1.04}, lambda one: one is Outcome.FAIL),
        ({"advance": 1.10, "rollback": 1.25}, lambda one: one is not Outcome.PASS),
        ({"advance": 1.60, "rollback": 2.00}, lambda one: one is Outcome.PASS),
    ],
    ids=["a narrow margin", "the usual margin", "a wide margin"],
)
def test_the_verdict_on_v2_without_weights_follows_the_margin(
    unweighted: Evidence, margins: dict[str, float], outcome: Callable[[Outcome], bool]
) -> None:
    _, ratio, _ = ratio_of(only(unweighted))
    assert ratio == pytest.approx(1.19, abs=0.08)
    gate = Gate.model_validate({side: {"alarm_ratio": limit} for side, limit in margins.items()})
    check = named(judged(unweighted, gate), "alarm_ratio")
    assert outcome(check.outcome), check
