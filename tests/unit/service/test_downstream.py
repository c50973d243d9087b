"""What an answer of the fraud detector leads to."""

from pathlib import Path

from comparison.outcomes import load_outcomes
from service.downstream import write_outcomes
from service.replay import Reply


def test_reviews_and_missed_fraud_follow_from_what_was_answered(tmp_path: Path) -> None:
    decisions = {"a": True, "b": False, "c": True, "d": False}
    replies = [Reply(name, 200, "primary", {"alarm": alarm}) for name, alarm in decisions.items()]
    replies.append(Reply("e", 503, None, "away"))
    fraud = {"a": True, "b": True, "c": False, "d": False, "e": True}
    write_outcomes(tmp_path / "outcomes.csv", replies, fraud)
    found = load_outcomes(tmp_path / "outcomes.csv").frame
    assert found[["request_id", "metric", "value"]].to_numpy().tolist() == [
        ["a", "review", 1.0],
        ["b", "missed_fraud", 1.0],
        ["c", "review", 1.0],
    ]
