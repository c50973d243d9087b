"""The autopilot, whatever people, clocks, verdicts and a second autopilot do around it."""

from datetime import datetime, timedelta
from functools import cache

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flags.admin import Author
from flags.admin.errors import FlagChangedError, PersonalTokenError, UnleashUnreachableError
from flags.autopilot import Autopilot, Look
from flags.evidence import Paired
from flags.gate import Decision, Verdict, decide
from flags.history import History, Run, read_history
from flags.next_act import Deed, Finding, foreign_change
from flags.playbook import Playbook, Step
from flags.stages import Stage
from flags.standing import Standing, plan_at, reached, standings
from tests.evidence import FLAG, PAIRS, SINCE, evidence, output
from tests.flag_on_paper import FlagOnPaper

HUMAN = Author("ada", by_token=False)
OWN = Author("autopilot", by_token=True)
HOLD = timedelta(hours=1)
PLAYBOOK = Playbook(
    flag=FLAG,
    steps=(
        Step(stage=Stage.SHADOW, rollout=0, hold=HOLD),
        Step(stage=Stage.CANARY, rollout=5, hold=HOLD),
        Step(stage=Stage.CANARY, rollout=10, hold=HOLD),
        Step(stage=Stage.RAMP, rollout=100, hold=HOLD),
        Step(stage=Stage.DEPRECATION, rollout=100, hold=HOLD),
    ),
)
TWICE_AS_MANY_ALARMS = Paired(1_900, 100, 2_100, PAIRS - 4_100)


class Pairs:
    """What the service has recorded: enough good pairs, bad ones, or too few to say."""

    def __init__(self) -> None:
        self.kind = "good"

    def __call__(self, plan: Playbook, run: Run, now: datetime) -> Finding:
        found = []

        def passes(standing: Standing) -> bool:
            held = min(now - standing.since, 2 * HOLD)
            found.append(Finding(standing.step, verdict(self.kind, standing.step, held)))
            return found[-1].verdict.decision is Decision.ADVANCE

        reached(standings(plan, run), now, passes)
        return found[-1]


@cache  # the gate is pure, and the machine asks it thousands of times
def verdict(kind: str, step: Step, held: timedelta) -> Verdict:
    alarms = output(TWICE_AS_MANY_ALARMS) if kind == "bad" else output()
    pairs = 100 if kind == "few" else PAIRS
    taken = evidence(alarms, rollout=step.rollout, held=held, pairs=pairs)
    return decide(taken, plan_at(PLAYBOOK, step.rollout), step)


class Scene:
    """A flag on paper, its pairs, and autopilots that tell what they did."""

    def __init__(self, seeded_by: Author = OWN) -> None:
        self.flag = FlagOnPaper(FLAG, SINCE, seeded_by)
        self.pairs = Pairs()
        self.done: list[Look] = []

    def pilot(self, resumed: int = 0, author: Author = OWN) -> Autopilot:
        admin = self.flag.admin(author)
        return Autopilot(admin, PLAYBOOK, self.pairs, resumed=resumed, record=self.done.append)

    def turn(self, pilot: Autopilot) -> Deed:
        look = pilot.look(self.flag.now)
        pilot.do(look)
        return look.act.deed

    def wait(self, time: timedelta = HOLD) -> None:
        self.flag.now += time

    @property
    def history(self) -> History:
        return read_history(self.flag.admin(HUMAN), FLAG)[1]


def test_with_good_pairs_it_climbs_the_playbook_one_step_a_hold() -> None:
    scene = Scene()
    pilot = scene.pilot()
    seen = []
    for _ in range(12):
        seen.append(scene.flag.percentage)
        scene.turn(pilot)
        scene.wait(HOLD / 2)
    assert seen == [0, 0, 0, 5, 5, 10, 10, 100, 100, 100, 100, 100]
    assert [look.change for look in scene.done] == ["0 % -> 5 %", "5 % -> 10 %", "10 % -> 100 %"]
    assert all(look.finding.as_plain()["decision"] == "ADVANCE" for look in scene.done)


def test_the_deprecation_begins_when_the_hold_of_the_ramp_is_over() -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.flag.slide(OWN, 100)
    names = []
    for _ in range(4):
        names.append(pilot.look(scene.flag.now).finding.step.name)
        scene.wait(HOLD / 2)
    assert names == ["ramp, 100 %"] * 2 + ["ramp, 100 %", "deprecation, 100 %"]
    scene.wait(HOLD)
    assert "retired" in pilot.look(scene.flag.now).act.reasons[0]


def test_a_rollback_switches_the_flag_off_and_nothing_switches_it_on_again() -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.flag.slide(OWN, 10)
    scene.pairs.kind = "bad"
    assert scene.turn(pilot) is Deed.ROLLBACK
    assert not scene.flag.enabled
    scene.pairs.kind = "good"
    scene.wait(10 * HOLD)
    assert scene.turn(pilot) is Deed.HOLD
    assert not scene.flag.enabled
    assert scene.done[-1].change == "10 % -> off"


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_a_change_by_anybody_else_pauses_it_until_it_is_named(kind: str) -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.flag.slide(HUMAN, 5)
    scene.wait(2 * HOLD)
    scene.pairs.kind = kind
    look = pilot.look(scene.flag.now)
    number = scene.flag.events[-1].id
    assert look.act.deed is Deed.PAUSED
    assert f"ada changed the flag (rollout 0 % to 5 %, entry {number}" in look.act.reasons[0]
    assert f"--resume {number}" in look.act.reasons[0]
    pilot.do(look)
    assert scene.flag.percentage == 5
    assert scene.turn(scene.pilot(resumed=number - 1)) is Deed.PAUSED
    scene.turn(scene.pilot(resumed=number))
    assert scene.flag.percentage == (10 if kind == "good" else 0)


def test_another_token_is_somebody_else_and_a_tag_is_no_change() -> None:
    scene = Scene()
    scene.flag.tag(HUMAN)
    assert scene.turn(scene.pilot()) is Deed.HOLD
    assert scene.turn(scene.pilot(author=Author("terraform", by_token=True))) is Deed.PAUSED


def test_a_person_s_token_is_refused_since_its_doings_are_the_person_s() -> None:
    scene = Scene(HUMAN)
    with pytest.raises(PersonalTokenError, match="this token is ada's own"):
        scene.pilot(author=HUMAN).look(scene.flag.now)


def test_between_two_steps_the_limits_of_the_lower_one_hold() -> None:
    scene = Scene()
    scene.flag.slide(OWN, 7)
    scene.wait()
    look = scene.pilot().look(scene.flag.now)
    assert look.finding.step.name == "canary, 7 %"
    assert look.change == "7 % -> 10 %"
    assert plan_at(PLAYBOOK, 50).steps_at(50)[0].stage is Stage.CANARY
    assert plan_at(PLAYBOOK, 10) is PLAYBOOK


def test_what_cannot_be_judged_is_held_with_the_reason() -> None:
    scene = Scene()
    scene.flag.switch(OWN, on=False)
    off = scene.pilot().look(scene.flag.now)
    assert (off.act.deed, off.finding.missing) == (Deed.HOLD, "the flag is off")
    canary = PLAYBOOK.model_copy(update={"steps": PLAYBOOK.steps[1:]})
    scene.flag.switch(OWN, on=True)
    pilot = Autopilot(scene.flag.admin(OWN), canary, scene.pairs, record=scene.done.append)
    assert pilot.look(scene.flag.now).act.reasons == ("the playbook begins above 0 %",)


def test_of_two_that_want_the_same_step_the_second_leaves_it() -> None:
    scene = Scene()
    scene.wait()
    first, second = scene.pilot(), scene.pilot()
    looks = first.look(scene.flag.now), second.look(scene.flag.now)
    first.do(looks[0])
    changes = len(scene.flag.events)
    with pytest.raises(FlagChangedError, match="rollout 0 % to 5 % by autopilot"):
        second.do(looks[1])
    assert (scene.flag.percentage, len(scene.flag.events), len(scene.done)) == (5, changes, 1)


def test_a_flag_that_is_switched_off_while_it_is_raised_stays_where_it_was() -> None:
    scene = Scene()
    pilot = scene.pilot()
    scene.wait()
    look = pilot.look(scene.flag.now)
    scene.flag.meanwhile = lambda: scene.flag.switch(HUMAN, on=False)
    with pytest.raises(FlagChangedError, match="its slider was put back to 0 %"):
        pilot.do(look)
    assert (scene.flag.enabled, scene.flag.strategy.rollout) == (False, 0)
    assert scene.done == []


@pytest.mark.parametrize(
    ("user", "author"),
    [
        ({"username": "autopilot", "type": "admin"}, OWN),
        ({"id": 7, "username": "a", "email": "ada"}, HUMAN),
        ({"id": 7, "username": "ada"}, HUMAN),
    ],
)
def test_who_asks_is_read_as_the_event_log_names_them(
    user: dict[str, object], author: Author
) -> None:
    assert Author.parse({"user": user}) == author


class Operation(RuleBasedStateMachine):
    """Two autopilots, people, time, good and bad pairs, an Unleash that fails: in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.flag = self.scene.flag
        self.resumed = [0, 0]
        self.looks: list[tuple[Look, str] | None] = [None, None]
        self.pilots = [self.scene.pilot(), self.scene.pilot()]

    which = st.integers(0, 1)
    minutes = st.sampled_from([60, 0, 30])
    kinds = st.sampled_from(["good", "bad", "few"])

    @rule(which=which, minutes=minutes, kind=kinds)
    def an_autopilot_looks(self, which: int, minutes: int, kind: str) -> None:
        self.flag.now += timedelta(minutes=minutes)
        self.scene.pairs.kind = kind
        self.looks[which] = self.pilots[which].look(self.flag.now), kind

    @rule(which=which, minutes=minutes, kind=kinds)
    def an_autopilot_looks_and_acts(self, which: int, minutes: int, kind: str) -> None:
        self.an_autopilot_looks(which, minutes, kind)
        self.an_autopilot_acts(which)

    @rule(which=which)
    def an_autopilot_looks_in_vain(self, which: int) -> None:
        self.flag.is_down = True
        with pytest.raises(UnleashUnreachableError):
            self.pilots[which].look(self.flag.now)
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

    @rule(which=which, resume=st.booleans())
    def an_autopilot_is_started_again(self, which: int, resume: bool) -> None:
        if resume:
            change = foreign_change(self.scene.history, OWN)
            self.resumed[which] = (change.event or 0) if change else 0
        self.pilots[which] = self.scene.pilot(self.resumed[which])
        self.looks[which] = None

    @precondition(lambda self: any(self.looks))
    @rule(which=which)
    def an_autopilot_acts(self, which: int) -> None:
        taken, self.looks[which] = self.looks[which], None
        if taken is None:
            return
        look, kind = taken
        meanwhile, slider = self.flag.meanwhile, self.flag.strategy.rollout
        before, events = self.flag.percentage, len(self.flag.events)
        history = self.scene.history
        try:
            self.pilots[which].do(look)
        except FlagChangedError:
            assert self.flag.percentage <= max(before, self.left_by_people())
        own = [each for each in self.flag.events[events:] if each.by == OWN.name]
        if not own:
            return
        assert history.current == look.run, "moved a flag that was no longer as it was judged"
        self.assert_nobody_is_fought(history, which)
        is_overtaken = meanwhile is not None and self.flag.meanwhile is None
        if is_overtaken and (self.left_by_people() != slider or not self.flag.enabled):
            assert self.flag.percentage <= self.left_by_people()
            return
        if look.act.deed is Deed.ROLLBACK:
            assert (kind, self.flag.enabled) == ("bad", False)
        else:
            self.assert_one_step_with_evidence(look, kind, before)

    def assert_nobody_is_fought(self, history: History, which: int) -> None:
        change = foreign_change(history, OWN)
        assert change is None or (change.event or 0) <= self.resumed[which]

    def assert_one_step_with_evidence(self, look: Look, kind: str, before: int) -> None:
        assert look.act.deed is Deed.ADVANCE
        assert kind == "good"
        assert self.flag.enabled
        assert self.flag.percentage == min(
            step.rollout for step in PLAYBOOK.steps if step.rollout > before
        )
        assert self.flag.now - look.run.since >= HOLD

    def left_by_people(self) -> int:
        """Return the highest percentage that the last change by somebody left."""
        last = [each for each in self.flag.events if each.by == HUMAN.name]
        return (last[-1].rollout_after or 0) if last else 0

    @invariant()
    def the_flag_is_switched_on_by_people_only(self) -> None:
        switched_on = [each for each in self.flag.events if each.enabled]
        assert all(each.by == HUMAN.name for each in switched_on[1:])

    @invariant()
    def bad_pairs_are_not_answered_for_long(self) -> None:
        """What the next look of an autopilot that may act does, whatever has happened before."""
        if self.scene.pairs.kind != "bad" or not self.flag.percentage:
            return
        look = self.pilots[0].look(self.flag.now)
        if look.act.deed is not Deed.PAUSED:
            assert look.act.deed is Deed.ROLLBACK


Operation.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestOperation = Operation.TestCase
