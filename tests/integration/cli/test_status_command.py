"""`bentoml migration status` beside a real Unleash and a running service with two workers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flags.cli.status import status
from flags.operate.watch import running_workers
from flags.unleash.admin import seed
from flags.unleash.local import LocalUnleash
from service.serving import Serving, free_port
from tests.support.following import following
from tests.support.fraud_store import environment
from tests.support.paths import ROOT

FLAG = "status-v2"


class Migration:
    """A flag in Unleash, and a service that follows it."""

    def __init__(self, unleash: LocalUnleash, serving: Serving) -> None:
        self.unleash = unleash
        self.url = serving.url

    def status(self, *arguments: str, **variables: str | None) -> Result:
        """Run the command in this process, with the operator's variables unless told otherwise."""
        env = {
            "UNLEASH_URL": self.unleash.url,
            "UNLEASH_ADMIN_TOKEN": self.unleash.admin_token,
            "UNLEASH_ENVIRONMENT": self.unleash.environment,
            **variables,
        }
        return CliRunner().invoke(status, ["--service", self.url, *arguments], env=env)

    def found(self, *arguments: str) -> dict[str, Any]:
        """Return the status as JSON."""
        shown = self.status("--json", *arguments)
        assert shown.exit_code == 0, shown.output
        found = json.loads(shown.stdout)
        assert isinstance(found, dict)
        return found

    def followed(self) -> dict[str, Any]:
        """Return the status once both workers follow."""
        deadline = time.monotonic() + 60
        while not (found := self.found())["followed"]:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        return found


@pytest.fixture(scope="module")
def migration(
    unleash: LocalUnleash, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Migration]:
    folder = tmp_path_factory.mktemp("status")
    seed(unleash.admin, FLAG)
    with following(unleash, FLAG, folder) as serving:
        yield Migration(unleash, serving)


def test_the_whole_picture_stage_by_stage(migration: Migration) -> None:
    admin = migration.unleash.admin
    found = migration.followed()
    assert (found["stage"], found["rollout"]) == ("shadow", 0)
    admin.set_rollout(FLAG, 10, expected=0)
    found = migration.followed()
    assert (found["flag"], found["stage"], found["rollout"]) == (FLAG, "canary", 10)
    assert (found["enabled"], found["environment"]) == (True, "development")
    assert (found["stickiness"], found["url"]) == ("requestId", admin.flag_url(FLAG))
    assert found["last_change"]["what"] == "rollout 0 % to 10 %"
    assert found["last_change"]["by_token"] is True
    assert [each["state"]["flag"]["rollout"] for each in found["workers"]] == [10.0, 10.0]
    assert found["workers"][0]["state"]["flag"]["source"] == migration.unleash.sdk_url
    assert found["not_shown"] == {}
    admin.set_rollout(FLAG, 50, expected=10)
    assert migration.followed()["stage"] == "ramp"
    admin.turn_off(FLAG)
    found = migration.followed()
    assert (found["stage"], found["rollout"]) == ("off", 50)
    assert found["last_change"]["what"] == "switched off"
    admin.tag(FLAG, "rolled-back")
    assert migration.followed()["last_change"]["what"] == "switched off"


def test_the_command_on_a_pipe_is_plain_text(migration: Migration) -> None:
    migration.unleash.admin.set_rollout(FLAG, 5)
    migration.unleash.admin.turn_on(FLAG)
    migration.followed()
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "migration", "status", "--service", migration.url],
        env=environment(
            Path.home() / ".bentoml",
            UNLEASH_URL=migration.unleash.url,
            UNLEASH_ADMIN_TOKEN=migration.unleash.admin_token,
            UNLEASH_ENVIRONMENT=migration.unleash.environment,
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{FLAG}: canary, 5 %"
    assert lines[1] == "flag         on in development, 5 %, sticky on requestId"
    assert lines[2].startswith("last change  switched on, ")
    assert lines[3].endswith("(admin token)")
    assert lines[5] == "service      Things, 2 workers: all follow"
    assert [line.split()[-4:] for line in lines[-2:]] == [["%", "yes", "0", "0"]] * 2
    assert "\x1b" not in done.stdout
    assert migration.unleash.admin_token not in done.stdout + done.stderr


def test_a_worker_that_has_not_followed_is_marked(migration: Migration) -> None:
    migration.unleash.admin.set_rollout(FLAG, 5)
    migration.unleash.admin.turn_on(FLAG)
    migration.followed()
    stopped = running_workers(migration.url).workers[0]
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        migration.unleash.admin.turn_off(FLAG)
        time.sleep(6)
        shown = migration.status()
        found = migration.found()
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
    assert shown.exit_code == 0
    assert "Things, 2 workers: 1 NOT FOLLOWING" in shown.stdout
    name = stopped.worker[:8]
    assert f"{name}: has not followed: it sees 5 %, requestId; the flag is off" in shown.stdout
    assert f"{name}: is silent for " in shown.stdout
    row = next(line for line in shown.stdout.splitlines() if line.startswith(f"{name} "))
    assert row.split()[1:] == [str(stopped.pid), "silent", "5", "%", "NO", "0", "0"]
    assert [each["follows"] for each in found["workers"]].count(False) == 1
    assert found["followed"] is False
    migration.followed()


def test_a_change_of_the_stickiness_is_followed_too(migration: Migration) -> None:
    admin = migration.unleash.admin
    admin.set_rollout(FLAG, 5)
    admin.turn_on(FLAG)
    strategy = admin.state(FLAG).strategies[0].id
    path = ("projects", "default", "features", FLAG, "environments", "development", "strategies")
    for field in ("userId", "requestId"):
        patch = [{"op": "replace", "path": "/parameters/stickiness", "value": field}]
        admin._api.call("PATCH", *path, strategy, body=patch)
        found = migration.followed()
        assert found["stickiness"] == field
        assert f"to {field}" in found["last_change"]["what"]
        assert {each["state"]["flag"]["stickiness"] for each in found["workers"]} == {field}


def test_without_a_token_the_workers_say_what_they_see(migration: Migration) -> None:
    migration.unleash.admin.set_rollout(FLAG, 5)
    migration.unleash.admin.turn_on(FLAG)
    migration.followed()
    shown = migration.status(UNLEASH_ADMIN_TOKEN=None)
    assert shown.exit_code == 0
    assert f"{FLAG}: canary, 5 %" in shown.stdout
    assert "UNLEASH_ADMIN_TOKEN is not set: who changed the flag last is not known" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "why"),
    [
        (["--url", f"http://127.0.0.1:{free_port()}"], 1, "no Unleash answers"),
        (["--token", "*:*.nonsense"], 2, "does not know this admin token"),
        (["--environment", "moon"], 2, "no environment moon"),
    ],
)
def test_an_unleash_that_does_not_tell_leaves_the_workers_on_the_screen(
    migration: Migration, arguments: list[str], exit_code: int, why: str
) -> None:
    shown = migration.status(*arguments)
    assert shown.exit_code == exit_code
    assert "Unleash      not shown: " in shown.stdout
    assert why in shown.stdout
    assert "service      Things, 2 workers" in shown.stdout
    assert migration.unleash.admin_token not in shown.output


def test_a_service_that_is_gone_leaves_the_flag_on_the_screen(migration: Migration) -> None:
    migration.unleash.admin.set_rollout(FLAG, 5)
    migration.unleash.admin.turn_on(FLAG)
    gone = f"http://127.0.0.1:{free_port()}"
    shown = migration.status("--service", gone, "--flag", FLAG)
    assert shown.exit_code == 1
    assert f"{FLAG}: canary, 5 %" in shown.stdout
    assert "last change  " in shown.stdout
    assert f"service      not shown: no service answers at {gone}" in shown.stdout


def test_a_service_without_the_endpoint_is_refused_in_words(migration: Migration) -> None:
    shown = migration.status("--service", migration.unleash.url, "--flag", FLAG)
    assert shown.exit_code == 2
    assert "MIGRATION_ENDPOINTS is false" in shown.stdout


def test_a_service_that_follows_another_flag_is_not_mistaken_for_this_ones(
    migration: Migration,
) -> None:
    shown = migration.status("--flag", "no-such-flag")
    assert shown.exit_code == 2
    assert f"{migration.url} follows the flag {FLAG}, not no-such-flag" in shown.stdout
    assert "has no flag no-such-flag" in shown.stdout
    assert "worker " not in shown.stdout
