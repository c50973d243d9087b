"""The history of flags that are changed in a real Unleash, however it is done."""

from typing import Any

import pytest

from flags.operate.history import read_history
from flags.unleash.admin import UnleashAdmin, seed
from flags.unleash.admin.errors import FlagShapeError
from flags.unleash.local import LocalUnleash

pytest_plugins = ("tests.support.unleash.server",)


class Dashboard:
    """Change one flag by the requests that the dashboard sends."""

    def __init__(self, admin: UnleashAdmin, key: str) -> None:
        self._admin = admin
        self._key = key

    def call(self, method: str, *path: str, body: object = None) -> Any:
        place = ("projects", "default", "features", self._key)
        return self._admin._api.call(method, *place, *path, body=body)

    def here(self, method: str, *path: str, body: object = None) -> Any:
        return self.call(method, "environments", "development", *path, body=body)

    def edit(self, rollout: int, **others: object) -> None:
        """Save the strategy's form."""
        (strategy, *_) = self.here("GET", "strategies")
        strategy["parameters"]["rollout"] = str(rollout)
        self.here("PUT", "strategies", strategy["id"], body={**strategy, **others})

    def add(self, rollout: int) -> str:
        body = {"name": "flexibleRollout", "parameters": {"rollout": str(rollout)}}
        added = self.here("POST", "strategies", body=body)
        return str(added["id"])

    def revive(self) -> None:
        self._admin._api.call("POST", "archive", "revive", self._key)


@pytest.fixture
def admin(unleash: LocalUnleash) -> UnleashAdmin:
    return unleash.admin


def told(admin: UnleashAdmin, key: str) -> list[tuple[str, str]]:
    """Return each run in words, and how it began; and check what holds for all."""
    state, history = read_history(admin, key)
    assert state == admin.state(key)
    assert history.runs[0].since is not None
    for earlier, later in zip(history.runs, history.runs[1:], strict=False):
        assert earlier.until == later.since
    assert {(run.by, run.by_token) for run in history.runs} == {("admin", True)}
    assert history.current.until is None
    return [(str(run.setting), run.how) for run in history.runs]


def test_a_ramp_by_any_means_is_one_story(admin: UnleashAdmin, flag_key: str) -> None:
    dashboard = Dashboard(admin, flag_key)
    seed(admin, flag_key)
    admin.set_rollout(flag_key, 1, expected=0)
    dashboard.edit(5)
    admin.tag(flag_key, "a-tag")
    admin.link(flag_key, "https://example.com/report", "report")
    admin.set_variant_payload(flag_key, {"threshold": 0.93})
    admin.turn_off(flag_key)
    admin.turn_off(flag_key)  # what is off already is not logged
    dashboard.edit(10)
    admin.turn_on(flag_key)
    second = dashboard.add(50)
    dashboard.here("DELETE", "strategies", second)
    story = [
        ("off", "created"),
        ("0 %", "switched on"),
        ("1 %", "rollout 0 % to 1 %"),
        ("5 %", "rollout 1 % to 5 %"),
        ("5 %", "payload changed"),
        ("off", "switched off"),
        ("10 %", "switched on"),
        ("no single rollout", "strategy at 50 % added"),
        ("10 %", "strategy at 50 % removed"),
    ]
    assert told(admin, flag_key) == story
    dashboard.call("DELETE")
    archived = read_history(admin, flag_key)[1]
    assert (str(archived.current.setting), archived.current.how) == ("off", "archived")
    dashboard.revive()
    assert told(admin, flag_key) == [*story, ("off", "archived")]
    admin.turn_on(flag_key)
    assert told(admin, flag_key)[-1] == ("10 %", "switched on")


def test_a_strategy_that_is_disabled_switches_off_and_is_never_replaced_by_all(
    admin: UnleashAdmin, flag_key: str
) -> None:
    dashboard = Dashboard(admin, flag_key)
    seed(admin, flag_key)
    admin.set_rollout(flag_key, 5, expected=0)
    dashboard.edit(5, disabled=True)
    assert told(admin, flag_key)[-2:] == [("5 %", "rollout 0 % to 5 %"), ("off", "switched off")]
    with pytest.raises(FlagShapeError, match="no active strategy"):
        admin.turn_on(flag_key)
    dashboard.edit(5, disabled=False)
    admin.turn_on(flag_key)
    assert told(admin, flag_key)[-1] == ("5 %", "switched on")


def test_the_log_is_read_whole_page_by_page(admin: UnleashAdmin, flag_key: str) -> None:
    seed(admin, flag_key)
    whole = admin.all_events(flag_key)
    assert [event.id for event in whole] == sorted((each.id for each in whole), reverse=True)
    assert len(whole) >= 3
    for page in (1, 2, len(whole)):
        assert admin.all_events(flag_key, page=page) == whole


def test_a_copy_of_a_flag_has_a_history_of_its_own(admin: UnleashAdmin, flag_key: str) -> None:
    seed(admin, flag_key)
    admin.set_rollout(flag_key, 5, expected=0)
    copy = f"{flag_key}-copy"
    Dashboard(admin, flag_key).call("POST", "clone", body={"name": copy, "replaceGroupId": True})
    history = read_history(admin, copy)[1]
    assert not history.current.setting.enabled
    assert history.current.how == "created"


def test_the_words_of_an_act_stay_in_the_log_and_the_last_ones_on_the_flag(
    admin: UnleashAdmin, flag_key: str
) -> None:
    seed(admin, flag_key)
    before = told(admin, flag_key)
    hostile = 'rollback: "quoted" <b>/%2F\\ ü\x00\n'
    assert admin.note(flag_key, "advance: 0 % to 1 %") == "advance: 0 % to 1 %"
    assert admin.note(flag_key, hostile) == 'rollback: "quoted" <b>/%2F\\ ü'
    assert admin.note(flag_key, hostile) == 'rollback: "quoted" <b>/%2F\\ ü'
    assert admin.note(flag_key, "x" * 300) == "x" * 49 + "…"
    tags = admin._api.call("GET", "features", flag_key, "tags")["tags"]
    assert [(tag["type"], tag["value"]) for tag in tags] == [("migration", "x" * 49 + "…")]
    events = admin.all_events(flag_key)
    kinds = [event.type for event in events]
    assert (kinds.count("feature-tagged"), kinds.count("feature-untagged")) == (4, 3)
    notes = [event.note for event in events if event.note]
    assert (len(notes), notes[0], notes[-1]) == (4, "x" * 49 + "…", "advance: 0 % to 1 %")
    assert told(admin, flag_key) == before, "words are not a change"
