"""`bentoml migration rollback` with a real Unleash and a running service with two workers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from click.testing import CliRunner, Result

from flags.cli.rollback import rollback
from flags.cli.status import status
from flags.monitoring.worker_state import WORKERS_PATH
from flags.operate.audit import Audit, AuditFile
from flags.operate.watch import running_workers
from flags.serving.http.endpoints import LIVE_PATH, PAGE_PATH
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.serving import Serving, free_port
from tests.support.fakes import eventually
from tests.support.following import following
from tests.support.fraud_store import environment

pytest_plugins = ("tests.support.unleash.server",)

FLAG = "rollback-v2"


class Migration:
    """A flag in Unleash at 10 %, a service that follows it, and an operator's audit file."""

    def __init__(self, unleash: LocalUnleash, serving: Serving) -> None:
        self.unleash = unleash
        self.url = serving.url
        self.log = serving.log

    def canary(self, *, followed: bool = True) -> None:
        """Set the flag to 10 %, and wait until both workers have it."""
        admin = self.unleash.admin
        admin.set_rollout(FLAG, 10)
        admin.turn_on(FLAG)
        if followed:
            assert eventually(lambda: self.seen() == [(True, 10.0)] * 2, 60), self.seen()

    def seen(self) -> list[tuple[bool | None, float | None]]:
        """Return what the workers see."""
        return [(w.flag.enabled, w.flag.rollout) for w in running_workers(self.url).workers]

    def is_off(self) -> bool:
        """Say whether the flag is off in Unleash."""
        return not self.unleash.admin.state(FLAG).enabled

    def variables(self) -> dict[str, str]:
        """Return what an operator has exported."""
        return {
            "UNLEASH_URL": self.unleash.url,
            "UNLEASH_ADMIN_TOKEN": self.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": self.unleash.environment,
        }

    def note(self) -> list[str]:
        """Return the words on the flag."""
        tags = self.unleash.admin._api.call("GET", "features", FLAG, "tags")["tags"]
        return [tag["value"] for tag in tags if tag["type"] == "migration"]

    def rollback(self, *arguments: str, **variables: str | None) -> Result:
        """Run the command in this process."""
        env = {**self.variables(), **variables}
        with_service = [] if "--service" in arguments else ["--service", self.url]
        return CliRunner().invoke(rollback, [*arguments, *with_service], env=env)


@pytest.fixture(scope="module")
def migration(
    unleash: LocalUnleash, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Migration]:
    folder = tmp_path_factory.mktemp("rollback")
    seed(unleash.admin, FLAG)
    with following(unleash, FLAG, folder) as serving:
        yield Migration(unleash, serving)


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditFile:
    """Return the audit file of a command that is told nothing of it."""
    monkeypatch.chdir(tmp_path)
    return AuditFile(tmp_path / "migration-audit.jsonl")


def written(audit: AuditFile) -> Audit:
    found = audit.read()
    assert found.unreadable == 0
    return found


def test_the_flag_goes_off_and_every_worker_is_seen_to_follow(
    migration: Migration, audit: AuditFile
) -> None:
    migration.canary()
    reason = "p99 doubled since the 10 % step, see the incident of today for more"
    done = migration.rollback(reason, "--within", "60")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"{FLAG} is off in development, it was at 10 %"
    assert lines[1] == f"reason kept on the flag: rollback: {reason[:39]}…"
    assert lines[2].startswith("all 2 workers followed within ")
    assert migration.is_off()
    assert migration.seen() == [(False, 10.0)] * 2
    assert migration.note() == [f"rollback: {reason[:39]}…"]
    (change,), (following,) = written(audit).changes, written(audit).confirmations
    assert (change.command, change.flag, change.environment) == ("rollback", FLAG, "development")
    assert (change.reason, change.unleash) == (reason, migration.unleash.url)
    assert change.before is not None
    assert (change.before.enabled, change.before.rollout, change.after.enabled) == (True, 10, False)
    assert (following.change, following.workers, following.missing) == (change.id, 2, ())
    assert following.seconds is not None
    assert 0 < following.seconds < 60
    again = migration.rollback("to be sure", "--flag", FLAG)
    assert again.exit_code == 0
    assert again.stdout.startswith(f"{FLAG} is off in development, it was so already")


def test_a_worker_that_does_not_follow_is_named_and_the_token_is_nowhere(
    migration: Migration, audit: AuditFile
) -> None:
    migration.canary()
    stopped = running_workers(migration.url).workers[0]
    os.kill(stopped.pid, signal.SIGSTOP)
    command = ["-m", "bentoml", "migration", "rollback", "alarms x3.7", "--flag", FLAG]
    try:
        running = subprocess.Popen(
            [sys.executable, *command, "--service", migration.url, "--within", "6"],
            env={**environment(Path.home() / ".bentoml"), **migration.variables()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=audit.path.parent,
        )
        assert eventually(migration.is_off, 60)
        listed = process_list()
        out, err = running.communicate(timeout=60)
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    assert running.returncode == 3, out + err
    assert f"not every worker of {migration.url} follows" in err
    assert f"worker {stopped.worker[:8]} (process {stopped.pid} " in err
    assert "sees on, 10 %" in err
    assert "alarms x3.7" in listed, "the command was running"
    (change,), (following,) = written(audit).changes, written(audit).confirmations
    assert (change.reason, following.seconds) == ("alarms x3.7", None)
    assert following.workers <= 1
    assert eventually(lambda: migration.seen() == [(False, 10.0)] * 2, 60)
    pages = [httpx.get(migration.url + path) for path in (PAGE_PATH, LIVE_PATH, WORKERS_PATH)]
    places = {
        "what it prints": out + err,
        "the audit file": audit.path.read_text(),
        "the process list": listed,
        "the service's log": migration.log.read_text(),
        "its pages": "".join(page.text + str(page.headers) for page in pages),
    }
    for place, text in places.items():
        assert migration.unleash.admin_token not in text, place
        assert migration.unleash.client_token not in text, place


def process_list() -> str:
    """Return the arguments of every process, as any user of the machine sees them."""
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:  # it has just ended
            continue
    return "\n".join(lines)


def test_the_admin_token_is_not_in_the_service(migration: Migration) -> None:
    for worker in running_workers(migration.url).workers:
        variables = psutil.Process(worker.pid).environ()
        assert migration.unleash.admin_token not in "".join(variables.values())
        assert variables["UNLEASH_API_TOKEN"] == migration.unleash.client_token


def test_a_service_that_is_gone_does_not_hold_it_up(migration: Migration, audit: AuditFile) -> None:
    migration.canary()
    gone = f"http://127.0.0.1:{free_port()}"
    done = migration.rollback("gone", "--flag", FLAG, "--service", gone, "--within", "0")
    assert done.exit_code == 0, done.output
    assert f"the workers could not be asked: no service answers at {gone}" in done.stdout
    assert migration.is_off()
    assert "no service answers" in written(audit).confirmations[0].missing[0]


def test_a_flag_that_the_service_does_not_follow_is_not_a_success(
    migration: Migration, audit: AuditFile, flag_key: str
) -> None:
    seed(migration.unleash.admin, flag_key)
    done = migration.rollback("wrong one", "--flag", flag_key)
    assert done.exit_code == 3
    assert f"follows the flag {FLAG}, not {flag_key}" in done.stderr


def test_an_archived_flag_is_off(migration: Migration, audit: AuditFile, flag_key: str) -> None:
    admin = migration.unleash.admin
    seed(admin, flag_key)
    admin._api.call("DELETE", "projects", "default", "features", flag_key)
    nobody = f"http://127.0.0.1:{free_port()}"
    done = migration.rollback("x", "--flag", flag_key, "--service", nobody, "--within", "0")
    assert done.exit_code == 0, done.output
    assert f"{flag_key} is off in development: it is archived" in done.stdout


def test_what_cannot_be_recorded_is_warned_of_and_rolled_back_all_the_same(
    migration: Migration, tmp_path: Path
) -> None:
    migration.canary(followed=False)
    nowhere = tmp_path / "no" / "audit.jsonl"
    done = migration.rollback("x\x1b[31m\ny", "--audit", str(nowhere), "--within", "60")
    assert done.exit_code == 0, done.output
    assert f"Warning: the audit file {nowhere} cannot be written" in done.stderr
    assert migration.is_off()
    assert migration.note() == ["rollback: x [31m y"]
    assert "\x1b" not in done.output


@pytest.mark.parametrize(
    ("arguments", "exit_code", "why"),
    [
        (["--flag", FLAG, "--token", "*:*.nonsense"], 2, "does not know this admin token"),
        (["--flag", "no-such-flag"], 2, "has no flag no-such-flag"),
        (["--flag", FLAG, "--environment", "moon"], 2, "no environment moon"),
        (
            ["--flag", FLAG, "--environment", ""],
            2,
            "which environment? Project default has development, production, and the token is "
            "of every one: give --environment NAME, or set UNLEASH_ENVIRONMENT",
        ),
    ],
)
def test_what_unleash_refuses_is_said_and_leaves_no_act(
    migration: Migration, audit: AuditFile, arguments: list[str], exit_code: int, why: str
) -> None:
    migration.canary(followed=False)
    done = migration.rollback("x", *arguments)
    assert done.exit_code == exit_code
    assert "is NOT known to be off" in done.stderr
    assert why in done.stderr
    assert migration.unleash.admin_token not in done.output
    assert not migration.is_off()
    assert not audit.path.exists()


def test_the_environment_is_that_of_the_services_token_where_one_is_set(
    migration: Migration, audit: AuditFile
) -> None:
    migration.canary(followed=False)
    given = {"UNLEASH_ENVIRONMENT": None, "UNLEASH_API_TOKEN": migration.unleash.client_token}
    done = migration.rollback("x", "--within", "60", **given)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{FLAG} is off in development, ")


def test_a_service_of_another_environment_is_not_waited_for(
    migration: Migration, audit: AuditFile
) -> None:
    migration.canary()
    began = time.monotonic()
    done = migration.rollback("x", "--flag", FLAG, "--environment", "production", "--within", "60")
    assert (done.exit_code, time.monotonic() - began < 30) == (3, True), done.output
    assert f"{FLAG} is off in production" in done.stdout
    assert f"{migration.url} follows {FLAG} in development, not in production" in done.stderr
    assert not migration.is_off()


def test_an_unleash_that_is_gone_is_tried_three_times(
    migration: Migration, audit: AuditFile
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    done = migration.rollback("x", "--flag", FLAG, UNLEASH_URL=nobody)
    assert done.exit_code == 1
    assert time.monotonic() - began >= 2
    assert done.stderr.count("trying again") == 2
    assert f"{FLAG} is NOT known to be off. Without Unleash: restart the service" in done.stderr


def test_without_a_flag_and_without_a_service_it_says_what_is_missing(
    migration: Migration, audit: AuditFile
) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    done = migration.rollback("x", "--service", gone)
    assert done.exit_code == 1
    assert f"no service answers at {gone}" in done.stderr
    assert "--flag" in done.stderr


def test_a_reason_is_needed(migration: Migration, audit: AuditFile) -> None:
    done = migration.rollback("  ", "--flag", FLAG)
    assert done.exit_code == 2
    assert "say why" in done.stderr


def strategy(rollout: str = "100", **others: object) -> dict[str, object]:
    parameters = {"rollout": rollout, "stickiness": "requestId", "groupId": "odd"}
    return {"name": "flexibleRollout", "parameters": parameters, **others}


def variant(kind: str, value: str) -> dict[str, object]:
    return {
        "name": "v",
        "weight": 1000,
        "weightType": "variable",
        "stickiness": "requestId",
        "payload": {"type": kind, "value": value},
    }


ODD_STRATEGIES = {
    "a rollout of 5,000 digits": [strategy("0" * 4_999 + "5")],
    "a rollout that is a word": [strategy("\x1b[2J all of them")],
    "a payload nested 990 levels deep": [
        strategy(variants=[variant("json", "[" * 990 + "]" * 990)])
    ],
    "a payload with half a character": [strategy(variants=[variant("json", r'{"a": "\ud800"}')])],
    "a payload of text": [strategy(variants=[variant("string", "\x1b[2J")])],
    "thirty strategies": [strategy(str(each)) for each in range(30)],
    "a strategy that nobody knows": [{"name": "default", "parameters": {"rollout": "\x07"}}],
}


def put(unleash: LocalUnleash, key: str, strategies: list[dict[str, object]]) -> int:
    """Make a flag with these strategies, on; return how many of them Unleash has taken."""
    headers = {"Authorization": unleash.admin_token}
    base = f"{unleash.url}/api/admin/projects/default/features"
    with httpx.Client(headers=headers, timeout=20) as client:
        client.post(base, json={"name": key, "type": "release"})
        place = f"{base}/{key}/environments/development"
        taken = [client.post(f"{place}/strategies", json=each).is_success for each in strategies]
        client.post(f"{place}/on")
    return sum(taken)


def test_a_rollback_is_followed_within_3_seconds_whatever_others_put_into_unleash(
    migration: Migration, audit: AuditFile
) -> None:
    taken = [
        put(migration.unleash, f"odd-{number}", strategies)
        for number, strategies in enumerate(ODD_STRATEGIES.values())
    ]
    assert all(taken)
    migration.canary()
    done = migration.rollback("x", "--flag", FLAG, "--within", "60")
    assert done.exit_code == 0, done.output
    (following,) = written(audit).confirmations
    assert following.seconds is not None
    assert following.seconds < 3


@pytest.mark.parametrize("kind", ODD_STRATEGIES)
def test_a_flag_is_switched_off_and_shown_whatever_it_holds(
    migration: Migration, audit: AuditFile, flag_key: str, kind: str
) -> None:
    assert put(migration.unleash, flag_key, ODD_STRATEGIES[kind])
    nobody = f"http://127.0.0.1:{free_port()}"
    arguments = ["--flag", flag_key, "--service", nobody]
    done = migration.rollback("x", *arguments, "--within", "0")
    assert done.exit_code == 0, done.output
    assert f"{flag_key} is off in development, it was" in done.output
    assert not migration.unleash.admin.state(flag_key).enabled
    assert "\x1b" not in done.output
    for json in ([], ["--json"]):
        seen = CliRunner().invoke(status, [*arguments, *json], env=migration.variables())
        assert isinstance(seen.exception, SystemExit), seen.output  # for the service, that is all
        assert "\x1b[2J" not in seen.output
