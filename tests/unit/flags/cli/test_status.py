"""What the status of a migration says, from what Unleash and the workers say."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from flags.cli.status import status
from flags.cli.status_table import print_status
from flags.errors import NoMigrationEndpointError, ServiceUnreachableError
from flags.monitoring.worker_state import (
    LIVE_PATH,
    WORKERS_PATH,
    PairCounts,
    ShippingCounts,
    Workers,
)
from flags.operate.status import Change, MigrationStatus, Upcoming
from flags.operate.watch import running_workers
from flags.playbook.stages import Stage
from flags.unleash.admin import FlagEvent, FlagState, Strategy
from service.serving import free_port
from tests.support.worker_states import NOON, worker_flag, worker_state, workers

FLAG = "fraud-detector-v2"
TOKEN = "*:*.secret"  # noqa: S105 - made up


def unleash(
    rollout: int | None = 10, *, enabled: bool = True, stickiness: str = "requestId", **others: Any
) -> FlagState:
    """Return the flag as Unleash has it."""
    strategy = Strategy(
        "s1", "flexibleRollout", False, rollout, str(rollout), stickiness, FLAG, 0, (), None
    )
    common: dict[str, Any] = {
        "key": FLAG,
        "type": "release",
        "environment": "development",
        "enabled": enabled,
        "archived": False,
        "strategies": (strategy,),
        "url": "http://127.0.0.1:4242/projects/default/features/fraud-detector-v2",
    }
    return FlagState(**{**common, **others})


def event(kind: str, number: int = 1, **others: Any) -> FlagEvent:
    """Return an entry of the event log."""
    common: dict[str, Any] = {
        "id": number,
        "time": NOON - timedelta(minutes=5),
        "by": "ada",
        "by_token": False,
        "type": kind,
        "environment": "development",
        **dict.fromkeys(
            ("enabled", "rollout_before", "rollout_after", "stickiness_before", "stickiness_after")
        ),
    }
    return FlagEvent(**{**common, **others})


def seen(*states: Any, flag: FlagState | None = None, **others: Any) -> MigrationStatus:
    return MigrationStatus.of(FLAG, unleash=flag, workers=workers(*states), **others)


# --- stage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rollout", "stage"),
    [
        (0, Stage.SHADOW),
        (1, Stage.CANARY),
        (10, Stage.CANARY),
        (11, Stage.RAMP),
        (50, Stage.RAMP),
        (100, Stage.RAMP),
        (None, None),
    ],
)
def test_the_stage_is_derived_from_the_rollout(rollout: int | None, stage: Stage | None) -> None:
    assert MigrationStatus.of(FLAG, unleash=unleash(rollout)).stage is stage
    assert MigrationStatus.of(FLAG, unleash=unleash(rollout, enabled=False)).stage is Stage.OFF


def test_a_flag_that_is_on_without_a_strategy_is_on_for_everyone() -> None:
    found = MigrationStatus.of(FLAG, unleash=unleash(strategies=()))
    assert found.stage is Stage.RAMP
    assert found.as_plain()["rollout"] == 100


def test_an_archived_flag_is_off() -> None:
    found = MigrationStatus.of(FLAG, unleash=unleash(enabled=False, archived=True, strategies=()))
    assert found.stage is Stage.OFF


def test_several_strategies_make_no_stage() -> None:
    state = unleash()
    both = MigrationStatus.of(FLAG, unleash=unleash(strategies=state.strategies * 2))
    assert both.stage is None


def test_without_unleash_the_stage_is_what_the_workers_agree_on() -> None:
    found = seen(worker_state("w1"), worker_state("w2"))
    assert (found.stage, found.seen.followed) == (Stage.CANARY, None)
    assert [each.follows for each in found.workers] == [None, None]
    nothing = seen()
    assert (nothing.stage, nothing.view, nothing.seen.followed) == (None, None, None)


def test_workers_that_differ_are_seen_without_unleash_too() -> None:
    found = seen(worker_state("w1"), worker_state("w2", flag=worker_flag(rollout=50.0)))
    assert found.seen.workers_differ
    assert (found.stage, found.seen.followed) == (None, False)


# --- followed or not ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "sees", "follows"),
    [
        (unleash(10), worker_flag(rollout=10.0), True),
        (unleash(25), worker_flag(rollout=10.0), False),
        (unleash(10, enabled=False), worker_flag(rollout=10.0), False),
        (unleash(10), worker_flag(rollout=10.0, enabled=False), False),
        (unleash(10, enabled=False), worker_flag(rollout=99.0, enabled=False), True),
        (unleash(10, stickiness="userId"), worker_flag(rollout=10.0), False),
        (unleash(10), worker_flag(enabled=None, rollout=None, stickiness=None), False),
        (unleash(None), worker_flag(rollout=None), None),
        (unleash(10), worker_flag(provider="other", enabled=None, shows_flag=False), None),
    ],
)
def test_a_worker_follows_if_requests_fare_as_unleash_has_it(
    flag: FlagState, sees: Any, follows: bool | None
) -> None:
    found = seen(worker_state(flag=sees), flag=flag)
    assert [each.follows for each in found.workers] == [follows]
    assert found.seen.followed is follows
    assert any("not followed" in each for each in found.workers[0].remarks) == (follows is False)


def test_one_worker_that_has_not_followed_is_named_with_what_it_sees() -> None:
    behind = worker_state("w2", flag=worker_flag(rollout=5.0, state="stale", error="no answer"))
    found = seen(worker_state("w1"), behind, flag=unleash(10))
    assert found.seen.followed is False
    assert found.workers[0].remarks == ()
    assert found.workers[1].remarks == (
        "has not followed: it sees 5 %, requestId; the flag is 10 %, requestId",
        "reads its flags from http://127.0.0.1:4242/api",
        "its flags are stale",
        "no answer",
    )


def test_what_needs_a_look_is_remarked() -> None:
    state = worker_state(
        flag=worker_flag(thresholds={"score": 0.93}, warnings=("stickiness is odd",)),
        pairs=PairCounts(9, waiting=4, lag_seconds=40.2, dropped={"enospc": 1_200}),
        silence=30,
    )
    (found,) = seen(state, flag=unleash()).workers
    assert found.silent
    assert found.remarks == (
        "is silent for 30 s: it hangs, or stopped",
        "stickiness is odd",
        "the flag sets the threshold of score: 0.93",
        "4 pairs wait for the disk, the oldest for 40 s",
        "1,200 pairs dropped: enospc",
    )


def test_pairs_that_do_not_reach_their_receiver_are_remarked() -> None:
    shipping = ShippingCounts(
        "http://collector:4318", 7, {"http_400": 3}, {"connection": 9}, 12_345, 40.2
    )
    (found,) = seen(worker_state(shipping=shipping)).workers
    assert found.remarks == (
        "12,345 bytes of pairs wait for http://collector:4318, sent in vain for 40 s",
        "3 spans not taken by http://collector:4318: http_400",
    )
    (found,) = seen(worker_state(shipping=replace(shipping, rejected={}, lag_seconds=3))).workers
    assert found.remarks == ()


# --- the last change ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (event("feature-environment-disabled", enabled=False), "switched off"),
        (event("feature-environment-enabled", enabled=True), "switched on"),
        (
            event("feature-strategy-update", rollout_before=5, rollout_after=10),
            "rollout 5 % to 10 %",
        ),
        (event("feature-strategy-add", rollout_after=0), "rollout 0 %"),
        (
            event(
                "feature-strategy-update",
                rollout_before=5,
                rollout_after=5,
                stickiness_before="requestId",
                stickiness_after="userId",
            ),
            "stickiness requestId to userId",
        ),
        (event("feature-strategy-update", rollout_before=5, rollout_after=5), "strategy update"),
        (event("feature-archived"), "archived"),
    ],
)
def test_the_last_change_is_said_in_words(entry: FlagEvent, words: str) -> None:
    change = Change.last([entry])
    assert change is not None
    assert (change.what, change.by, change.time) == (words, "ada", entry.time)


def test_tags_and_links_are_not_a_change() -> None:
    moved = event("feature-strategy-update", rollout_before=5, rollout_after=10, by="grace")
    change = Change.last([event("feature-tagged"), event("feature-link-added"), moved, event("x")])
    assert change is not None
    assert (change.by, change.note) == ("grace", None)


def test_the_reason_that_was_kept_on_the_flag_since_the_last_change_is_printed() -> None:
    note = event("feature-tagged", note="rollback: p99 doubled")
    older = event("feature-tagged", note="advance: held for 1d")
    off = event("feature-environment-disabled", enabled=False)
    found = MigrationStatus.of(FLAG, unleash=unleash(enabled=False), events=[note, off, older])
    assert "note         rollback: p99 doubled, 5 min ago by ada" in printed(found)
    found = MigrationStatus.of(FLAG, unleash=unleash(enabled=False), events=[off, note, older])
    assert not any(line.startswith("note") for line in printed(found))
    assert Change.last([event("feature-tagged")]) is None


# --- on the terminal ------------------------------------------------------------------------------


def printed(found: MigrationStatus, width: int = 80) -> list[str]:
    out = StringIO()
    print_status(found, Console(file=out, width=width, highlight=False), NOON)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_everything_fits_into_eighty_columns() -> None:
    changes = [event("feature-strategy-update", rollout_before=5, rollout_after=100)]
    states = [
        worker_state(f"{number}bcdef01-2345", flag=flag, pid=4_194_304, pairs=pairs)
        for number, (flag, pairs) in enumerate(
            [
                (worker_flag(rollout=100.0), PairCounts(12_345_678)),
                (worker_flag(rollout=5.0), PairCounts(1, dropped={"enospc": 123_456})),
                (worker_flag(enabled=None, state="not_ready", age_seconds=3600.0), PairCounts(0)),
                (worker_flag(rollout=100.0, stickiness="sessionId"), PairCounts(5)),
            ]
        )
    ]
    lines = printed(seen(*states, flag=unleash(100), events=changes))
    assert lines[:6] == [
        "fraud-detector-v2: ramp, 100 %",
        "flag         on in development, 100 %, sticky on requestId",
        "last change  rollout 5 % to 100 %, 5 min ago (2026-03-01 11:55:00 UTC)",
        "changed by   ada",
        "dashboard    http://127.0.0.1:4242/projects/default/features/fraud-detector-v2",
        "service      FraudDetector, 4 workers: 3 NOT FOLLOWING",
    ]
    rows = [line for line in lines if line[1:].startswith("bcdef01 ")]
    assert [" ".join(row.split()) for row in rows] == [
        "0bcdef01 4194304 ready 0.5s 100 % yes 12,345,678 0",
        "1bcdef01 4194304 ready 0.5s 5 % NO 1 123,456",
        "2bcdef01 4194304 not ready 60m nothing NO 0 0",
        "3bcdef01 4194304 ready 0.5s 100 %, sessionId NO 5 0",
    ]
    assert max(map(len, lines[: lines.index(rows[-1]) + 1])) <= 80


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (worker_flag(), "2 workers: all see the same"),
        (worker_flag(rollout=50.0), "2 workers: they DIFFER"),
    ],
)
def test_without_unleash_the_workers_are_held_against_each_other(second: Any, words: str) -> None:
    lines = printed(seen(worker_state("w1"), worker_state("w2", flag=second)))
    assert lines[2] == f"service      FraudDetector, {words}"
    assert ("the workers do not agree on the flag" in lines) == ("DIFFER" in words)


def test_a_terminal_cannot_be_steered_from_the_dashboard() -> None:
    change = event("feature-strategy-update", rollout_after=1, by="\x1b[2Jada [red]")
    state = worker_state(
        "\x1b]0;owned", flag=worker_flag(error="\x1b[31m[bold]no", stickiness="\r\n")
    )
    lines = printed(seen(state, flag=unleash(), events=[change]))
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "\r" not in text
    assert "ada [red]" in text
    assert "[bold]no" in text


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=-3), "0 s ago"),
        (timedelta(seconds=119), "119 s ago"),
        (timedelta(minutes=2), "2 min ago"),
        (timedelta(hours=30), "30 h ago"),
        (timedelta(days=3), "3 days ago"),
    ],
)
def test_the_age_of_a_change_is_in_the_unit_that_tells_most(age: timedelta, words: str) -> None:
    entry = event("feature-archived", time=NOON - age)
    assert words in printed(MigrationStatus.of(FLAG, unleash=unleash(), events=[entry]))[2]


# --- the command ----------------------------------------------------------------------------------


@contextmanager
def answering(
    code: int, body: bytes, live: bytes = b"{}", **headers: str
) -> Iterator[tuple[str, list[str]]]:
    """Answer every request the same, but for the live page's figures; give URL and paths asked."""
    paths: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(code)
            for name, text in headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(live if self.path.endswith(LIVE_PATH) else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", paths
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said_now(**others: Any) -> bytes:
    now = datetime.now(UTC)
    return Workers("S", FLAG, now, (worker_state(heartbeat=now, **others),)).to_json()


def run(*arguments: str, **variables: str) -> Result:
    names = ("UNLEASH_URL", "UNLEASH_ADMIN_TOKEN")
    env = {name: variables.get(name) for name in names}
    return CliRunner().invoke(status, list(arguments), env=env)


def test_the_workers_are_asked_under_the_path_prefix() -> None:
    with answering(200, said_now()) as (url, paths):
        assert running_workers(f" {url}/claims/ ").service == "S"
    assert paths == [f"/claims{WORKERS_PATH}"]


@pytest.mark.parametrize(
    ("code", "body", "error"),
    [
        (500, b"", ServiceUnreachableError),
        (429, b"", ServiceUnreachableError),
        (404, b"Not Found", NoMigrationEndpointError),
        (200, b"<html>", NoMigrationEndpointError),
        (200, b'{"workers": 3}', NoMigrationEndpointError),
        (307, b"", NoMigrationEndpointError),
    ],
)
def test_what_is_not_an_answer_of_a_migrated_service_is_an_error_that_names_the_url(
    code: int, body: bytes, error: type[Exception]
) -> None:
    with (
        answering(code, body, Location="http://127.0.0.1:9/") as (url, _),
        pytest.raises(error, match=url),
    ):
        running_workers(url)


def test_without_a_token_the_workers_are_shown_and_what_is_not_known() -> None:
    with answering(200, said_now()) as (url, _):
        shown = run("--service", url)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == "fraud-detector-v2: canary, 10 %"
    assert lines[1] == "flag         on, 10 %, sticky on requestId (as the workers see it)"
    assert lines[2] == "service      S, 1 worker: all see the same"
    assert "UNLEASH_URL is not set: who changed the flag last is not known" in shown.stdout


def test_the_last_verdict_says_what_the_step_waits_for() -> None:
    verdict = {
        "flag": FLAG,
        "step": "canary, 10 %",
        "decision": "HOLD",
        "reasons": ["held for 3h of 1d", "x" * 200, "too few", "a fourth"],
        "rollout": 10,
        "stage": "canary",
        "at": datetime.now(UTC) - timedelta(minutes=5),
    }
    with answering(200, said_now(), live=orjson.dumps({"verdict": verdict})) as (url, _):
        shown = run("--service", url)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    begin = lines.index("verdict      HOLD, 5 min ago")
    assert [line.rstrip() for line in lines[begin + 1 : begin + 7]] == [
        f"{'':13}- held for 3h of 1d",
        f"{'':13}- {'x' * 65}",
        f"{'':15}{'x' * 65}",
        f"{'':15}{'x' * 30}…",
        f"{'':13}- too few",
        f"{'':13}- and 1 more: `bentoml migration gate` has all",
    ]
    assert max(map(len, lines)) <= 100
    other = {**verdict, "rollout": 5}
    with answering(200, said_now(), live=orjson.dumps({"verdict": other})) as (url, _):
        assert "verdict " not in run("--service", url).stdout


@pytest.mark.parametrize(
    ("passed", "line"),
    [
        (timedelta(0), "progress     [....................] 0 % of the 1d that this step is held"),
        (timedelta(hours=6), "progress     [#####...............] 25 % of the 1d that this step"),
        (timedelta(days=3), "progress     [####################] 100 % of the 1d that this step"),
    ],
)
def test_the_progress_is_the_share_of_the_hold_that_is_over(passed: timedelta, line: str) -> None:
    began = NOON - passed
    upcoming = Upcoming("ramp, 50 %", began, began + timedelta(days=1), needs_approval=False)
    found = replace(MigrationStatus.of(FLAG, unleash=unleash()), upcoming=upcoming)
    assert any(each.startswith(line) for each in printed(found))


@pytest.mark.parametrize(("code", "exit_code"), [(503, 1), (404, 2)])
def test_the_exit_code_says_whether_asking_again_may_help(code: int, exit_code: int) -> None:
    with answering(code, b"") as (url, _):
        shown = run("--service", url, "--flag", FLAG)
    assert shown.exit_code == exit_code
    assert shown.stdout.startswith(f"{FLAG}: stage unknown\n")
    assert f"service      not shown: {url} answers" in shown.stdout


def test_an_unleash_that_is_down_leaves_the_workers_on_the_screen() -> None:
    with answering(200, said_now()) as (url, _):
        dead = f"http://127.0.0.1:{free_port()}"
        shown = run("--service", url, UNLEASH_URL=dead, UNLEASH_ADMIN_TOKEN=TOKEN)
    assert shown.exit_code == 1
    assert f"Unleash      not shown: no Unleash answers at {dead}" in shown.stdout
    assert "canary, 10 %" in shown.stdout
    assert TOKEN not in shown.output


def test_without_a_service_and_a_flag_there_is_nothing_to_show() -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    shown = run("--service", dead)
    assert shown.exit_code == 1
    assert shown.stdout == ""
    assert shown.stderr.startswith(f"Error: no service answers at {dead}")
    assert "--flag" in shown.stderr


def test_json_is_all_there_is_on_stdout() -> None:
    with answering(200, said_now(flag=worker_flag(state="stale"))) as (url, _):
        shown = run("--service", url, "--json")
    found = json.loads(shown.stdout)
    assert (found["flag"], found["stage"], found["rollout"]) == (FLAG, "canary", 10.0)
    assert (found["enabled"], found["stickiness"], found["followed"]) == (True, "requestId", None)
    (worker,) = found["workers"]
    assert worker["remarks"] == ["its flags are stale"]
    assert worker["state"]["flag"]["state"] == "stale"
    assert list(found["not_shown"]) == ["Unleash"]


def test_help_has_an_example() -> None:
    assert "Example: bentoml migration status --service" in run("--help").output
