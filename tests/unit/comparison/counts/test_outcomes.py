"""Counts of outcomes, held against plain loops over the same pairs."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from comparison.counts.drawn.outcome_cells import OutcomeCounts
from comparison.counts.drawn.outcomes import count_outcomes
from comparison.counts.drawn.pairs import DrawnPairs, rollout_runs
from comparison.engines.grouping import framed
from comparison.engines.tables import nanoseconds
from comparison.evidence.outcomes import outcome_cells, ratio_over_time
from comparison.outcomes import MetricRows
from flags.gate.blocks import EPOCH, POINTS
from flags.gate.sequences import FlipRatioSequence
from flags.playbook.outcomes import OutcomePlan
from tests.support.drawn_pairs import BEGIN, FLAG, PHASES, Phase, drawn_pairs, table_of

NOW = BEGIN + timedelta(hours=120)
HOUR = 3_600 * 10**9
Cell = tuple[int, float, float, float, int, int, int, int]


def rows(
    ids: list[str | None], units: list[str | None], values: list[float], times: list[int | None]
) -> MetricRows:
    frame = pd.DataFrame(
        {
            "request_id": pd.array(ids, "string"),
            "unit": pd.array(units, "string"),
            "value": values,
            "time": pd.array(times, "Int64"),
        }
    )
    return MetricRows(frame, 0)


def counted(pairs: pd.DataFrame, outcomes: MetricRows, plan: OutcomePlan) -> OutcomeCounts:
    drawn = DrawnPairs.of(table_of(pairs), FLAG, None, NOW)
    slots = pairs.assign(slot=pairs["time"] // HOUR).groupby(["slot", "rollout"], as_index=False)
    runs = rollout_runs(slots.agg(n=("time", "size"), first=("time", "min")))
    assert plan.cap_in_force is not None
    return count_outcomes(drawn, outcomes, plan, plan.cap_in_force, runs)


def requests(pairs: pd.DataFrame) -> pd.DataFrame:
    drawn = DrawnPairs.of(table_of(pairs), FLAG, None, NOW)
    columns = {"request_id": "string", "high": "int64", "flip": "Int64"}
    return framed(drawn.requests, columns).set_index("request_id").sort_index()


def cells(found: OutcomeCounts) -> Counter[Cell]:
    names = ["block", "rollout", "low", "high", "candidate", "flipped", "on_flips", "total"]
    return Counter({tuple(row[:-1]): row[-1] for row in found.cells[[*names, "n"]].to_numpy()})


def some_outcomes(pairs: pd.DataFrame, seed: int, *, by_unit: bool) -> MetricRows:
    """Draw outcomes for a third of the requests, from too early to too late."""
    rng = np.random.default_rng(seed)
    chosen = pairs.loc[rng.random(len(pairs)) < 0.3]
    times = chosen["time"] + (rng.uniform(-2, 20, len(chosen)) * HOUR).astype(np.int64)
    none = [None] * len(chosen)
    ids, units = chosen["request_id"].tolist(), chosen["unit"].tolist()
    return rows(
        none if by_unit else ids, units if by_unit else none, [1.0] * len(chosen), times.tolist()
    )


def places(known: list[tuple[float, int]]) -> tuple[float, float]:
    """Return the bounds of a place from (rollout, arm) of before."""
    low = max((rollout for rollout, arm in known if arm == 0), default=0.0)
    return low, min((rollout for rollout, arm in known if arm == 1), default=100.0)


def by_loops(
    pairs: pd.DataFrame, outcomes: MetricRows, plan: OutcomePlan, block: timedelta
) -> Counter[Cell]:
    cut_off, now = int(plan.cut_off.total_seconds() * 1e9), nanoseconds(NOW)
    changes = [
        (phase.rollout, pairs.loc[pairs["rollout"] == phase.rollout, "time"].min())
        for phase in PHASES
    ]
    ends = {
        rollout: following[1]
        for (rollout, _), following in zip(changes, [*changes[1:], ("", 2**62)], strict=True)
    }
    old = pairs.loc[pairs["time"] < now - cut_off]
    if plan.by == "unit":
        old = old.loc[old["time"] < old["rollout"].map(ends) - cut_off]
    events = outcomes.frame
    found: Counter[Cell] = Counter()
    for _user, mine in old.groupby("user"):
        known: list[tuple[float, int]] = []
        for rollout, here in mine.groupby("rollout", sort=False):
            arm = int(here["active"].iloc[0] == "candidate")
            flip = here["primary_decision.score"] != here["candidate_decision.score"]
            if plan.by == "unit":
                happened = events.loc[events["unit"] == here["unit"].iloc[0], "time"]
                first = here["time"].min()
                since = here.loc[flip, "time"].min() if flip.any() else first
                inside = (happened >= first - 60 * 10**9) & (happened < since + cut_off)
                total = int(inside.sum())
                on_flips = int((inside & (happened >= since - 60 * 10**9)).sum()) * int(flip.any())
            else:
                joined = here.assign(flip=flip).merge(events, on="request_id")
                late = joined["time_y"] - joined["time_x"]
                joined = joined.loc[(late >= -60 * 10**9) & (late < cut_off)]
                total, on_flips = len(joined), int(joined["flip"].sum())
            most = int(plan.cap_in_force or 0)
            low, high = places(known)
            first = pd.Timestamp(here["time"].min(), tz="UTC")
            key = (
                (first - EPOCH) // block,
                float(rollout),
                low,
                high,
                arm,
                int(flip.any()),
                min(on_flips, most),
                min(total, most),
            )
            found[key] += 1
            known.append((float(rollout), arm))
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["binary", "count"])
@pytest.mark.parametrize("by", ["request", "unit"])
def test_the_counts_are_those_of_a_loop_over_users_and_rollouts(
    seed: int, kind: str, by: str
) -> None:
    pairs = drawn_pairs(seed=seed)
    plan = OutcomePlan.model_validate({"kind": kind, "by": by, "cut_off": "12h"})
    outcomes = some_outcomes(pairs, seed, by_unit=by == "unit")
    found = counted(pairs, outcomes, plan)
    assert cells(found) == by_loops(pairs, outcomes, plan, found.block)
    assert 8 <= found.cells["block"].nunique() <= POINTS
    assert found.mixed == 0


def test_without_units_each_request_is_drawn_for_itself() -> None:
    pairs = drawn_pairs(users=None)
    outcomes = rows(["r0", "r1", "r1", "r399"], [None] * 4, [1.0] * 4, [None] * 4)
    plan = OutcomePlan.model_validate({"kind": "count", "cut_off": "0s"})
    found = counted(pairs, outcomes, plan)
    assert set(found.cells["low"]) == {0.0}
    assert int((found.cells["total"] * found.cells["n"]).sum()) == 4
    assert int(found.cells["n"].sum()) == len(pairs)


def test_a_unit_that_was_the_primarys_before_is_drawn_from_what_is_left() -> None:
    """Of those that 10 % left to the primary, 50 % gives four in nine to the candidate."""
    pairs = drawn_pairs(phases=(Phase(10, 24, 300), Phase(50, 24, 300)), users=15)
    plan = OutcomePlan.model_validate({"cut_off": "0s"})
    found = counted(pairs, rows(["r0"], [None], [1.0], [None]), plan)
    shares = sorted({cell.share for cell in outcome_cells(found)})
    assert shares == pytest.approx([0.1, 40 / 90])


def test_the_ratio_over_time_ends_where_the_gate_is_and_never_saw_more_than_before() -> None:
    pairs = drawn_pairs(users=None)
    outcomes = some_outcomes(pairs, 1, by_unit=False)
    found = counted(pairs, outcomes, OutcomePlan.model_validate({"cut_off": "12h"}))
    cells, over_time = outcome_cells(found), ratio_over_time(found)
    sequence = FlipRatioSequence(cells)
    last = over_time[-1]
    assert (last.ratio.low, last.ratio.high) == sequence.interval(0.05)
    assert (last.ratio.value, last.events) == (
        sequence.value,
        sum(cell.units for cell in cells if cell.total),
    )
    assert [each.events for each in over_time] == sorted(each.events for each in over_time)
    assert BEGIN <= over_time[0].start < last.start < NOW - timedelta(hours=12)


def test_a_retry_counts_once_and_an_outcome_without_a_pair_is_counted_as_such() -> None:
    pairs = drawn_pairs(users=None)
    again = pd.concat([pairs, pairs.tail(3).assign(span_id=["a", "b", "c"])], ignore_index=True)
    outcomes = rows(["r399", "nobody"], [None, None], [1.0, 1.0], [None, None])
    found = counted(again, outcomes, OutcomePlan.model_validate({"cut_off": "0s"}))
    assert int(found.cells["n"].sum()) == len(pairs)
    assert (found.used, found.without_pair) == (1, 1)


def test_a_unit_that_saw_both_sides_at_one_rollout_is_mixed_and_left_out() -> None:
    pairs = drawn_pairs(phases=(Phase(50, 24, 200),), users=20)
    of_one = pairs["user"] == 3
    pairs.loc[of_one, "active"] = ["primary", *["candidate"] * (int(of_one.sum()) - 1)]
    found = counted(pairs, rows(["r0"], [None], [1.0], [None]), OutcomePlan(cut_off=timedelta(0)))
    assert (found.mixed, found.units) == (1, 20)
    assert int(found.cells["n"].sum()) == 19


def test_a_fallback_stays_in_its_arm_and_is_not_a_flip() -> None:
    pairs = drawn_pairs(users=None, phases=(Phase(50, 24, 100),), flips=1.0)
    pairs.loc[0, ["active", "candidate_status"]] = ["candidate", "timeout"]
    pairs.loc[1, ["active", "primary_status"]] = ["primary", "error"]
    pairs.loc[2, "candidate_status"] = "shed"
    found = requests(pairs)
    assert found.loc[["r0", "r1"], ["high", "flip"]].to_numpy().tolist() == [[1, 0], [0, 1]]
    assert pd.isna(found.loc["r2", "flip"])


def test_where_nothing_decides_the_scores_say_whether_the_answers_differ() -> None:
    pairs = drawn_pairs(users=None, phases=(Phase(50, 24, 4),))
    scores = pairs.drop(columns=["primary_decision.score", "candidate_decision.score"])
    scores["primary_score.score"] = [0.1, 0.2, 0.3, np.nan]
    scores["candidate_score.score"] = [0.1, 0.3, 0.3, 0.4]
    flips = requests(scores)["flip"].tolist()
    assert flips[:3] == [0, 1, 0]
    assert pd.isna(flips[3])


def test_an_outcome_of_a_request_after_the_window_is_not_one_of_nobody() -> None:
    pairs = drawn_pairs(users=None)
    pairs.loc[pairs["request_id"] == "r399", "time"] = nanoseconds(NOW) + HOUR
    outcomes = rows(["r399", "nobody"], [None, None], [1.0, 1.0], [None, None])
    found = counted(pairs, outcomes, OutcomePlan.model_validate({"cut_off": "0s"}))
    assert (found.used, found.without_pair) == (0, 1)
