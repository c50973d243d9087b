"""The beginning of the present rollout."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from comparison.judgement.runs import (
    SECOND,
    PairRun,
    latest_run,
    models_since,
    rollouts,
    slot_size,
    steps_taken,
)

BEGIN = datetime(2025, 11, 24, 6, tzinfo=UTC)


def minutes(*rows: tuple[int, float, int]) -> pd.DataFrame:
    """Create counts from (minute, rollout, pairs); the pairs are spread over the minute."""
    start = int(BEGIN.timestamp()) // 60
    return pd.DataFrame(
        {
            "slot": [start + minute for minute, _, _ in rows],
            "rollout": [rollout for _, rollout, _ in rows],
            "n": [n for *_, n in rows],
            "first": [(start + minute) * 60 * SECOND + 1_000_000_000 for minute, _, _ in rows],
            "last": [(start + minute) * 60 * SECOND + 59_000_000_000 for minute, _, _ in rows],
        }
    ).astype({"slot": "int64", "n": "int64", "rollout": "float64"})


def at(minute: int, second: int) -> datetime:
    return BEGIN + timedelta(minutes=minute, seconds=second)


def test_a_run_begins_with_the_first_pair_at_its_rollout() -> None:
    run = latest_run(minutes((0, 5, 100), (1, 5, 100), (2, 10, 100), (3, 10, 100)))
    assert run is not None
    assert (run.rollout, run.since, run.newest) == (10, at(2, 1), True)
    assert at(3, 59) < run.until <= at(3, 60)


def test_workers_that_follow_later_do_not_break_a_run() -> None:
    counts = minutes((0, 5, 100), (1, 5, 60), (1, 10, 40), (2, 5, 3), (2, 10, 97), (3, 10, 100))
    run = latest_run(counts)
    assert run is not None
    assert (run.rollout, run.since) == (10, at(1, 1))


def test_a_straggler_at_the_end_does_not_decide() -> None:
    run = latest_run(minutes((0, 10, 100), (1, 10, 100), (1, 5, 1)))
    assert run is not None
    assert (run.rollout, run.since) == (10, at(0, 1))


def test_only_the_latest_of_several_runs_counts() -> None:
    counts = minutes((0, 10, 50), (1, 0, 50), (5, 10, 50))
    run = latest_run(counts)
    assert run is not None
    assert run.since == at(5, 1)


def test_an_earlier_rollout_ends_where_another_follows() -> None:
    counts = minutes((0, 1, 50), (1, 5, 50), (2, 5, 50), (3, 10, 50))
    run = latest_run(counts, 5)
    assert run is not None
    assert (run.since, run.newest) == (at(1, 1), False)
    assert run.until < at(3, 0)


def test_a_lone_worker_that_lags_behind_does_not_decide_where_pairs_are_rare() -> None:
    rows = [(minute, 5 if minute % 4 == 3 else 10, 1) for minute in range(100, 400)]
    run = latest_run(minutes((0, 5, 50), *rows))
    assert run is not None
    assert (run.rollout, run.since, run.newest) == (10, at(100, 1), True)


def test_slots_are_a_second_to_a_minute_long() -> None:
    hour = 3_600 * SECOND
    assert [slot_size(span) for span in (0, hour, 700 * hour)] == [
        SECOND,
        36 * SECOND // 10,
        60 * SECOND,
    ]


def test_nights_without_pairs_do_not_end_a_run() -> None:
    run = latest_run(minutes((0, 10, 50), (600, 10, 50)))
    assert run is not None
    assert run.since == at(0, 1)


def test_pairs_that_name_no_rollout_are_passed_over() -> None:
    run = latest_run(minutes((0, 10, 50), (1, float("nan"), 500), (2, 10, 50)))
    assert run is not None
    assert run.since == at(0, 1)


@pytest.mark.parametrize("counts", [minutes(), minutes((0, float("nan"), 5))])
def test_without_a_rollout_there_is_no_run(counts: pd.DataFrame) -> None:
    assert latest_run(counts) is None
    assert latest_run(minutes((0, 5, 1)), 10) is None
    assert rollouts(counts) == []


def test_a_single_pair_is_a_run_that_covers_it() -> None:
    counts = minutes((0, 10, 1))
    counts["last"] = counts["first"]
    run = latest_run(counts)
    assert run == PairRun(10, at(0, 1), at(0, 1) + timedelta(microseconds=1), newest=True)


class TestVisits:
    """The number of steps of the flag; each return counts."""

    def test_one_rollout_is_one(self) -> None:
        assert steps_taken(minutes((0, 5, 100), (1, 5, 100))) == 1

    def test_each_further_run_is_one_more_and_a_return_too(self) -> None:
        assert (
            steps_taken(minutes((0, 0, 90), (1, 5, 90), (2, 10, 90), (3, 5, 90), (4, 5, 90))) == 4
        )

    def test_a_worker_that_follows_later_makes_none(self) -> None:
        assert steps_taken(minutes((0, 0, 90), (1, 0, 40), (1, 5, 60), (2, 0, 3), (2, 5, 97))) == 2

    def test_pairs_without_a_rollout_make_none(self) -> None:
        assert steps_taken(minutes((0, 5, 90), (1, float("nan"), 90), (2, 5, 90))) == 1

    def test_no_pair_is_one_step(self) -> None:
        assert steps_taken(minutes()) == 1


class TestModelsSince:
    """The time from which on both sides have had the models of most pairs."""

    @staticmethod
    def of(*rows: tuple[int, str | None, str | None, int]) -> datetime | None:
        counts = minutes(*((minute, 0, n) for minute, _, _, n in rows))
        primary, candidate = ([row[place] for row in rows] for place in (1, 2))
        models = {"primary_model": primary, "candidate_model": candidate}
        return models_since(counts.drop(columns="rollout").assign(**models))

    def test_the_first_pair_where_they_never_changed(self) -> None:
        assert self.of((0, "a:1", "b:1", 90), (1, "a:1", "b:1", 90)) == at(0, 1)

    @pytest.mark.parametrize("models", [("a:1", "b:2"), ("a:2", "b:1"), ("a:1", None)])
    def test_a_change_of_either_side_begins_anew(self, models: tuple[str, str | None]) -> None:
        assert self.of((0, "a:1", "b:1", 90), (5, *models, 90)) == at(5, 1)

    def test_a_worker_that_was_replaced_a_little_later_delays_it(self) -> None:
        found = self.of((0, "a:1", "b:1", 90), (1, "a:1", "b:1", 9), (1, "a:1", "b:2", 90))
        assert found == at(1, 59) + timedelta(microseconds=1)

    def test_models_that_go_on_beside_each_other_are_a_mixture(self) -> None:
        rows = [(minute, "a:1", f"b:{n}", 50 + n) for minute in range(9) for n in (1, 2)]
        assert self.of(*rows) is None

    def test_a_rolling_update_begins_anew_when_the_old_model_is_away_as_long_as_it_stayed(
        self,
    ) -> None:
        before = [(minute, "a:1", "b:1", 90) for minute in range(60)]
        both = [(minute, "a:1", f"b:{n}", 75 - 25 * n) for minute in range(60, 75) for n in (1, 2)]
        tail = [(75, "a:1", "b:2", 90), (85, "a:1", "b:1", 5), (85, "a:1", "b:2", 85)]
        after = [(minute, "a:1", "b:2", 90) for minute in range(86, 99)]
        assert self.of(*before, *both, *tail, *after[:5]) is None
        assert self.of(*before, *both, *tail, *after) == at(85, 59) + timedelta(microseconds=1)

    def test_an_old_worker_that_comes_back_now_and_then_is_a_mixture(self) -> None:
        new = [(minute, "a:1", "b:2", 90) for minute in range(300)]
        old = [(minute, "a:1", "b:1", 30) for minute in range(0, 300, 60)]
        assert self.of(*sorted(new + old, key=lambda row: row[0])) is None

    def test_few_requests_do_not_show_that_an_old_model_is_gone(self) -> None:
        """It answers one request in ten, so it may answer none of twelve by chance."""
        rows = [(10 * n, "a:1", "b:1" if n % 10 == 0 else "b:2", 1) for n in range(11)]
        later = [(10 * n, "a:1", "b:2", 1) for n in range(11, 23)]
        assert self.of(*rows, *later) is None

    def test_a_return_to_an_earlier_model_begins_anew(self) -> None:
        found = self.of((0, "a:1", "b:1", 90), (4, "a:1", "b:2", 90), (8, "a:1", "b:1", 90))
        assert found == at(8, 1)
