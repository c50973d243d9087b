"""Every call of the Admin API, against the real server."""

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from flags.unleash.admin import UnleashAdmin, seed
from flags.unleash.admin.errors import (
    AdminError,
    EnvironmentMissingError,
    FlagChangedError,
    FlagMissingError,
    FlagShapeError,
    NameTakenError,
    NotUnleashError,
    ProjectMissingError,
    RateLimitedError,
    RequestRefusedError,
    RolloutRangeError,
    TokenRefusedError,
    UnleashFailedError,
    UnleashUnreachableError,
)
from flags.unleash.local import LocalUnleash
from flags.unleash.local.server import free_port

pytest_plugins = ("tests.support.unleash.server",)


@pytest.fixture
def admin(unleash: LocalUnleash) -> Iterator[UnleashAdmin]:
    with UnleashAdmin(unleash.sdk_url, unleash.admin_token, unleash.environment) as admin:
        yield admin


@pytest.fixture
def seeded(admin: UnleashAdmin, flag_key: str) -> str:
    """A flag as `init` leaves it: on, at 0 %."""
    seed(admin, flag_key)
    return flag_key


def admin_call(unleash: LocalUnleash, method: str, path: str, body: object = None) -> None:
    """Do by hand what `UnleashAdmin` would not do."""
    requests.request(
        method,
        f"{unleash.url}/api/admin/{path}",
        json=body,
        headers={"Authorization": unleash.admin_token},
        timeout=5,
    ).raise_for_status()


def what_the_sdk_sees(unleash: LocalUnleash, key: str) -> dict | None:
    answer = requests.get(
        f"{unleash.sdk_url}/client/features",
        headers={"Authorization": unleash.client_token},
        timeout=5,
    )
    return next((flag for flag in answer.json()["features"] if flag["name"] == key), None)


def outcomes(admin: UnleashAdmin, key: str) -> list[tuple[str, str]]:
    return [(each.outcome, each.detail) for each in seed(admin, key)]


def test_seeding_twice_changes_nothing_the_second_time(admin: UnleashAdmin, flag_key: str) -> None:
    first = [each.outcome for each in seed(admin, flag_key)]
    events = len(admin.events(flag_key))
    assert first[1:] == ["created", "created"]
    assert [each.outcome for each in seed(admin, flag_key)] == ["present"] * 3
    assert len(admin.events(flag_key)) == events


def test_a_seeded_flag_waits_at_0_percent_for_its_slider(
    admin: UnleashAdmin, unleash: LocalUnleash, seeded: str
) -> None:
    state = admin.state(seeded)
    assert (state.enabled, state.rollout, state.archived) == (True, 0, False)
    assert (state.stickiness, state.group_id, state.type) == ("requestId", seeded, "release")
    assert state.url == f"{unleash.url}/projects/default/features/{seeded}"
    shadow = admin.state(f"{seeded}.shadow")
    assert (shadow.enabled, shadow.rollout, shadow.type) == (True, 100, "kill-switch")
    assert requests.get(state.url, timeout=5).status_code == 200


def test_a_ramped_flag_is_refused_and_nothing_is_created(
    admin: UnleashAdmin, unleash: LocalUnleash, flag_key: str
) -> None:
    admin.create_flag(flag_key, "release", "")
    admin.add_rollout(flag_key, 10, "requestId")
    assert outcomes(admin, flag_key) == [("refused", "rollout is 10 %, not 0 %")]
    with pytest.raises(FlagMissingError):
        admin.state(f"{flag_key}.shadow")
    assert admin.state(flag_key).enabled is False


def test_every_difference_of_a_flag_is_said(
    admin: UnleashAdmin, unleash: LocalUnleash, flag_key: str
) -> None:
    admin.create_flag(flag_key, "release", "")
    place = f"projects/default/features/{flag_key}/environments/development/strategies"
    parameters = {"rollout": "150", "stickiness": "userId", "groupId": "other"}
    body = {"name": "flexibleRollout", "parameters": parameters}
    admin_call(unleash, "POST", place, body)
    assert [detail for _, detail in outcomes(admin, flag_key)] == [
        "rollout is 150 %, not 0 %",
        "stickiness is userId, not requestId",
        f"groupId is other, not {flag_key}",
    ]
    admin_call(unleash, "POST", place, body)
    assert outcomes(admin, flag_key) == [
        ("refused", "has 2 strategies (flexibleRollout, flexibleRollout), not one gradual rollout")
    ]
    with pytest.raises(FlagShapeError, match="2 strategies"):
        admin.set_rollout(flag_key, 10)


def test_a_seeding_that_was_broken_off_is_completed(admin: UnleashAdmin, flag_key: str) -> None:
    admin.create_flag(flag_key, "release", "")
    assert outcomes(admin, flag_key)[1] == ("changed", "on in development, 0 %")


def test_a_flag_switched_off_by_a_person_is_left_off(admin: UnleashAdmin, seeded: str) -> None:
    admin.turn_off(seeded)
    assert outcomes(admin, seeded)[1] == ("present", "off in development, 0 %")
    assert admin.state(seeded).enabled is False


@pytest.mark.parametrize("percent", [1, 5, 10, 50, 100, 0])
def test_the_rollout_that_is_set_is_what_the_sdk_gets(
    admin: UnleashAdmin, unleash: LocalUnleash, seeded: str, percent: int
) -> None:
    admin.set_rollout(seeded, percent)
    assert admin.state(seeded).rollout == percent
    deadline = time.monotonic() + 5
    while True:
        flag = what_the_sdk_sees(unleash, seeded)
        if flag and flag["strategies"][0]["parameters"]["rollout"] == str(percent):
            break
        assert time.monotonic() < deadline, flag
        time.sleep(0.1)


@pytest.mark.parametrize("percent", [150, -1, 2.5, "25"])
def test_a_rollout_out_of_range_never_reaches_the_server(
    admin: UnleashAdmin, seeded: str, percent: int
) -> None:
    with pytest.raises(RolloutRangeError):
        admin.set_rollout(seeded, percent)
    assert admin.state(seeded).rollout == 0


def test_raising_a_rollout_that_somebody_has_just_lowered_is_refused(
    admin: UnleashAdmin, seeded: str
) -> None:
    admin.set_rollout(seeded, 25)
    admin.set_rollout(seeded, 0)
    with pytest.raises(FlagChangedError, match="at 0 %, not at 25 %"):
        admin.set_rollout(seeded, 50, expected=25)
    assert admin.state(seeded).rollout == 0


def test_a_rollout_lowered_while_it_is_raised_stays_low(
    admin: UnleashAdmin, seeded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server compares before it writes: the other hand moves between our look and our move."""
    admin.set_rollout(seeded, 25)
    looked = admin.state(seeded)
    admin.set_rollout(seeded, 0)
    monkeypatch.setattr(admin, "state", lambda _key: looked)
    with pytest.raises(FlagChangedError, match="by somebody else"):
        admin.set_rollout(seeded, 50)
    monkeypatch.undo()
    assert admin.state(seeded).rollout == 0


@pytest.mark.parametrize("reached", [5, 10])
def test_a_step_that_somebody_else_has_taken_meanwhile_is_not_taken_again(
    admin: UnleashAdmin, seeded: str, reached: int
) -> None:
    """Neither is the same rollout set once more, nor a step beyond it undone."""
    admin.set_rollout(seeded, reached)
    changes = len(admin.all_events(seeded))
    with pytest.raises(FlagChangedError, match=f"at {reached} %, not at 0 %"):
        admin.set_rollout(seeded, 5, expected=0)
    assert admin.state(seeded).rollout == reached
    assert len(admin.all_events(seeded)) == changes


def test_lowering_is_never_held_up_by_what_was_expected(admin: UnleashAdmin, seeded: str) -> None:
    admin.set_rollout(seeded, 50)
    admin.set_rollout(seeded, 0, expected=99)
    assert admin.state(seeded).rollout == 0


def test_switching_off_and_on_keeps_the_rollout(admin: UnleashAdmin, seeded: str) -> None:
    admin.set_rollout(seeded, 25)
    admin.turn_off(seeded)
    assert (admin.state(seeded).enabled, admin.state(seeded).rollout) == (False, 25)
    admin.turn_on(seeded)
    assert (admin.state(seeded).enabled, admin.state(seeded).rollout) == (True, 25)


def test_a_flag_without_strategy_is_not_switched_on_for_everyone(
    admin: UnleashAdmin, flag_key: str
) -> None:
    admin.create_flag(flag_key, "release", "")
    with pytest.raises(FlagShapeError, match="100 %"):
        admin.turn_on(flag_key)
    assert admin.state(flag_key).strategies == ()


def test_a_payload_survives_a_move_of_the_rollout_and_can_be_removed(
    admin: UnleashAdmin, unleash: LocalUnleash, seeded: str
) -> None:
    admin.set_variant_payload(seeded, {"threshold": 0.93})
    admin.set_rollout(seeded, 10)
    state = admin.state(seeded)
    assert (state.payload, state.variants) == ({"threshold": 0.93}, ("candidate",))
    admin.set_variant_payload(seeded, None)
    assert (admin.state(seeded).payload, admin.state(seeded).variants) == (None, ())


def test_the_event_log_says_what_moved_from_where_to_where(
    admin: UnleashAdmin, seeded: str
) -> None:
    admin.set_rollout(seeded, 10)
    admin.turn_off(seeded)
    off, moved, *earlier = admin.events(seeded)
    assert (off.type, off.enabled) == ("feature-environment-disabled", False)
    assert (moved.rollout_before, moved.rollout_after, moved.enabled) == (0, 10, None)
    assert (moved.stickiness_before, moved.stickiness_after) == ("requestId", "requestId")
    assert (moved.by, moved.by_token) == ("admin", True)
    assert off.time >= moved.time
    assert earlier[-1].type == "feature-created"
    assert len(admin.events(seeded, limit=1)) == 1


def test_a_person_logged_in_is_told_from_a_token(
    admin: UnleashAdmin, unleash: LocalUnleash, seeded: str
) -> None:
    password = unleash.data.credentials().admin_password
    with requests.Session() as browser:
        browser.post(
            f"{unleash.url}/auth/simple/login",
            json={"username": "admin", "password": password},
            timeout=5,
        ).raise_for_status()
        place = f"projects/default/features/{seeded}/environments/development/off"
        browser.post(f"{unleash.url}/api/admin/{place}", timeout=5).raise_for_status()
    assert admin.events(seeded)[0].by_token is False


def test_tags_and_links_are_put_on_the_flag(
    admin: UnleashAdmin, unleash: LocalUnleash, seeded: str
) -> None:
    admin.tag(seeded, "rolled-back")
    admin.link(seeded, "https://example.org/report.html", "comparison report")
    headers = {"Authorization": unleash.admin_token}
    place = f"{unleash.url}/api/admin"
    tags = requests.get(f"{place}/features/{seeded}/tags", headers=headers, timeout=5).json()
    assert [tag["value"] for tag in tags["tags"]] == ["rolled-back"]
    page = f"{place}/projects/default/features/{seeded}"
    links = requests.get(page, headers=headers, timeout=5).json()["links"]
    assert [link["url"] for link in links] == ["https://example.org/report.html"]


def test_an_archived_flag_is_told_from_a_missing_one(
    admin: UnleashAdmin, unleash: LocalUnleash, seeded: str
) -> None:
    admin_call(unleash, "DELETE", f"projects/default/features/{seeded}")
    state = admin.state(seeded)
    assert (state.archived, state.enabled, state.rollout) == (True, False, None)
    assert outcomes(admin, seeded)[0][0] == "refused"
    with pytest.raises(NameTakenError, match="archived"):
        admin.create_flag(seeded, "release", "")
    with pytest.raises(FlagMissingError, match=f"no flag {seeded}x"):
        admin.state(f"{seeded}x")


def test_a_context_field_that_lost_its_stickiness_gets_it_back(
    admin: UnleashAdmin, unleash: LocalUnleash
) -> None:
    body = {"name": "tenant", "description": "the tenant", "legalValues": [{"value": "a"}]}
    admin_call(unleash, "POST", "context", body)
    assert admin.ensure_context_field("tenant", stickiness=True) == "changed"
    assert admin.ensure_context_field("tenant", stickiness=True) == "present"
    headers = {"Authorization": unleash.admin_token}
    field = requests.get(f"{unleash.url}/api/admin/context/tenant", headers=headers, timeout=5)
    assert field.json()["description"] == "the tenant"
    assert [legal["value"] for legal in field.json()["legalValues"]] == ["a"]


def test_several_may_make_a_context_field_at_the_same_moment(admin: UnleashAdmin) -> None:
    """Unleash answers 409 or, where both have found it absent, 500."""
    together = threading.Barrier(6)

    def make(name: str) -> str:
        together.wait(10)
        return admin.ensure_context_field(name, stickiness=True)

    with ThreadPoolExecutor(6) as pool:
        for number in range(8):
            made = list(pool.map(make, [f"region{number}"] * 6))
            assert sorted(made) == ["created", *["present"] * 5]


def test_the_client_token_is_made_once(admin: UnleashAdmin, unleash: LocalUnleash) -> None:
    assert admin.client_token("bentoml-flags") == unleash.client_token
    assert unleash.client_token.startswith("default:development.")


@pytest.mark.parametrize("call", ["state", "turn_on", "turn_off", "set_rollout"])
def test_what_is_missing_is_named(unleash: LocalUnleash, seeded: str, call: str) -> None:
    places = {
        FlagMissingError: ("development", "default", "no-such-flag"),
        EnvironmentMissingError: ("staging", "default", seeded),
        ProjectMissingError: ("development", "atlantis", seeded),
    }
    for error, (environment, project, key) in places.items():
        with UnleashAdmin(unleash.url, unleash.admin_token, environment, project) as lost:
            arguments = (key, 10) if call == "set_rollout" else (key,)
            with pytest.raises(error):
                getattr(lost, call)(*arguments)


def test_a_missing_environment_or_project_stops_the_seeding(
    unleash: LocalUnleash, flag_key: str
) -> None:
    with (
        UnleashAdmin(unleash.url, unleash.admin_token, "staging") as lost,
        pytest.raises(EnvironmentMissingError, match="only development, production"),
    ):
        seed(lost, flag_key)
    with (
        UnleashAdmin(unleash.url, unleash.admin_token, "development", "atlantis") as lost,
        pytest.raises(ProjectMissingError, match="no project atlantis"),
    ):
        seed(lost, flag_key)


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [(True, "does not know this admin token"), (False, "it is not an admin token")],
)
def test_a_token_that_does_not_do_is_said_and_not_quoted(
    unleash: LocalUnleash, unknown: bool, reason: str
) -> None:
    token = "*:*.unknown" if unknown else unleash.client_token
    with UnleashAdmin(unleash.url, token, "development") as admin:
        with pytest.raises(TokenRefusedError, match=reason) as refusal:
            admin.state("f")
        assert token not in str(refusal.value)


def test_what_unleash_says_about_a_bad_request_is_passed_on(
    admin: UnleashAdmin, flag_key: str
) -> None:
    with pytest.raises(RequestRefusedError, match="allowed values"):
        admin.create_flag(flag_key, "nonsense", "")


def test_nothing_listening_is_unreachable(unleash: LocalUnleash) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with UnleashAdmin(url, unleash.admin_token, "development") as admin:
        with pytest.raises(UnleashUnreachableError, match="no Unleash answers") as failure:
            admin.state("f")
        assert unleash.admin_token not in str(failure.value)


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        url = f"http://127.0.0.1:{hole.getsockname()[1]}"
        started = time.monotonic()
        with (
            UnleashAdmin(url, "*:*.x", "development", timeout=0.5) as admin,
            pytest.raises(UnleashUnreachableError, match="Timeout"),
        ):
            admin.state("f")
        assert time.monotonic() - started < 10


def test_a_page_of_the_dashboard_is_not_an_admin_api(unleash: LocalUnleash, flag_key: str) -> None:
    """Unleash itself answers HTML and status 200 below any wrong path."""
    with UnleashAdmin(f"{unleash.url}/wrong", unleash.admin_token, "development") as admin:
        with pytest.raises(NotUnleashError, match="text/html"):
            admin.state(flag_key)
        with pytest.raises(AdminError):
            admin.turn_off(flag_key)


@contextlib.contextmanager
def some_website(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (200, {"Content-Type": "application/json"}, b"[]", NotUnleashError),
        (200, {"Content-Type": "application/json"}, b'{"name": 1}', NotUnleashError),
        (200, {}, b"", NotUnleashError),
        (302, {"Location": "https://login.example.org"}, b"", NotUnleashError),
        (404, {"Content-Type": "text/html"}, b"<h1>not here</h1>", NotUnleashError),
        (502, {"Content-Type": "text/html"}, b"<h1>bad gateway</h1>", UnleashFailedError),
        (429, {"Content-Type": "text/html"}, b"Too many requests", RateLimitedError),
    ],
)
def test_a_website_that_is_not_unleash_is_told_from_one(
    status: int, headers: dict[str, str], body: bytes, error: type[AdminError]
) -> None:
    with (
        some_website(status, headers, body) as url,
        UnleashAdmin(url, "*:*.x", "development") as admin,
        pytest.raises(error),
    ):
        admin.state("f")
