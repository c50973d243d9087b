"""A step without its first pairs: the verdict says from when the hold time counts, and why."""

from datetime import timedelta

import numpy as np

from comparison.engines.tables import nanoseconds
from comparison.judgement.additions import Additions
from comparison.judgement.flag_pairs import FlagPairs
from comparison.judgement.judge import TimeWindow, judge
from flags.playbook.model import Playbook
from tests.support.drawn_pairs import BEGIN, FLAG, Phase, drawn_pairs, table_of

HOURS = 48


def hold_time(changed: timedelta) -> str:
    """Return the reason of the hold time if the candidate was replaced this long ago."""
    end = BEGIN + timedelta(hours=HOURS)
    frame = drawn_pairs(phases=(Phase(10, HOURS, 2_000),))
    new = frame["time"] >= nanoseconds(end - changed)
    frame = frame.assign(primary_model="v1", candidate_model=np.where(new, "v3", "v2"))
    pairs = FlagPairs(FLAG, table_of(frame))
    window, additions = TimeWindow(until=end), Additions()
    _evidence, judged = judge(
        pairs, Playbook(flag=FLAG), now=end, window=window, additions=additions
    )
    [check] = [each for each in judged.verdict.checks if each.name == "hold_time"]
    return check.reason


def test_a_model_that_was_replaced_is_named_where_the_step_seems_too_young() -> None:
    said = hold_time(timedelta(hours=12))
    assert said.startswith("held for 11h 5")
    assert "UTC: before, a side had another model or threshold" in said


def test_a_step_of_the_present_models_says_nothing_of_it() -> None:
    assert hold_time(timedelta(hours=HOURS + 1)).endswith("of 1d")
