"""Whatever people, clocks, verdicts, restarts and a second autopilot do, in any order.

Never more than one step up at a time; never up without ADVANCE or an override; always down at once;
no fight with a human.
"""

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from comparison.cli.gate import EXIT_CODES
from flags.operate.autopilot import Assessment
from flags.operate.next_action import Action
from flags.unleash.admin.errors import FlagChangedError, UnleashUnreachableError
from tests.support.operation import HOLD, HUMAN, OPERATOR, OWN, PEOPLE, PLAYBOOK, Operator, Scene


class Operation(RuleBasedStateMachine):
    """Two autopilots, commands, people, time, good and bad pairs, an Unleash that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.flag = self.scene.flag
        self.resumed = [0, 0]
        self.assessments: list[tuple[Assessment, str] | None] = [None, None]
        self.pilots = [self.scene.pilot(), self.scene.pilot()]
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        self.operator = Operator(self.scene, Path(self.folder.name), self.patch)

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()

    which = st.integers(0, 1)
    minutes = st.sampled_from([60, 0, 30])
    kinds = st.sampled_from(["good", "bad", "few", "none"])

    @rule(which=which, minutes=minutes, kind=kinds)
    def an_autopilot_assesses(self, which: int, minutes: int, kind: str) -> None:
        self.flag.now += timedelta(minutes=minutes)
        self.scene.pairs.kind = kind
        self.assessments[which] = self.pilots[which].assess(self.flag.now), kind

    @rule(which=which, minutes=minutes, kind=kinds)
    def an_autopilot_assesses_and_acts(self, which: int, minutes: int, kind: str) -> None:
        self.an_autopilot_assesses(which, minutes, kind)
        self.an_autopilot_acts(which)

    @rule(which=which)
    def an_autopilot_assesses_in_vain(self, which: int) -> None:
        self.flag.is_down = True
        with pytest.raises(UnleashUnreachableError):
            self.pilots[which].assess(self.flag.now)
        self.flag.is_down = False

    @rule(
        change=st.sampled_from(["slide", "on", "off", "payload", "tag"]),
        percent=st.sampled_from([0, 5, 7, 10, 50, 100]),
        acknowledged=st.booleans(),
    )
    def somebody_changes_the_flag(self, change: str, percent: int, acknowledged: bool) -> None:
        self.flag.now += timedelta(seconds=1)
        match change:
            case "slide":
                self.flag.slide(HUMAN, percent)
            case "payload":
                self.flag.pay(HUMAN, percent / 100)
            case "tag":
                self.flag.tag(HUMAN)
            case _:
                self.flag.switch(HUMAN, on=change == "on")
        if acknowledged:
            for which in (0, 1):
                self.an_autopilot_is_started_again(which, resume=True)

    @rule(percent=st.sampled_from([0, 5, 10, 100]), off=st.booleans())
    def somebody_is_quicker_at_the_next_change(self, percent: int, off: bool) -> None:
        def change() -> None:
            if off:
                self.flag.switch(HUMAN, on=False)
            else:
                self.flag.slide(HUMAN, percent)

        self.flag.meanwhile = change

    @rule(
        which=which,
        kind=kinds,
        change=st.sampled_from(["slide", "off", "payload"]),
        percent=st.sampled_from([0, 5, 10, 100]),
    )
    def an_autopilot_acts_on_what_is_no_longer_so(
        self, which: int, kind: str, change: str, percent: int
    ) -> None:
        self.an_autopilot_assesses(which, 60, kind)
        self.somebody_changes_the_flag(change, percent, acknowledged=False)
        self.an_autopilot_acts(which)

    @rule(kind=kinds, override=st.booleans())
    def an_operator_advances_what_is_no_longer_so(self, kind: str, override: bool) -> None:
        self.flag.now += HOLD
        self.scene.pairs.kind, self.flag.meanwhile = kind, None
        events = len(self.flag.events)
        self.operator.while_judging = lambda: self.flag.pay(HUMAN, events / 1_000_000)  # a new one
        code = self.operator.advance(*(["--override", "we know better"] if override else []))
        was_judged, self.operator.while_judging = self.operator.while_judging is None, None
        moved = self.has_moved(events, OPERATOR.name)
        assert not moved, "moved a flag that was no longer as it was judged"
        assert code != 0 or not was_judged or self.flag.rollout == 100

    @rule(minutes=minutes, kind=kinds, override=st.booleans(), acknowledged=st.booleans())
    def an_operator_advances(
        self, minutes: int, kind: str, override: bool, acknowledged: bool
    ) -> None:
        self.flag.now += timedelta(minutes=minutes)
        self.scene.pairs.kind = kind
        before, slider = self.flag.rollout, self.flag.strategy.rollout or 0
        was_on, run, events = self.flag.enabled, self.scene.history.current, len(self.flag.events)
        acts = len(self.operator.reasons)
        meanwhile = self.flag.meanwhile
        code = self.operator.advance(*(["--override", "we know better"] if override else []))
        overtaken = meanwhile is not None and self.flag.meanwhile is None
        reasons = self.operator.reasons[acts:]
        assert [why.startswith("override: we know better") for why in reasons] in ([], [override])
        assert bool(reasons) == self.has_moved(events, OPERATOR.name) or overtaken
        if overtaken:
            assert self.flag.rollout <= max(before, self.left_by_people())
        elif not self.has_moved(events, OPERATOR.name):
            assert (self.flag.enabled, self.flag.strategy.rollout) == (was_on, slider)
            assert code in ({2} if override else {0, 2, EXIT_CODES["HOLD"], EXIT_CODES["ROLLBACK"]})
        else:
            assert code == 0
            assert was_on
            self.assert_one_step_up(before)
            assert override or kind == "good"
            assert override or self.flag.now - run.since >= HOLD
        if acknowledged:
            for which in (0, 1):
                self.an_autopilot_is_started_again(which, resume=True)

    @rule()
    def an_operator_rolls_back(self) -> None:
        """Whatever the pairs, the playbook or somebody else's change say."""
        assert self.operator.rollback() == 0
        assert not self.flag.enabled

    @rule(which=which, resume=st.booleans())
    def an_autopilot_is_started_again(self, which: int, resume: bool) -> None:
        if resume:
            self.resumed[which] = self.last_change_by_people()
        self.pilots[which] = self.scene.pilot(self.resumed[which])
        self.assessments[which] = None

    @precondition(lambda self: any(self.assessments))
    @rule(which=which)
    def an_autopilot_acts(self, which: int) -> None:
        taken, self.assessments[which] = self.assessments[which], None
        if taken is None:
            return
        assessment, kind = taken
        meanwhile, slider = self.flag.meanwhile, self.flag.strategy.rollout
        before, events = self.flag.rollout, len(self.flag.events)
        history, others = self.scene.history, self.last_change_by_people()
        try:
            self.pilots[which].act(assessment)
        except FlagChangedError:  # the slider of a flag that is off counts once it is on again
            assert (self.flag.strategy.rollout or 0) <= max(slider or 0, self.left_by_people())
        own = [each for each in self.flag.events[events:] if each.by == OWN.name]
        if not own:
            return
        assert history.current == assessment.run, "moved a flag that was no longer as it was judged"
        self.assert_nobody_is_fought(others, which)
        is_overtaken = meanwhile is not None and self.flag.meanwhile is None
        if is_overtaken and (self.left_by_people() != slider or not self.flag.enabled):
            assert self.flag.rollout <= self.left_by_people()
            return
        if assessment.next.action is Action.ROLLBACK:
            assert (kind, self.flag.enabled) == ("bad", False)
        else:
            self.assert_one_step_with_evidence(assessment, kind, before)

    def assert_nobody_is_fought(self, others: int, which: int) -> None:
        assert others <= self.resumed[which]

    def assert_one_step_with_evidence(self, assessment: Assessment, kind: str, before: int) -> None:
        assert assessment.next.action is Action.ADVANCE
        assert kind == "good"
        self.assert_one_step_up(before)
        assert self.flag.now - assessment.run.since >= HOLD

    def assert_one_step_up(self, before: int) -> None:
        assert self.flag.enabled
        assert self.flag.rollout == min(
            step.rollout for step in PLAYBOOK.steps if step.rollout > before
        )

    def has_moved(self, events: int, name: str) -> bool:
        """Say whether somebody has changed what callers get since there were so many entries."""
        return any(each.by == name and each.affects_answers for each in self.flag.events[events:])

    def last_change_by_people(self) -> int:
        """Return the entry of the last change by anybody but the autopilots, from the log itself.

        What is moved while the flag is off changes nothing, nor does what somebody else changes in
        the same moment.
        """
        log = [each for each in self.flag.events if each.affects_answers]
        is_on, found = False, 0
        for event, following in zip(log, [*log[1:], None], strict=True):
            if event.enabled is not None:
                is_on = event.enabled
            elif not is_on or event.before == event.after:
                continue
            overtaken = following is not None and following.time == event.time
            if event.by != OWN.name and not overtaken:
                found = event.id
        return found

    def left_by_people(self) -> int:
        """Return the rollout that the last change by somebody left, 0 if it is off."""
        last = [each for each in self.flag.events if each.by in PEOPLE and each.affects_answers]
        return (last[-1].rollout_after or 0) if last else 0

    @invariant()
    def the_flag_is_switched_on_by_people_only(self) -> None:
        switched_on = [each for each in self.flag.events if each.enabled]
        assert all(each.by == HUMAN.name for each in switched_on[1:])  # and by no command

    @invariant()
    def bad_pairs_are_not_answered_for_long(self) -> None:
        """The next assessment of an autopilot that may act ends them, whatever happened before."""
        if self.scene.pairs.kind != "bad" or not self.flag.rollout:
            return
        assessment = self.pilots[0].assess(self.flag.now)
        if assessment.next.action is not Action.PAUSED:
            assert assessment.next.action is Action.ROLLBACK


Operation.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestOperation = Operation.TestCase
