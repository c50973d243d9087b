"""Counts of the last minutes, kept by each worker and added up for the page."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.monitoring.recent_counts import SLOT, SLOTS, RecentPairs, read_recent
from flags.monitoring.recent_minutes import Minutes
from flags.pairing.assignment import Side
from flags.pairing.observation import Observation, Pair, Status
from tests.support.fakes import FakeClock
from tests.support.worker_states import NOON
from tests.unit.flags.monitoring.test_metrics import PAIR

OK = Observation(Status.OK, decisions={"score": True}, model="v1:a")
QUIET = replace(OK, decisions={"score": False}, model="v2:b")
BROKEN = Observation(Status.ERROR, error="ValueError", model="v2:b")


def pair(primary: Observation, candidate: Observation, served: Side | None, **others: bool) -> Pair:
    return replace(PAIR, primary=primary, candidate=candidate, served=served, **others)  # type: ignore[arg-type]


@pytest.fixture
def recent(tmp_path: Path, clock: FakeClock) -> RecentPairs:
    return RecentPairs(tmp_path / "folder" / "w.recent", clock)


def minutes(recent: RecentPairs, clock: FakeClock) -> Minutes:
    return Minutes.of([recent._recent], clock.now)


def test_pairs_are_counted_by_side_and_slot(recent: RecentPairs, clock: FakeClock) -> None:
    recent.count(pair(OK, QUIET, Side.PRIMARY))
    clock.advance(SLOT)
    recent.count(pair(OK, QUIET, Side.CANDIDATE))
    recent.count(pair(OK, BROKEN, Side.PRIMARY, fallback=True))
    recent.count(pair(OK, Observation(Status.SHED), Side.PRIMARY))
    recent.count(pair(OK, Observation(Status.SKIPPED), None))
    recent.count(pair(replace(BROKEN, status=Status.TIMEOUT), QUIET, None))
    seen = minutes(recent, clock)
    assert (seen.primary[-2:], seen.candidate[-2:]) == ((1, 2), (0, 1))
    assert sum(seen.primary) + sum(seen.candidate) == 4
    assert (seen.pairs, seen.fallbacks) == (6, 1)
    assert seen.failed == {"primary": 1, "candidate": 1}
    assert seen.shed == {"primary": 0, "candidate": 1}
    assert len(seen.primary) == len(seen.candidate) == SLOTS
    assert seen.models == {"primary": ("v2:b",), "candidate": ("v2:b",)}


def test_alarms_are_compared_on_the_same_pairs_only(recent: RecentPairs, clock: FakeClock) -> None:
    recent.count(pair(OK, QUIET, Side.PRIMARY))
    recent.count(pair(OK, OK, Side.PRIMARY))
    recent.count(pair(OK, BROKEN, Side.PRIMARY))
    recent.count(pair(BROKEN, OK, None))
    (counts,) = minutes(recent, clock).alarms.values()
    assert (counts.pairs, counts.primary, counts.candidate) == (2, 2, 1)


def test_alarms_begin_anew_when_the_flag_changes(recent: RecentPairs, clock: FakeClock) -> None:
    recent.flag_seen(NOON)
    recent.count(pair(OK, QUIET, Side.PRIMARY))
    recent.flag_seen(NOON)
    recent.count(pair(OK, QUIET, Side.PRIMARY))
    assert minutes(recent, clock).alarms["score"].pairs == 2
    recent.flag_seen(NOON + timedelta(seconds=1))
    recent.count(pair(OK, OK, Side.PRIMARY))
    seen = minutes(recent, clock)
    assert (seen.pairs, seen.alarms["score"].pairs) == (3, 1)


def test_answers_without_a_threshold_are_compared_too(
    recent: RecentPairs, clock: FakeClock
) -> None:
    """Of a text the normal form counts, of a number the sums; an alarm is not a number."""
    first = Observation(
        Status.OK,
        scores={"price": 2.0, "risk": 0.9},
        decisions={"risk": True},
        values={
            "species": {"class": "cat", "top": "|cat|dog|"},
            "items": {"ranking": "|1|2|", "groups": "||"},
            "answer": {"exact": "a", "normal": "n", "characters": 3},
            "unread": {"class": "cat"},
        },
    )
    other = replace(
        first,
        scores={"price": 3.0, "risk": 0.8},
        values={
            "species": {"class": "cat", "top": "|cat|fox|"},
            "items": {"ranking": "|2|1|", "groups": "||"},
            "answer": {"exact": "b", "normal": "n", "characters": 4},
        },
    )
    recent.count(pair(first, other, Side.PRIMARY))
    recent.count(pair(first, first, Side.PRIMARY))
    recent.count(pair(first, BROKEN, Side.PRIMARY))
    recent.count(pair(replace(first, scores={"price": math.nan}), first, Side.PRIMARY))
    seen = minutes(recent, clock)
    assert {name: (each.kind, each.pairs, each.same) for name, each in seen.compared.items()} == {
        "price": ("number", 2, 1),
        "species": ("class", 3, 3),
        "items": ("ranking", 3, 2),
        "answer": ("text", 3, 3),
        "unread": ("class", 2, 2),
    }
    assert (seen.compared["price"].primary, seen.compared["price"].candidate) == (4.0, 5.0)
    assert list(seen.alarms) == ["risk"]
    recent.publish()
    assert (written := read_recent(recent._path)) is not None
    assert Minutes.of([written], clock.now).compared == seen.compared


@given(
    st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=50),
    st.lists(st.floats(1e-5, 1e3), max_size=50),
)
def test_the_latency_of_all_workers_is_right_to_a_tenth(
    first: list[float], second: list[float]
) -> None:
    counted = []
    for durations in (first, second):
        recent = RecentPairs(Path("unused"), lambda: 0.0)
        for each in durations:
            answer = replace(OK, duration=each)
            recent.count(pair(answer, replace(BROKEN, duration=each), Side.PRIMARY))
        counted.append(recent._recent)
    latency = Minutes.of(counted, 0.0).latency
    assert (latency["candidate"].n, latency["candidate"].p50) == (0, None)
    every = first + second
    for found, share in ((latency["primary"].p50, 0.5), (latency["primary"].p95, 0.95)):
        wanted = np.quantile(every, share, method="inverted_cdf")
        assert found == pytest.approx(wanted, rel=0.1)


def test_what_is_older_than_ten_minutes_goes(recent: RecentPairs, clock: FakeClock) -> None:
    for _ in range(SLOTS + 5):
        recent.count(pair(OK, OK, Side.PRIMARY))
        clock.advance(SLOT)
    assert len(recent._recent.slots) == SLOTS
    assert minutes(recent, clock).pairs == SLOTS - 1  # the present slot has none yet
    clock.advance(SLOTS * SLOT)
    assert minutes(recent, clock).pairs == 0


def test_a_clock_that_is_set_back_costs_the_counts_of_before(
    recent: RecentPairs, clock: FakeClock
) -> None:
    recent.count(pair(OK, OK, Side.PRIMARY))
    clock.advance(-3600)
    recent.count(pair(OK, OK, Side.PRIMARY))
    assert minutes(recent, clock).pairs == 1
    assert len(recent._recent.slots) == 1


def test_what_is_published_is_read_by_another_process_and_taken_back_at_the_end(
    recent: RecentPairs, clock: FakeClock, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "w.recent"
    assert read_recent(path) is None
    recent.count(pair(OK, QUIET, Side.PRIMARY))
    recent.publish()
    found = read_recent(path)
    assert found == recent._recent
    assert found is not None
    assert Minutes.of([found, found], clock.now).pairs == 2
    recent.count(pair(OK, QUIET, Side.PRIMARY))
    recent.publish()  # too soon to write again
    assert read_recent(path) == found
    assert [each.name for each in path.parent.iterdir()] == ["w.recent"]
    recent.withdraw()
    recent.withdraw()
    assert read_recent(path) is None


def test_a_folder_that_cannot_be_written_is_logged_once_and_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    recent = RecentPairs(blocked / "w.recent")
    for _ in range(3):
        recent.count(pair(OK, QUIET, Side.PRIMARY))
        recent._written = float("-inf")
        recent.publish()
    assert len(caplog.records) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"slots": [{"begins": "soon"}]}'])
def test_a_file_that_is_none_of_ours_is_left_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "w.recent"
    path.write_text(text)
    assert read_recent(path) is None


def test_outputs_are_counted_apart(recent: RecentPairs, clock: FakeClock) -> None:
    decisions: Mapping[str, bool] = {"fraud": True, "abuse": False}
    recent.count(
        pair(replace(OK, decisions=decisions), replace(OK, decisions=decisions), Side.PRIMARY)
    )
    alarms = minutes(recent, clock).alarms
    assert {name: counts.primary for name, counts in alarms.items()} == {"fraud": 1, "abuse": 0}
