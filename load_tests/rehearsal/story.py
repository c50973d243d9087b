"""Play the migration act by act; each act is a promise that is kept or not."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from load_tests.rehearsal.commands import Said, Verdict
from load_tests.rehearsal.downstream import COMPLAINT, LABELS, OUTCOMES
from load_tests.rehearsal.pilot import Pilot
from load_tests.rehearsal.stage import FLAG, ROOT, Scenery
from load_tests.rehearsal.watch import FULL, OVERFLOWING, SHORT
from service.replay import replay
from service.serving import Serving

OUTPUT: Final = "fraud_probability"
MAX_WAIT: Final = 300.0
"""Seconds that a verdict may take beyond the hold: these machines are small."""
CALM: Final = 3.0
"""Seconds in which nothing but the primary must answer, once everybody has followed."""
TOLD: Final = 60.0
"""Seconds within which a message must have arrived."""
REASONS: Final = 2
BOOKS: Final = ("--labels", LABELS, "--outcomes", OUTCOMES)
FEWER: Final = 0.8
"""Times as many alarms of v2, by a threshold of which the shops complain."""
MENDED: Final = 0.97
"""The same of the mended v2."""
OTHERS: Final = ("alarm_ratio", "alarm_overlap", "completeness", "failure_rate")
"""Checks that find nothing to complain of."""
RAMP_HOLD: Final = timedelta(seconds=25)
"""Of the playbook's last ramp: at the end of it, the deprecation begins."""


def _has_failed(check: Mapping[str, Any]) -> bool:
    return check["outcome"] == "fail"


def _has_passed(check: Mapping[str, Any]) -> bool:
    return check["outcome"] == "pass"


class PromiseBrokenError(AssertionError):
    """Something happened that should not, or did not happen that should."""


class Story:
    """The acts in their order; `rollback` is how long the one rollback took, in seconds."""

    def __init__(self, scenery: Scenery) -> None:
        self._on = scenery
        self._tell = scenery.timeline.tell
        self.rollback: float | None = None
        self._report = 0
        self._pilot: Pilot | None = None
        self._offered = 0.0

    def acts(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        """Return what is played, each with its heading."""
        fired = ("ramp, 50 %: an alert fires", self._firing_alert_is_rolled_back)
        complained = ("ramp, 50 %: shops complain", self._complaints_are_rolled_back)
        return (
            ("shadow: v2 at v1's threshold", self._shadow_catches_the_alarms),
            ("shadow: v2 at a threshold of its own", self._shadow_passes_once_calibrated),
            ("canary, 1 %", lambda: self._step_by_command(1, 5)),
            ("canary, 5 %", lambda: self._step_by_command(5, 10)),
            ("canary, 10 %: v2 begins to fail", self._failing_candidate_is_rolled_back),
            ("canary, 10 %, again: v2 is mended", self._autopilot_takes_over),
            *([fired] if self._on.watch else []),
            complained,
            ("ramp, 50 %", lambda: self._step_by_autopilot(50, 100, "ramp")),
            ("ramp, 100 %", self._ramp_ends),
            ("deprecation, 100 %: v1 answers nobody", self._deprecation_ends),
            ("retired", self._candidate_serves_alone),
        )

    def end(self) -> None:
        """Stop what an act may have left running."""
        if self._pilot is not None:
            self._pilot.__exit__(None, None, None)
            self._pilot = None

    # --- the acts ---------------------------------------------------------------------------------

    def _shadow_catches_the_alarms(self) -> None:
        verdict = self._judged("shadow", lambda found: found.outcome("alarm_ratio") == "fail")
        self._expect(verdict.decision == "HOLD", f"the gate holds, not {verdict.decision}")
        refused = self._on.commands.run("advance", "pairs", "--playbook", "playbook.yaml")
        self._tell("advance", refused.line("not advanced"))
        self._expect(refused.exit_code == 10, "`advance` refuses with exit code 10")
        self._offered = verdict.offered

    def _shadow_passes_once_calibrated(self) -> None:
        self._give_threshold(self._offered, "which the report offers")
        self._step_by_command(0, 1)

    def _step_by_command(self, rollout: int, following: int) -> None:
        stage = "shadow" if rollout == 0 else f"canary {rollout}"
        self._judged(stage, lambda found: found.decision == "ADVANCE")
        moved = self._on.commands.run("advance", "pairs", "--playbook", "playbook.yaml")
        self._expect(moved.exit_code == 0, f"`advance` advances: {moved.output.strip()[-300:]}")
        self._tell("advance", f"{rollout} % -> {following} %")
        self._at(following)

    def _failing_candidate_is_rolled_back(self) -> None:
        self._on.fault.touch()
        self._tell("v2", "raises on three transactions of ten")
        verdict = self._judged("canary 10", lambda found: found.decision == "ROLLBACK")
        reason = verdict.reasons[0]
        said = self._on.commands.run(
            "rollback", reason, "--flag", FLAG, "--service", self._on.serving.url
        )
        followed = re.search(r"followed within ([\d.]+) s", said.output)
        self._tell("rollback", said.line(" is off in "))
        self._expect(
            said.exit_code == 0 and followed is not None,
            f"every worker follows: {said.output.strip()[-300:]}",
        )
        assert followed is not None  # noqa: S101  # just seen
        self.rollback = float(followed.group(1))
        self._tell("rollback", followed.string[followed.start() - 14 : followed.end()].strip())
        since = time.time()
        time.sleep(CALM)
        sides = self._on.sides(since)
        self._expect(set(sides) == {"primary"}, f"only the primary answers from then on: {sides}")

    def _autopilot_takes_over(self) -> None:
        self._on.fault.unlink()
        self._tell("v2", "is mended")
        # What it did before stays evidence, as long as neither a model nor a threshold is another.
        self._offered = self._on.traffic.rarer(self._offered, MENDED)
        self._give_threshold(self._offered, "so that it is another candidate")
        self._on.person.switch_on(self._on.admin.state(FLAG))
        self._tell("a person", "switches the flag on, at the 10 % where it was")
        words = (
            "autopilot",
            "pairs",
            "--playbook",
            "playbook.yaml",
            "--outcomes",
            OUTCOMES,
            "--once",
        )
        paused = self._on.commands.run(*words)
        entry = re.search(r"--resume (\d+)", paused.output)
        self._tell("autopilot", re.sub(r"^.*UTC  ", "", paused.line("PAUSED")))
        self._expect(entry is not None, f"the autopilot yields to a person: {paused.output}")
        assert entry is not None  # noqa: S101  # just seen
        self._fly(entry.group(1))
        self._step_by_autopilot(10, 50, "canary", meanwhile=self._queue_fills)

    def _fly(self, entry: str) -> None:
        """Start the autopilot from an entry of the flag's event log."""
        self.end()
        self._pilot = Pilot(
            self._on.commands,
            self._on.folder / "autopilot.log",
            self._on.timeline,
            *("--resume", entry, "--interval", "2s", "--outcomes", OUTCOMES),
        ).__enter__()

    def _queue_fills(self) -> None:
        """Fill the review queue at once, before the autopilot can go on."""
        if self._on.watch is not None:
            self._on.watch.fill_queue(FULL)
            self._tell("the queue", f"has {FULL:g} payments to review: Prometheus alerts")

    def _firing_alert_is_rolled_back(self) -> None:
        watch = self._on.watch
        assert watch is not None  # noqa: S101  # else it is not an act
        self._piloted("operational alarm pages: 1 ReviewQueueFull")
        self._expect(self._on.history.current.setting.rollout == 50, "a firing alert holds")
        watch.fill_queue(OVERFLOWING)
        self._tell("the queue", f"has {OVERFLOWING:g}")
        self._piloted("50 % -> off")
        self._expect(not self._on.history.current.setting.enabled, "the flag is off")
        self._told("HOLD, 50 %", "operational alarm")
        self._told("ROLLBACK, off", "operational alarm review_queue: 600, rollback limit")
        watch.fill_queue(SHORT)
        self._tell("the queue", "is short again")
        self._on.person.switch_on(self._on.admin.state(FLAG))
        self._tell("a person", "switches the flag on, at the 50 % where it was")
        self._resumed()

    def _complaints_are_rolled_back(self) -> None:
        """Play what only an outcome rolls back: alarms, overlap and failures pass."""
        higher = self._on.traffic.rarer(self._offered, FEWER)
        self._give_threshold(higher, f"with which v2 alarms {FEWER:g} times as often")
        self._resumed()
        self._on.downstream.shops_complain = True
        self._tell("the shops", "complain of payments that v1 would have stopped")
        said = self._piloted("50 % -> off")
        self._expect("complaint: " in said, f"an outcome rolls back: {said}")
        verdict = self._report_of("ramp 50 complaints", "ramp, 50 %")
        checks = verdict.document["checks"]
        failed = {each["subject"] for each in checks if _has_failed(each)}
        complained = [each for each in checks if each["subject"] == COMPLAINT]
        passed = [name for name in OTHERS if verdict.outcome(name) == "pass"]
        # Pairs that came in while the flag was switched off may bring the ratio back, just short of
        # the limit. That it was beyond has been said above, when it was switched off.
        self._expect(
            failed <= {COMPLAINT} and not all(map(_has_passed, complained)),
            f"nothing but complaints has failed: {verdict.reasons}",
        )
        self._expect(len(passed) == len(OTHERS), f"{OTHERS} pass, not {passed} only")
        self._tell("gate", f"{', '.join(passed)}: pass")
        if self._on.watch is not None:
            self._told("ROLLBACK, off", "complaint: ")
        self._on.downstream.shops_complain = False
        self._give_threshold(self._offered, "as before")
        self._on.person.switch_on(self._on.admin.state(FLAG))
        self._tell("a person", "switches the flag on, at the 50 % where it was")
        self._resumed()

    def _give_threshold(self, threshold: float, why: str) -> None:
        payload = {"threshold": {OUTPUT: threshold}}
        self._on.person.give_payload(self._on.admin.state(FLAG), payload)
        self._tell("a person", f"gives the flag the payload {payload}, {why}")

    def _resumed(self) -> None:
        """Let the autopilot go on from a person's change, once it has seen it."""
        entry = re.search(r"--resume (\d+)", self._piloted("PAUSED"))
        self._expect(entry is not None, "the autopilot says from which entry to go on")
        assert entry is not None  # noqa: S101  # just seen
        self._fly(entry.group(1))

    def _told(self, title: str, words: str) -> None:
        """Expect a message that has arrived."""
        assert self._on.watch is not None  # noqa: S101  # else nobody is told
        deadline = time.monotonic() + TOLD
        found: tuple[str, ...] = ()
        while not found and time.monotonic() < deadline:
            time.sleep(0.2)
            found = tuple(each for each in self._on.watch.told(title) if words in each)
        self._expect(bool(found), f"{title!r} with {words!r} is told: {self._on.watch.told('')}")
        self._tell("receiver", found[-1])

    def _step_by_autopilot(
        self,
        rollout: int,
        following: int,
        stage: str,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._piloted(f"{rollout} % -> {following} %")
        meanwhile()
        self._at(following)
        self._written(f"{stage} {rollout}", f"{stage}, {rollout} %")

    def _ramp_ends(self) -> None:
        self._piloted("deprecation, 100 %")
        self._written("ramp 100", "ramp, 100 %")

    def _deprecation_ends(self) -> None:
        self._piloted("the last step is passed")
        self.end()
        begun = self._since() + RAMP_HOLD
        self._written("deprecation", "deprecation", "--since", begun.isoformat())

    def _candidate_serves_alone(self) -> None:
        alone = "load_tests.rehearsal.detector:FrailV2"
        said = self._on.commands.run(
            *("retire", "pairs", "--playbook", "playbook.yaml", "--service", alone)
        )
        self._expect(said.exit_code == 0, f"`retire` agrees: {said.output.strip()[-600:]}")
        self._tell("retire", said.output[said.output.index(alone) :].strip())
        self._on.stop()
        with Serving(
            alone,
            environment={"V2_THRESHOLD": str(self._offered)},
            log=self._on.folder / "alone.log",
            folder=ROOT,
        ) as serving:
            requests = [(f"alone-{n}", self._on.traffic.body(n)) for n in range(100)]
            replies = asyncio.run(replay(serving.url, requests, concurrency=4))
        answered = sum(reply.status == 200 for reply in replies)
        self._tell(
            "v2", f"answers {answered} of {len(replies)} requests without v1, at its threshold"
        )
        decided = {reply.body["threshold"] for reply in replies if reply.status == 200}
        self._expect(decided == {self._offered}, f"v2 decides at {self._offered}: {decided}")
        self._expect(answered == len(replies), "v2 answers every request alone")

    # --- what acts have in common -----------------------------------------------------------------

    def _judged(self, name: str, wanted: Callable[[Verdict], bool]) -> Verdict:
        """Ask the gate again and again until it says what is wanted; write its report."""
        self._report += 1
        page = f"{self._report:02}-{name.replace(' ', '-')}.html"
        deadline, last = time.monotonic() + MAX_WAIT, ""
        while True:
            found = self._on.commands.gate(*BOOKS, "--html", page)
            if isinstance(found, Said):
                said = found.last
            else:
                reasons = "; ".join(found.reasons[:REASONS])
                more = len(found.reasons) - REASONS
                more_words = f"; and {more} more" if more > 0 else ""
                said = f"{found.decision}  {found.step}: {reasons}{more_words}"
                if wanted(found):
                    self._tell("gate", said)
                    self._tell("report", page)
                    return found
            if said.partition(":")[0] != last:
                self._tell("gate", said)
                last = said.partition(":")[0]
            self._expect(time.monotonic() < deadline, f"no verdict in time; the last is {said}")
            time.sleep(1)

    def _written(self, name: str, step: str, *window: str) -> None:
        """Write the report of a step that has passed."""
        deadline = time.monotonic() + MAX_WAIT
        found = self._report_of(name, step, *window)
        # On a busy machine the newest pairs are still being written while the gate reads.
        while found.decision != "ADVANCE" and time.monotonic() < deadline:
            self._report -= 1
            found = self._report_of(name, step, *window)
        self._expect(
            found.decision == "ADVANCE", f"the report of {step} says ADVANCE: {found.reasons}"
        )

    def _report_of(self, name: str, step: str, *window: str) -> Verdict:
        """Write the report of a step, and return its verdict."""
        self._report += 1
        page = f"{self._report:02}-{name.replace(' ', '-')}.html"
        found = self._on.commands.gate("--step", step, *BOOKS, "--html", page, *window)
        self._expect(isinstance(found, Verdict), f"the gate judges {step}: {found}")
        assert isinstance(found, Verdict)  # noqa: S101  # just seen
        self._tell("report", f"{page}: {found.decision}")
        return found

    def _piloted(self, words: str) -> str:
        """Wait for a line of the autopilot's log, and return it."""
        assert self._pilot is not None  # noqa: S101  # an act before has started it
        found = self._pilot.until(words, within=MAX_WAIT)
        self._expect(found is not None, f"the autopilot comes to {words!r}")
        return found or ""

    def _at(self, rollout: int) -> None:
        setting = self._on.history.current.setting
        self._expect(setting.rollout == rollout, f"the flag is at {rollout} %: {setting}")

    def _since(self) -> datetime:
        since = self._on.history.current.since
        self._expect(since is not None, "the event log tells since when the flag is so")
        assert since is not None  # noqa: S101  # just seen
        return since

    def _expect(self, true: bool, promise: str) -> None:
        if not true:
            raise PromiseBrokenError(f"not so: {promise}")
