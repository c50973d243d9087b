"""Card transactions week after week: a shadow, an offered threshold, late labels, a canary."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from comparison.engines.tables import TablePairs, nanoseconds
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from comparison.labels import Labels
from flags.gate.evidence import Evidence, Output
from flags.gate.verdict import Decision, Outcome, Verdict
from flags.playbook.model import Playbook
from service.training import Days, Trained, feature_rows, read, train
from tests.support.card_pairs import FLAG, Scores, card_pairs, request_ids, times

SHADOW, FOLLOWING = Days(94, 107), Days(108, 121)
"""Days of the handbook's calendar: neither model was trained on one of them."""

DELAY = timedelta(days=7)
"""How late the fraud of a transaction is known."""

PLAYBOOK = Playbook.model_validate(
    {
        "flag": FLAG,
        "label_cut_off": "7d",
        # Pairs of a table come without the records of the workers.
        "gate": {"advance": {"unknown_loss": 1}},
    }
)


SINCE_THEN = timedelta(weeks=416)
"""By which they are dated later: no pair is as old as the handbook's transactions."""


def day(number: int) -> datetime:
    return datetime(2018, 4, 1, tzinfo=UTC) + SINCE_THEN + timedelta(days=number)


@dataclass(frozen=True)
class Weeks:
    """Hold two weeks, what both models make of them, and what is known of them so far."""

    days: Days
    transactions: pd.DataFrame
    scores: dict[str, Scores]

    @classmethod
    def of(cls, published: pd.DataFrame, trained: Trained, days: Days) -> "Weeks":
        transactions = days.of(published)
        rows = feature_rows(transactions)
        models = {"primary": trained.v1, "candidate": trained.v2}
        with threadpool_limits(limits=1):
            scores = {
                side: model.classifier.predict_proba(rows)[:, 1] for side, model in models.items()
            }
        later = transactions["TX_DATETIME"] + SINCE_THEN
        return cls(days, transactions.assign(TX_DATETIME=later), scores)

    @property
    def end(self) -> datetime:
        return day(self.days.last + 1)

    @property
    def fraud(self) -> npt.NDArray[np.bool_]:
        return self.transactions["TX_FRAUD"].to_numpy(bool)

    def known(self, now: datetime) -> npt.NDArray[np.bool_]:
        """Say of which transactions the label has come by then."""
        return times(self.transactions) < nanoseconds(now - DELAY)

    def labels(self, chosen: npt.NDArray[np.bool_]) -> Labels:
        """Return the labels of some, which came with their delay."""
        frame = pd.DataFrame(
            {
                "request_id": request_ids(self.transactions),
                "label": self.fraud,
                "labelled_at": times(self.transactions) + int(DELAY.total_seconds() * 1e9),
            }
        )
        return Labels.of("labels", frame.loc[chosen].reset_index(drop=True))

    def judged(
        self,
        thresholds: dict[str, float],
        now: datetime,
        labels: Labels,
        *,
        rollout: float = 0.0,
        active: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[Evidence, Verdict]:
        table = card_pairs(
            self.transactions,
            self.scores,
            thresholds,
            rollout=rollout,
            active=active,
            units=True,
        )
        evidence, judgement = judge(
            FlagPairs(FLAG, TablePairs(ibis.memtable(table), "transactions")),
            PLAYBOOK,
            now=now,
            window=TimeWindow(),
            additions=Additions(labels),
        )
        return evidence, judgement.verdict


@pytest.fixture(scope="module")
def published(transactions_path: Path) -> pd.DataFrame:
    return read(transactions_path)


@pytest.fixture(scope="module")
def trained(published: pd.DataFrame) -> Trained:
    return train(published)


@pytest.fixture(scope="module")
def shadow(published: pd.DataFrame, trained: Trained) -> tuple[Evidence, Verdict]:
    """Return what two weeks of shadow show of v2 at v1's threshold."""
    weeks = Weeks.of(published, trained, SHADOW)
    thresholds = dict.fromkeys(weeks.scores, trained.threshold)
    return weeks.judged(thresholds, weeks.end, weeks.labels(weeks.known(weeks.end)))


@pytest.fixture(scope="module")
def following(published: pd.DataFrame, trained: Trained) -> Weeks:
    return Weeks.of(published, trained, FOLLOWING)


@pytest.fixture(scope="module")
def offered(shadow: tuple[Evidence, Verdict], trained: Trained) -> dict[str, float]:
    """Return the thresholds with the candidate's that the shadow offers."""
    offer = only(shadow[0]).calibration
    assert offer is not None
    return {"primary": trained.threshold, "candidate": offer.threshold}


def only(found: Evidence) -> Output:
    [output] = found.outputs
    return output


def outcome_of(verdict: Verdict, name: str) -> Outcome:
    [check] = [each for each in verdict.checks if each.name == name and each.segment is None]
    return check.outcome


def test_two_weeks_of_shadow_hold_at_nearly_four_times_the_alarms(
    shadow: tuple[Evidence, Verdict],
) -> None:
    evidence, verdict = shadow
    alarms = only(evidence).alarms
    assert alarms is not None
    assert alarms.candidate.count / alarms.primary.count == pytest.approx(3.8, abs=0.1)
    assert verdict.decision is Decision.HOLD
    assert outcome_of(verdict, "alarm_ratio") is Outcome.FAIL
    assert any("alarm rate 3.8" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("days_later", [0, 3, 7])
def test_the_offered_threshold_keeps_the_volume_of_weeks_it_has_not_seen(
    following: Weeks, offered: dict[str, float], days_later: int
) -> None:
    """Labels count as they arrive: a week late, so that half of them are there at the end."""
    now = following.end + timedelta(days=days_later)
    known = following.known(now)
    evidence, verdict = following.judged(offered, now, following.labels(known))
    output = only(evidence)
    assert output.alarms is not None
    assert abs(output.alarms.candidate.count / output.alarms.primary.count - 1) < 0.05
    assert outcome_of(verdict, "alarm_ratio") is not Outcome.FAIL
    assert output.quality is not None
    assert output.quality.labelled == known.sum() > 60_000
    for side, found in (
        ("primary", output.quality.primary),
        ("candidate", output.quality.candidate),
    ):
        fired = following.scores[side] >= offered[side]
        assert found.recall.count == (fired & following.fraud & known).sum()
        assert found.recall.total == (following.fraud & known).sum()
    assert output.quality.candidate.recall.count > output.quality.primary.recall.count
    assert outcome_of(verdict, "recall_loss") is Outcome.PASS


def test_a_canary_with_labels_of_what_was_flagged_alone_holds_and_says_so(
    following: Weeks, offered: dict[str, float]
) -> None:
    """Reviewers look at what the side that answered has flagged, and at nothing else."""
    customers = following.transactions["CUSTOMER_ID"]
    active = (pd.util.hash_array(customers.to_numpy()) % 10 == 0).astype(bool)
    fired = {side: following.scores[side] >= offered[side] for side in following.scores}
    reviewed = np.where(active, fired["candidate"], fired["primary"])
    now = following.end + DELAY
    evidence, verdict = following.judged(
        offered, now, following.labels(reviewed), rollout=10.0, active=active
    )
    assert only(evidence).quality is not None
    assert verdict.decision is Decision.HOLD
    assert any("labels exist only for what was flagged" in each for each in verdict.reasons)
    assert outcome_of(verdict, "recall_loss") is not Outcome.PASS
    whole, fully = following.judged(
        offered, now, following.labels(np.ones(len(active), bool)), rollout=10.0, active=active
    )
    assert only(whole).alarms == only(evidence).alarms
    assert not any("only for what was flagged" in each for each in fully.reasons)
