"""What acts have in common: looks of the gate, the autopilot, the person, what must be so."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from load_tests.rehearsal.commands import Said, Verdict
from load_tests.rehearsal.downstream import LABELS, OUTCOMES
from load_tests.rehearsal.pilot import Pilot
from load_tests.rehearsal.stage import FLAG, Scenery

OUTPUT: Final = "fraud_probability"
MAX_WAIT: Final = 300.0
"""Seconds that a verdict may take beyond the hold: these machines are small."""
TOLD: Final = 60.0
"""Seconds within which a message must have arrived."""
REASONS: Final = 2
BOOKS: Final = ("--labels", LABELS, "--outcomes", OUTCOMES)


class PromiseBrokenError(AssertionError):
    """Something happened that should not, or did not happen that should."""


class Steps:
    """What an act is made of, in the scenery."""

    def __init__(self, scenery: Scenery) -> None:
        self.on = scenery
        self.tell = scenery.timeline.tell
        self._report = 0
        self._pilot: Pilot | None = None

    def end(self) -> None:
        """Stop what an act may have left running."""
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
        """Let the autopilot go on from a person's change, once it has seen it."""
        entry = re.search(r"--resume (\d+)", self.piloted("PAUSED"))
        self.expect(entry is not None, "the autopilot says from which entry to go on")
        assert entry is not None  # noqa: S101  # just seen
        self.fly(entry.group(1))

    def told(self, title: str, words: str) -> None:
        """Expect a message that has arrived."""
        assert self.on.watch is not None  # noqa: S101  # else nobody is told
        deadline = time.monotonic() + TOLD
        found: tuple[str, ...] = ()
        while not found and time.monotonic() < deadline:
            time.sleep(0.2)
            found = tuple(each for each in self.on.watch.told(title) if words in each)
        self.expect(bool(found), f"{title!r} with {words!r} is told: {self.on.watch.told('')}")
        self.tell("receiver", found[-1])

    def judged(self, name: str, wanted: Callable[[Verdict], bool]) -> Verdict:
        """Ask the gate again and again until it says what is wanted; write its report."""
        self._report += 1
        page = f"{self._report:02}-{name.replace(' ', '-')}.html"
        deadline, last = time.monotonic() + MAX_WAIT, ""
        while True:
            found = self.on.commands.gate(*BOOKS, "--html", page)
            if isinstance(found, Said):
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
        """Write the report of a step that has passed."""
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
        """Wait for a line of the autopilot's log, and return it."""
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
