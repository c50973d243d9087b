"""`advance`, `autopilot` and `retire` against the real Unleash, with pairs made for it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Barrier

import orjson
import pytest
import requests
from click.testing import CliRunner, Result

from flags.cli import migration
from flags.export import attributes
from flags.monitoring.verdict_place import verdict_path
from flags.operate.audit import AuditFile
from flags.operate.autopilot import Autopilot
from flags.operate.flag_moves import raise_rollout
from flags.operate.history import History, read_history
from flags.playbook.file import read_playbook
from flags.unleash.admin import Author, UnleashAdmin, seed
from flags.unleash.admin.errors import FlagChangedError, PersonalTokenError
from flags.unleash.local import LocalUnleash
from tests.support.fakes import eventually
from tests.support.pair_files import PairFile, Scored

pytest_plugins = ("tests.support.unleash.server",)

PAIRS = 600
MAX_WAIT = 400.0
"""Seconds for what takes some, on a machine with nothing else to do."""
PLAYBOOK = """
flag: {flag}
labels: none
warm_up: 0
gate:
  advance: {{alarm_ratio: 1.5, shed_rate: 0.1, failure_rate: 0.1, fallback_rate: 0.1}}
  rollback:
    {{alarm_ratio: 1.6, alarm_ratio_day: 1.6, alarm_ratio_now: 1.6, failure_rate: 0.2,
    fallback_rate: 0.2}}
steps:
  - {{stage: shadow, rollout: 0, hold: 0s, min_pairs: 300}}
  - {{stage: canary, rollout: 5, hold: 0s, min_pairs: 300}}
  - {{stage: canary, rollout: 10, hold: 0s, min_pairs: 300}}
  - {{stage: ramp, rollout: 100, hold: 0s, min_pairs: 300}}
  - {{stage: deprecation, rollout: 100, hold: 0s, min_pairs: 300}}
"""


class Migration:
    """A seeded flag, its playbook, and a folder of pairs made while it is where it is."""

    def __init__(self, unleash: LocalUnleash, admin: UnleashAdmin, flag: str, folder: Path) -> None:
        self.unleash = unleash
        self.admin = admin
        self.flag = flag
        self.pairs = folder / "pairs"
        self.pairs.mkdir()
        self.audit = folder / "audit.jsonl"
        self.playbook = folder / "playbook.yaml"
        self.playbook.write_text(PLAYBOOK.format(flag=flag))
        self._workers = count()
        seed(admin, flag)

    def make_pairs(self, candidate_alarms: bool = False, pairs: int = PAIRS) -> None:
        """Let the service answer since the flag is as it is: half of the answers are alarms.

        A candidate that alarms throughout is another model, whose evidence begins anew.
        """
        # Unleash shows a change a moment before its event log does.
        assert eventually(lambda: self.history.current.since is not None)
        run = self.history.current
        rollout, since = run.setting.rollout or 0, run.since
        assert since is not None
        file = PairFile(self.pairs, f"worker-{next(self._workers)}", self.flag)
        file.start()
        first = round(since.timestamp() * 1e9) + 1_000_000
        step = max(1, (round(datetime.now(UTC).timestamp() * 1e9) - first) // pairs)
        for number in range(pairs):
            score = 0.9 if number % 2 else 0.1
            made = file.span(
                Scored(score),
                Scored(0.9, model="keener:1") if candidate_alarms else Scored(score),
                active="candidate" if number % 100 < rollout else "primary",
                changes={attributes.ROLLOUT: float(rollout)},
            )
            made["startTimeUnixNano"] = str(first + number * step)
            made["endTimeUnixNano"] = str(first + number * step + 2_000_000)
            file.write(made)

    def run(self, command: str, *options: str, pairs: str | None = None) -> Result:
        """Run a command on the folder of pairs, or on another place that has them."""
        environment = {
            "UNLEASH_URL": self.unleash.url,
            "UNLEASH_ADMIN_TOKEN": self.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": self.unleash.environment,
            "MIGRATION_AUDIT": str(self.audit),
        }
        place = pairs or str(self.pairs)
        arguments = [command, place, "--playbook", str(self.playbook), *options]
        shown = CliRunner(env=environment).invoke(migration, arguments)
        assert self.unleash.admin_token not in shown.output
        assert shown.exception is None or isinstance(shown.exception, SystemExit), shown.output
        return shown

    @property
    def history(self) -> History:
        return read_history(self.admin, self.flag)[1]

    @property
    def at(self) -> str:
        return str(self.history.current.setting)

    @property
    def changes(self) -> list[dict]:
        lines = self.audit.read_bytes().splitlines() if self.audit.exists() else []
        return [orjson.loads(line) for line in lines]

    def note(self) -> str:
        answer = requests.get(
            f"{self.unleash.url}/api/admin/features/{self.flag}/tags",
            headers={"Authorization": self.unleash.admin_token},
            timeout=5,
        ).json()
        return next(tag["value"] for tag in answer["tags"] if tag["type"] == "migration")


@pytest.fixture
def admin(unleash: LocalUnleash) -> Iterator[UnleashAdmin]:
    with UnleashAdmin(unleash.url, unleash.admin_token, unleash.environment) as admin:
        yield admin


@pytest.fixture
def flagged(unleash: LocalUnleash, admin: UnleashAdmin, flag_key: str, tmp_path: Path) -> Migration:
    return Migration(unleash, admin, flag_key, tmp_path)


@pytest.fixture
def person(unleash: LocalUnleash) -> Iterator[requests.Session]:
    """Somebody who is logged in to the dashboard."""
    with requests.Session() as browser:
        browser.post(
            f"{unleash.url}/auth/simple/login",
            json={"username": "admin", "password": unleash.data.credentials().admin_password},
            timeout=5,
        ).raise_for_status()
        yield browser


def slide(person: requests.Session, flagged: Migration, percent: int) -> int:
    """Move the slider in the dashboard; return the number of the entry in the event log."""
    state = flagged.admin.state(flagged.flag)
    place = f"projects/default/features/{flagged.flag}/environments/{state.environment}"
    person.patch(
        f"{flagged.unleash.url}/api/admin/{place}/strategies/{state.strategies[0].id}",
        json=[{"op": "replace", "path": "/parameters/rollout", "value": str(percent)}],
        timeout=5,
    ).raise_for_status()
    return flagged.history.current.event or 0


def test_advance_refuses_without_evidence_unless_a_reason_is_given(flagged: Migration) -> None:
    refused = flagged.run("advance")
    assert refused.exit_code == 10, refused.output
    assert "not advanced: there is no verdict" in refused.output
    assert '--override "REASON"' in refused.output
    assert (flagged.at, flagged.changes) == ("0 %", [])

    forced = flagged.run("advance", "--override", "the old model is unaffordable")
    assert forced.exit_code == 0, forced.output
    assert "before    0 % in development" in forced.output
    assert "after     5 % in development" in forced.output
    assert flagged.at == "5 %"
    assert flagged.changes[0]["reason"] == "override: the old model is unaffordable"
    assert flagged.note().startswith("advance: override: the old model")


def test_advance_goes_one_step_up_on_an_advance_and_no_further(flagged: Migration) -> None:
    flagged.make_pairs()
    verdict = flagged.pairs / "verdict.json"
    advanced = flagged.run("advance", "--json", str(verdict))
    assert advanced.exit_code == 0, advanced.output
    assert "ADVANCE: go on to canary, 5 %" in advanced.output
    assert flagged.at == "5 %"
    assert flagged.changes[0]["verdict"]["decision"] == "ADVANCE"
    assert orjson.loads(verdict.read_bytes())["step"] == "shadow, 0 %"
    assert verdict.read_bytes() == verdict_path(flagged.pairs, flagged.flag).read_bytes()

    again = flagged.run("advance")
    assert again.exit_code == 10, again.output
    assert flagged.at == "5 %"

    flagged.make_pairs(candidate_alarms=True)
    bad = flagged.run("advance")
    assert bad.exit_code == 20, bad.output
    assert "not advanced: the verdict is ROLLBACK" in bad.output
    assert flagged.at == "5 %"


def test_the_autopilot_advances_holds_and_switches_off(flagged: Migration) -> None:
    flagged.make_pairs()
    dry = flagged.run("autopilot", "--once", "--dry-run")
    assert (dry.exit_code, flagged.at, flagged.changes) == (0, "0 %", []), dry.output
    assert "dry run" in dry.output

    up = flagged.run("autopilot", "--once")
    assert (up.exit_code, flagged.at) == (0, "5 %"), up.output
    assert "ADVANCE   0 % -> 5 %: " in up.output
    assert flagged.note().startswith("autopilot: ")

    held = flagged.run("autopilot", "--once")
    assert (held.exit_code, flagged.at) == (10, "5 %"), held.output

    flagged.make_pairs(candidate_alarms=True)
    back = flagged.run("autopilot", "--once")
    assert (back.exit_code, flagged.at) == (20, "off"), back.output
    assert "ROLLBACK  5 % -> off: alarm rate 2.00x primary's" in back.output
    assert [change["after"]["enabled"] for change in flagged.changes] == [True, False]
    assert b'"ROLLBACK"' in verdict_path(flagged.pairs, flagged.flag).read_bytes()

    off = flagged.run("autopilot", "--once")
    assert (off.exit_code, flagged.at) == (10, "off"), off.output


def test_a_change_in_the_dashboard_pauses_the_autopilot_and_is_seen_by_status(
    flagged: Migration, person: requests.Session
) -> None:
    flagged.make_pairs()
    entry = slide(person, flagged, 10)
    flagged.make_pairs(candidate_alarms=True)
    paused = flagged.run("autopilot", "--once")
    assert (paused.exit_code, flagged.at) == (10, "10 %"), paused.output
    assert f"admin changed the flag (rollout 0 % to 10 %, entry {entry} of" in paused.output
    assert "the verdict is ROLLBACK" in paused.output

    environment = {
        "UNLEASH_URL": flagged.unleash.url,
        "UNLEASH_ADMIN_TOKEN": flagged.unleash.admin_token,
        "UNLEASH_ENVIRONMENT": flagged.unleash.environment,
    }
    arguments = ["status", "--playbook", str(flagged.playbook), "--service", "http://127.0.0.1:9"]
    status = CliRunner(env=environment).invoke(migration, arguments).output
    assert "no evidence  0 % to 10 % by admin" in status
    assert "more than one step at once" in status

    resumed = flagged.run("autopilot", "--once", "--resume", str(entry))
    assert (resumed.exit_code, flagged.at) == (20, "off"), resumed.output


def test_unleash_says_whose_the_token_is(
    flagged: Migration, person: requests.Session, admin: UnleashAdmin
) -> None:
    assert admin.author() == Author("admin", by_token=True)
    assert Author(flagged.history.current.by or "", flagged.history.current.by_token) == (
        admin.author()
    )
    body = {"description": "of a person", "expiresAt": "2099-01-01T00:00:00Z"}
    answer = person.post(f"{flagged.unleash.url}/api/admin/user/tokens", json=body, timeout=5)
    answer.raise_for_status()
    token = answer.json()["secret"]
    with UnleashAdmin(flagged.unleash.url, token, "development") as own:
        slide_by = own.author()
        assert slide_by == Author("admin", by_token=False)
        pilot = Autopilot(own, read_playbook(flagged.playbook), lambda *_: None, record=print)
        with pytest.raises(PersonalTokenError):
            pilot.assess(datetime.now(UTC))


@pytest.mark.slow
def test_retire_wants_the_last_step_passed_and_the_candidate_to_serve_alone(
    flagged: Migration,
) -> None:
    candidate = ("--service", "tests.support.services.varied:ClaimsV2")
    flagged.make_pairs()
    early = flagged.run("retire", *candidate)
    assert early.exit_code == 10, early.output
    assert "cannot go yet: canary, 5 % comes first" in early.output

    flagged.admin.set_rollout(flagged.flag, 100)
    flagged.admin.set_variant_payload(flagged.flag, {"threshold": 0.5})
    flagged.make_pairs()
    nowhere = flagged.run("retire", "--service", "tests.support.services.varied:Nobody")
    assert nowhere.exit_code == 1, nowhere.output
    assert "stopped before it was ready" in nowhere.output

    changes = len(flagged.admin.all_events(flagged.flag))
    done = flagged.run("retire", *candidate, "--within", "300s")
    assert done.exit_code == 0, done.output
    assert "ADVANCE: the primary can be retired" in done.output
    assert "varied:ClaimsV2 serves alone: ready after" in done.output
    assert "1. Give tests.support.services.varied:ClaimsV2 the thresholds" in done.output
    assert '{"threshold": 0.5}' in done.output
    assert f"Archive the flags {flagged.flag} and {flagged.flag}.shadow" in done.output
    assert len(flagged.admin.all_events(flagged.flag)) == changes


class Pilot:
    """An autopilot in a process of its own, that looks every second."""

    def __init__(self, flagged: Migration, log: Path, pairs: str | None = None) -> None:
        self.log = log
        command = [sys.executable, "-m", "flags", "autopilot", pairs or str(flagged.pairs)]
        command += ["--playbook", str(flagged.playbook), "--interval", "1s"]
        environment = {
            **os.environ,
            "UNLEASH_URL": flagged.unleash.url,
            "UNLEASH_ADMIN_TOKEN": flagged.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": flagged.unleash.environment,
            "MIGRATION_AUDIT": str(flagged.audit),
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)

    def says(self, words: str) -> bool:
        return words in self.log.read_text()


def test_of_several_that_take_one_step_at_once_one_takes_it(flagged: Migration) -> None:
    """Unleash itself tells all of them that they did: the audit file keeps them apart."""
    seen, at_once = flagged.history.current, Barrier(4)

    def takes(_: int) -> bool:
        url, token = flagged.unleash.url, flagged.unleash.admin_token
        with UnleashAdmin(url, token, flagged.unleash.environment) as own:
            at_once.wait()
            try:
                with AuditFile(flagged.audit).exclusive():
                    raise_rollout(own, flagged.flag, seen, 5)
            except FlagChangedError:
                return False
            return True

    with ThreadPoolExecutor(4) as several:
        assert sum(several.map(takes, range(4))) == 1
    moves = [each.rollout_after for each in flagged.admin.all_events(flagged.flag) if each.before]
    assert moves == [5]


@pytest.mark.slow
def test_two_autopilots_one_of_them_killed_and_a_person_who_takes_the_flag(
    flagged: Migration, person: requests.Session, tmp_path: Path
) -> None:
    """Each step is taken once, whoever takes it; from the person's change on, none is."""
    pilots = [Pilot(flagged, tmp_path / "first"), Pilot(flagged, tmp_path / "second")]
    try:
        for reached in ("5 %", "10 %"):
            flagged.make_pairs(pairs=4 * PAIRS)
            assert eventually(lambda to=reached: flagged.at == to, MAX_WAIT), pilots[
                0
            ].log.read_text()
        pilots[0].process.kill()
        pilots[0].process.wait()
        flagged.make_pairs(pairs=4 * PAIRS)
        pilots[0] = Pilot(flagged, tmp_path / "first")
        assert eventually(lambda: flagged.at == "100 %", MAX_WAIT)

        entry = slide(person, flagged, 50)
        flagged.make_pairs(candidate_alarms=True)
        told = (
            f"PAUSED    canary, 50 %: admin changed the flag (rollout 100 % to 50 %, entry {entry}"
        )
        assert eventually(lambda: all(pilot.says(told) for pilot in pilots), MAX_WAIT)
        assert eventually(
            lambda: all(pilot.says("verdict is ROLLBACK") for pilot in pilots), MAX_WAIT
        )
        for pilot in pilots:
            pilot.process.send_signal(signal.SIGTERM)
            assert pilot.process.wait(60) == 0
    finally:
        for pilot in pilots:
            pilot.process.kill()
            pilot.process.wait()
    moves = [each for each in flagged.admin.all_events(flagged.flag) if each.affects_answers]
    steps = [(each.rollout_after, each.by_token) for each in reversed(moves) if each.before]
    assert steps == [(5, True), (10, True), (100, True), (50, False)]
    assert [change["after"]["rollout"] for change in flagged.changes] == [5, 10, 100]
    assert flagged.at == "50 %"


def test_without_an_unleash_the_autopilot_holds_on_until_it_is_stopped(tmp_path: Path) -> None:
    playbook = tmp_path / "playbook.yaml"
    playbook.write_text(PLAYBOOK.format(flag="fraud-detector-v2"))
    log = tmp_path / "log"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        command = [sys.executable, "-m", "flags", "autopilot", str(tmp_path)]
        command += ["--playbook", str(playbook), "--interval", "1s"]
        command += ["--url", f"http://127.0.0.1:{taken.getsockname()[1]}"]
        environment = {**os.environ, "UNLEASH_ADMIN_TOKEN": "*:development.unused"}
        with log.open("wb") as output:
            pilot = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            assert eventually(lambda: log.read_text().count("HOLD") >= 2, within=90), (
                log.read_text()
            )
            pilot.send_signal(signal.SIGTERM)
            assert pilot.wait(60) == 0
        finally:
            pilot.kill()
            pilot.wait()
    assert "HOLD      no Unleash answers at http://127.0.0.1:" in log.read_text()
    assert log.read_text().endswith("UTC  stopped\n")
    assert "unused" not in log.read_text()
