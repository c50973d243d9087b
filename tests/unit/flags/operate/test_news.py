"""What is told: each change once, short, and nothing that calls everybody in a chat."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from flags.gate import Check, Decision, Outcome, Verdict
from flags.gate.checks.operational import NAME
from flags.operate.news import Message, News
from flags.operate.next_action import Action, NextAction, StepVerdict
from tests.support.operation import HUMAN, OWN, PLAYBOOK, Scene

LINK = "https://fraud.example/migration"


def check(outcome: Outcome, *, rolls_back: bool = False, reason: str = "queue: 250") -> Check:
    figures = (None, None, None, None)
    return Check(
        NAME, None, None, outcome, *figures, 1, reason, rolls_back=rolls_back, subject="queue"
    )


class Teller:
    """Somebody who is told what is new, look by look."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.told: Mapping[str, str] = {}

    def look(
        self, action: Action, *reasons: str, alarm: Check | None = None, step: int = 0
    ) -> Message | None:
        self.scene.flag.now += timedelta(minutes=1)
        decision = Decision(action) if action in list(Decision) else Decision.HOLD
        verdict = Verdict(decision, (alarm,) if alarm else (), reasons)
        found = StepVerdict(PLAYBOOK.steps[step], verdict)
        news = News.of("f", self.scene.history, found, NextAction(action, reasons), LINK)
        message = news.message_after(self.told)
        self.told = {**self.told, **news.states}
        return message


def body(message: Message | None) -> list[str]:
    assert message is not None
    return message.body.splitlines()


def test_the_first_look_says_how_it_is_and_the_next_ones_nothing() -> None:
    teller = Teller()
    first = teller.look(Action.HOLD, "held for 1h of 7d")
    assert first is not None
    assert first.title == "f: HOLD, 0 %"
    assert body(first) == ["held for 1h of 7d", LINK]
    assert not first.urgent
    assert teller.look(Action.HOLD, "held for 2h of 7d") is None


def test_another_verdict_and_another_step_are_told_with_their_reasons() -> None:
    teller = Teller()
    teller.look(Action.HOLD, "held")
    rolled = teller.look(Action.ROLLBACK, "one", "two", "three")
    assert rolled is not None
    assert rolled.title == "f: ROLLBACK, 0 %"
    assert body(rolled) == ["one; two", LINK]
    assert body(teller.look(Action.HOLD, "held", step=1)) == ["held", LINK]


def test_each_change_of_the_flag_by_anybody_is_told_once_and_is_urgent() -> None:
    teller = Teller()
    teller.look(Action.HOLD, "held")
    teller.scene.flag.slide(HUMAN, 5)
    teller.scene.wait(timedelta(seconds=1))
    teller.scene.flag.slide(OWN, 10)
    told = teller.look(Action.HOLD, "held")
    assert told is not None
    assert told.urgent
    assert body(told) == [
        "ada: rollout 0 % to 5 %, now 5 %",
        "autopilot: rollout 5 % to 10 %, now 10 %",
        LINK,
    ]
    assert teller.look(Action.HOLD, "held") is None


def test_a_pause_is_told_once_for_each_change_that_led_to_it() -> None:
    teller = Teller()
    teller.look(Action.HOLD, "held")
    assert body(teller.look(Action.PAUSED, "ada: --resume 3", "the verdict is HOLD")) == [
        "ada: --resume 3; the verdict is HOLD",
        LINK,
    ]
    assert teller.look(Action.PAUSED, "ada: --resume 3", "the verdict is HOLD") is None
    assert teller.look(Action.PAUSED, "ada: --resume 4", "the verdict is HOLD") is not None


def test_an_alarm_is_told_when_it_fires_when_it_is_worse_and_when_it_is_quiet_again() -> None:
    teller = Teller()
    quiet, fires = check(Outcome.PASS, reason="queue: 9"), check(Outcome.FAIL)
    worse, unknown = check(Outcome.FAIL, rolls_back=True), check(Outcome.INCONCLUSIVE)
    assert body(teller.look(Action.HOLD, "held", alarm=quiet)) == ["held", LINK]
    assert body(teller.look(Action.HOLD, "held", alarm=fires)) == ["queue: 250", LINK]
    assert teller.look(Action.HOLD, "held", alarm=fires) is None
    assert body(teller.look(Action.HOLD, "held", alarm=worse)) == ["queue: 250", LINK]
    assert body(teller.look(Action.HOLD, "held", alarm=unknown)) == ["queue: 250", LINK]
    assert body(teller.look(Action.HOLD, "held", alarm=quiet)) == ["queue: 9 (quiet)", LINK]


def test_an_alarm_that_is_the_reason_of_the_verdict_is_said_once() -> None:
    teller = Teller()
    teller.look(Action.HOLD, "held")
    assert body(teller.look(Action.ROLLBACK, "queue: 250", alarm=check(Outcome.FAIL))) == [
        "queue: 250",
        LINK,
    ]


def test_a_failed_look_is_told_once_and_so_is_its_end() -> None:
    teller = Teller()
    teller.look(Action.HOLD, "held")
    failure = News.of_failure("f", "no Unleash answers at x: refused", LINK)
    message = failure.message_after(teller.told)
    assert message is not None
    assert (message.title, body(message)) == (
        "f: HOLD, the look failed",
        ["no Unleash answers at x: refused", LINK],
    )
    teller.told = {**teller.told, **failure.states}
    assert failure.message_after(teller.told) is None
    assert teller.look(Action.HOLD, "held") is not None


@pytest.mark.parametrize("hostile", ["<!channel>", "@everyone", "\x1b[31m", "x" * 10_000])
def test_what_came_with_a_request_calls_nobody_and_stays_short(hostile: str) -> None:
    message = Teller().look(Action.ROLLBACK, f"channel={hostile}: alarm rate")
    assert message is not None
    line = message.body.splitlines()[0]
    assert len(line) < 250
    assert not set("<>@\x1b") & set(line)
    assert message.body.endswith(LINK)
