"""The steps that the acts consist of: gate, autopilot, person, messages and expectations."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from load_tests.rehearsal.commands import CommandResult, Verdict
from load_tests.rehearsal.downstream import LABELS, OUTCOMES
from load_tests.rehearsal.pilot import Pilot
from load_tests.rehearsal.stage import FLAG, Scenery

OUTPUT: Final = "fraud_probability"
MAX_WAIT: Final = 300.0
"""Seconds that a verdict may take beyond the hold, also on a small machine."""
MESSAGE_WITHIN: Final = 60.0
"""Seconds within which a message must arrive."""
REASONS: Final = 2
BOOKS: Final = ("--labels", LABELS, "--outcomes", OUTCOMES)


class PromiseBrokenError(AssertionError):
    """An expectation of an act was not met."""


class Steps:
    """The steps of acts in a scenery."""

    def __init__(self, scenery: Scenery) -> None:
        self.on = scenery
        self.tell = scenery.timeline.tell
        self._report = 0
        self._pilot: Pilot | None = None

    def end(self) -> None:
        """Stop the autopilot, if an act has left it running."""
        if self._pilot is not None:
            self._pilot.__exit__(None, None, None)
            self._pilot = None

    def fly(self, entry: str) -> None:
        """Start the autopilot from an entry of the flag's event log."""
        self.end()
        self._pilot = Pilot(
            self.on.commands,
            self.on.folder / "autopilot.log",
            self.on.timeline,
            *("--resume", entry, "--interval", "2s", *BOOKS),
        ).__enter__()

    def give_threshold(self, threshold: float, why: str) -> None:
        payload = {"threshold": {OUTPUT: threshold}}
        self.on.person.give_payload(self.on.admin.state(FLAG), payload)
        self.tell("a person", f"gives the flag the payload {payload}, {why}")

    def resumed(self) -> None:
        """Restart the autopilot with --resume, after it has paused for a person's change."""
        entry = re.search(r"--resume (\d+)", self.piloted("PAUSED"))
        self.expect(entry is not None, "the autopilot says from which entry to go on")
        assert entry is not None  # noqa: S101  # just seen
        self.fly(entry.group(1))

    def expect_message(self, title: str, words: str) -> None:
        """Wait for a message with this title that contains `words`."""
        assert self.on.watch is not None  # noqa: S101  # else there is no receiver
        deadline = time.monotonic() + MESSAGE_WITHIN
        found: tuple[str, ...] = ()
        while not found and time.monotonic() < deadline:
            time.sleep(0.2)
            found = tuple(each for each in self.on.watch.messages(title) if words in each)
        got = self.on.watch.messages("")
        self.expect(bool(found), f"a message {title!r} with {words!r} arrives: {got}")
        self.tell("receiver", found[-1])

    def judged(self, name: str, wanted: Callable[[Verdict], bool]) -> Verdict:
        """Run the gate until its verdict is `wanted`; write its report."""
        self._report += 1
        page = f"{self._report:02}-{name.replace(' ', '-')}.html"
        deadline, last = time.monotonic() + MAX_WAIT, ""
        while True:
            found = self.on.commands.gate(*BOOKS, "--html", page)
            if isinstance(found, CommandResult):
                said = found.last
            else:
                reasons = "; ".join(found.reasons[:REASONS])
                more = len(found.reasons) - REASONS
                more_words = f"; and {more} more" if more > 0 else ""
                said = f"{found.decision}  {found.step}: {reasons}{more_words}"
                if wanted(found):
                    self.tell("gate", said)
                    self.tell("report", page)
                    return found
            if said.partition(":")[0] != last:
                self.tell("gate", said)
                last = said.partition(":")[0]
            self.expect(time.monotonic() < deadline, f"no verdict in time; the last is {said}")
            time.sleep(1)

    def written(self, name: str, step: str, *window: str) -> None:
        """Write the report of a finished step, and expect ADVANCE."""
        deadline = time.monotonic() + MAX_WAIT
        found = self.report_of(name, step, *window)
        # On a busy machine the newest pairs are still being written while the gate reads.
        while found.decision != "ADVANCE" and time.monotonic() < deadline:
            self._report -= 1
            found = self.report_of(name, step, *window)
        self.expect(
            found.decision == "ADVANCE", f"the report of {step} says ADVANCE: {found.reasons}"
        )

    def report_of(self, name: str, step: str, *window: str) -> Verdict:
        """Write the report of a step, and return its verdict."""
        self._report += 1
        page = f"{self._report:02}-{name.replace(' ', '-')}.html"
        found = self.on.commands.gate("--step", step, *BOOKS, "--html", page, *window)
        self.expect(isinstance(found, Verdict), f"the gate judges {step}: {found}")
        assert isinstance(found, Verdict)  # noqa: S101  # just seen
        self.tell("report", f"{page}: {found.decision}")
        return found

    def piloted(self, words: str) -> str:
        """Wait for a line of the autopilot's log that contains `words`, and return it."""
        assert self._pilot is not None  # noqa: S101  # an act before has started it
        found = self._pilot.until(words, within=MAX_WAIT)
        self.expect(found is not None, f"the autopilot comes to {words!r}")
        return found or ""

    def at(self, rollout: int) -> None:
        setting = self.on.history.current.setting
        self.expect(setting.rollout == rollout, f"the flag is at {rollout} %: {setting}")

    def since(self) -> datetime:
        since = self.on.history.current.since
        self.expect(since is not None, "the event log tells since when the flag is so")
        assert since is not None  # noqa: S101  # just seen
        return since

    def expect(self, true: bool, promise: str) -> None:
        if not true:
            raise PromiseBrokenError(f"not so: {promise}")
