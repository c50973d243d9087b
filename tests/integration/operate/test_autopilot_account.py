"""The autopilot as a user of its own, which is what open-source Unleash lets it be."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from flags.operate.autopilot import Autopilot
from flags.operate.next_action import Action, StepVerdict
from flags.playbook.file import read_playbook
from flags.playbook.model import Playbook
from flags.playbook.template import write_playbook
from flags.unleash.admin import Author, UnleashAdmin, seed
from flags.unleash.admin.errors import PersonalTokenError
from flags.unleash.local import LocalUnleash

PASSWORD = "Correct-horse-1"  # noqa: S105 - of a user that lives as long as this test
_EDITOR = 2
"""Number of the root role that may move flags."""


@pytest.fixture
def token(unleash: LocalUnleash) -> Iterator[str]:
    """The personal token of a user called `autopilot`."""
    with requests.Session() as person, requests.Session() as autopilot:
        credentials = {"username": "admin", "password": unleash.data.credentials().admin_password}
        call(person, unleash, "auth/simple/login", credentials)
        made = {"username": "autopilot", "password": PASSWORD, "rootRole": _EDITOR}
        user = call(person, unleash, "api/admin/user-admin", {**made, "sendEmail": False})
        login = {"username": "autopilot", "password": PASSWORD}
        call(autopilot, unleash, "auth/simple/login", login)
        body = {"description": "for the autopilot", "expiresAt": "2099-01-01T00:00:00Z"}
        yield call(autopilot, unleash, "api/admin/user/tokens", body)["secret"]
        person.delete(f"{unleash.url}/api/admin/user-admin/{user['id']}", timeout=5)


def call(session: requests.Session, unleash: LocalUnleash, path: str, body: object) -> dict:
    answer = session.post(f"{unleash.url}/{path}", json=body, timeout=5)
    answer.raise_for_status()
    return answer.json()


def nothing_known(*_: object) -> StepVerdict:
    return StepVerdict(None, None, "no pairs")


def test_a_user_that_is_nobody_else_is_an_author_like_any_token(
    unleash: LocalUnleash, flag_key: str, token: str, tmp_path: Path
) -> None:
    seed(unleash.admin, flag_key)
    write_playbook(tmp_path / "playbook.yaml", flag_key)
    plan: Playbook = read_playbook(tmp_path / "playbook.yaml")
    with UnleashAdmin(unleash.url, token, unleash.environment) as own:
        with pytest.raises(PersonalTokenError, match="--account"):
            Autopilot(own, plan, nothing_known, record=print).check()

        pilot = Autopilot(own, plan, nothing_known, account="autopilot", record=print)
        assert pilot.check() == Author("autopilot", by_token=False)
        assert (
            pilot.assess(datetime.now(UTC)).next.action is Action.PAUSED
        )  # somebody else made the flag

        own.set_rollout(flag_key, 1)
        entry = max(each.id for each in own.all_events(flag_key)) - 1
        pilot = Autopilot(
            own, plan, nothing_known, account="autopilot", resumed=entry, record=print
        )
        assert pilot.assess(datetime.now(UTC)).next.action is Action.HOLD
