"""The runs of a flag, from its event log alone."""

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flags.operate.history import History
from flags.operate.setting import Setting
from flags.playbook.stages import Stage
from tests.support.unleash.event_log import BEGAN, FlagStory, rollout

stories = st.builds(
    lambda seed, changes: _told(FlagStory(Random(seed)), changes),
    st.integers(0, 2**32),
    st.integers(0, 25),
)


def _told(story: FlagStory, changes: int) -> FlagStory:
    for _ in range(changes):
        story.change()
    return story


def _runs(history: History) -> list[tuple[Setting, object]]:
    return [(run.setting, run.since) for run in history.runs]


def _was_archived(story: FlagStory) -> bool:
    return any(event.type == "feature-archived" for event in story.events)


@settings(deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_the_whole_log_in_any_order_tells_every_run(story: FlagStory, random: Random) -> None:
    events = list(story.events)
    random.shuffle(events)
    history = History.of(story.state(), events)
    if not story.archived:  # Unleash does not show the strategies of an archived flag
        assert _runs(history) == story.truth
        assert history.runs[0].since is not None
    assert history.current.setting == story.truth[-1][0]
    assert history.current.since == story.truth[-1][1]
    assert history.current.until is None
    for earlier, later in zip(history.runs, history.runs[1:], strict=False):
        assert earlier.until == later.since


@settings(deadline=None)
@given(stories, st.data())
def test_of_a_log_that_has_lost_its_beginning_the_rest_is_right(
    story: FlagStory, data: st.DataObject
) -> None:
    kept = data.draw(st.integers(0, len(story.events)))
    while 0 < kept < len(story.events) and story.events[kept].time == story.events[kept - 1].time:
        kept -= 1  # what Unleash writes in one transaction is lost together
    history = History.of(story.state(), story.events[kept:])
    first, *rest = _runs(history)
    truth = story.truth[len(story.truth) - len(rest) :]
    if rest and first[0].enabled is None:  # what an archived flag was like is not told
        assert rest[0][1] >= truth[0][1]  # type: ignore[operator]
        assert rest[0][0] == truth[0][0]
        rest, truth = rest[1:], truth[1:]
    assert rest == truth
    assert history.current.setting == story.truth[-1][0]
    if history.runs[0].since is None and not _was_archived(story):
        assert first[0] == story.truth[len(story.truth) - len(rest) - 1][0]


@settings(deadline=None)
@given(stories, st.data())
def test_a_lost_entry_about_a_strategy_makes_no_run_longer(
    story: FlagStory, data: st.DataObject
) -> None:
    about = [event for event in story.events if event.type.startswith("feature-strategy-")]
    if not about:
        return
    lost = data.draw(st.sampled_from(about))
    history = History.of(story.state(), [each for each in story.events if each is not lost])
    began = story.truth[-1][1]
    assert history.current.since is None or history.current.since >= began


@settings(deadline=None)
@given(stories)
def test_the_present_run_is_known_unless_the_flag_is_not_what_the_log_leads_to(
    story: FlagStory,
) -> None:
    assert History.of(story.state(), story.events).current.since == story.truth[-1][1]
    unlogged = replace(story.state(), archived=False, enabled=True, strategies=(rollout(-1, 33),))
    current = History.of(unlogged, story.events).current
    assert (current.since, current.event) == (None, None)
    assert current.setting.rollout == 33


def test_a_setting_says_who_answers() -> None:
    assert str(Setting.of(False, [rollout(1, 5)])) == "off"
    assert Setting.of(False, [rollout(1, 5)]) == Setting.of(False, [])
    assert str(Setting.of(True, [rollout(1, 5)])) == "5 %"
    assert Setting.of(True, []).rollout == 100
    assert Setting.of(True, [rollout(1, 5), rollout(2, 50, disabled=True)]).rollout == 5
    assert str(Setting.of(True, [rollout(1, 5), rollout(2, 50)])) == "no single rollout"
    assert str(Setting.of(None, [])) == "unknown"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"id": "another"}, True),
        ({"stickiness": "userId"}, False),
        ({"group_id": "dealt-anew"}, False),
        ({"constraints": 1}, False),
        ({"payload": {"threshold": 0.93}}, False),
        ({"name": "userWithId"}, False),
    ],
)
def test_what_changes_who_is_counted_or_how_begins_a_new_run(
    other: dict[str, object], same: bool
) -> None:
    setting = Setting.of(True, [rollout(1, 5)])
    assert (Setting.of(True, [rollout(1, 5, **other)]) == setting) is same


def test_a_run_has_its_time_and_the_change_that_began_it() -> None:
    story = FlagStory(Random(0))
    for percent in (0, 5, 10, 5):
        story._now += timedelta(hours=1)
        if not story.strategies:
            story._put(rollout(1, percent))
            story._switch()
        else:
            story._update(rollout=percent, rollout_text=str(percent))
        story._settle()
    history = History.of(story.state(), story.events)
    assert [str(run.setting) for run in history.runs] == ["off", "0 %", "5 %", "10 %", "5 %"]
    assert [run.setting.stage for run in history.runs] == [
        *(Stage.OFF, Stage.SHADOW),
        *(Stage.CANARY,) * 3,
    ]
    before = history.runs[-2]
    assert before.since is not None
    assert before.until == before.since + timedelta(hours=1)
    assert (before.how, before.event) == ("rollout 5 % to 10 %", story.events[-2].id)
    assert history.current.since == before.until


def test_clocks_that_differ_leave_no_run_that_ends_before_it_began() -> None:
    story = _told(FlagStory(Random(3)), 12)
    early = replace(story.events[-1], time=BEGAN - timedelta(hours=1))
    for run in History.of(story.state(), [*story.events[:-1], early]).runs:
        assert run.since is None or run.until is None or run.since <= run.until
