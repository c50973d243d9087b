"""Operational alarms of a real Prometheus and a real Alertmanager, and of sources that fail."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flags.gate.alarm_states import AlarmReading, alarm_state
from flags.gate.evidence import AlarmState
from flags.operate.alarms.sources import AlarmSources
from flags.playbook.model import Playbook
from tests.support.faulty_proxy import Fault, FaultyProxy
from tests.support.prometheus import (
    Exporter,
    fire,
    needs_prometheus,
    running_alertmanager,
    running_prometheus,
    scraping,
    silence,
)
from tests.support.webhook import Webhook

PASSED, HOLD, ROLLBACK, UNKNOWN = AlarmState
LIMITS = {"hold": {"above": 100}, "rollback": {"above": 200}}


class Watched:
    """Both servers, and what Prometheus scrapes."""

    def __init__(self, prometheus: str, alertmanager: str, exporter: Exporter) -> None:
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self.exporter = exporter

    def look(self, at: str | None = None, **alarm: Any) -> tuple[AlarmState, str]:
        """Return state and reason of one alarm, asked now."""
        return look(at or self.prometheus, self.alertmanager, {}, **alarm)


def look(
    prometheus: str | None,
    alertmanager: str | None,
    environment: dict[str, str],
    /,
    **alarm: Any,
) -> tuple[AlarmState, str]:
    playbook = Playbook.model_validate({"flag": "f", "alarms": {"queue": alarm}})
    sources = AlarmSources(prometheus, alertmanager, environment)
    (reading,) = sources.read(playbook, datetime.now(UTC))
    found = alarm_state(reading, playbook.alarms["queue"])
    return found.state, found.reason


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("alarms")
    with (
        Exporter() as exporter,
        running_prometheus(folder, scraping(exporter.port)) as prometheus,
        running_alertmanager(folder) as alertmanager,
    ):
        yield Watched(prometheus, alertmanager, exporter)


def eventually(condition: Callable[[], bool], within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# --- Prometheus -----------------------------------------------------------------------------------


@needs_prometheus
def test_a_value_is_within_its_limits_or_holds_or_is_beyond_the_rollback_limit(
    watched: Watched,
) -> None:
    series = 'review_queue{team="fraud"}'
    for value, state, words in (
        (40, PASSED, '40 {instance="127.0.0.1'),
        (150, HOLD, "hold limit above 100"),
        (250, ROLLBACK, "rollback limit above 200"),
    ):
        watched.exporter.series[series] = value
        assert eventually(lambda s=state: watched.look(**query())[0] is s)  # type: ignore[misc]
        assert words in watched.look(**query())[1]


def query(text: str = "review_queue", **more: Any) -> dict[str, Any]:
    return {"prometheus": text, **LIMITS, **more}


@needs_prometheus
def test_of_several_series_the_worst_one_counts_and_is_named(watched: Watched) -> None:
    watched.exporter.series |= {'lag{host="a"}': 5, 'lag{host="b"}': 150, 'lag{host="c"}': -3}
    assert eventually(lambda: 'host="b"' in watched.look(**query("lag"))[1])
    below = {"prometheus": "lag", "hold": {"below": 0}}
    state, reason = watched.look(**below)
    assert (state, 'host="c"' in reason) == (HOLD, True)


@needs_prometheus
@pytest.mark.parametrize(
    ("empty", "state"), [("hold", HOLD), ("pass", PASSED), ("rollback", ROLLBACK)]
)
def test_a_query_without_a_result_is_what_the_playbook_says(
    watched: Watched, empty: str, state: AlarmState
) -> None:
    found = watched.look(**query("nothing_of_that_name", empty=empty))
    assert found == (state, f"the query yields nothing (empty: {empty})")


@needs_prometheus
def test_a_scalar_is_a_value_and_infinity_is_beyond_any_limit(watched: Watched) -> None:
    assert watched.look(**query("scalar(vector(7))")) == (PASSED, "7, limit above 100")
    state, reason = watched.look(**query("vector(1) / 0"))
    assert (state, reason) == (ROLLBACK, "infinity, rollback limit above 200")


@needs_prometheus
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vector(0) / 0", "1 of 1 values are not a number (NaN)"),
        ("sum(", "refuses the query"),
        ("up[1m]", "yields a matrix"),
        ('"text"', "yields a string"),
    ],
)
def test_what_is_not_a_value_is_not_known(watched: Watched, text: str, why: str) -> None:
    state, reason = watched.look(**query(text))
    assert state is UNKNOWN
    assert why in reason


@needs_prometheus
def test_a_value_that_is_not_a_number_does_not_hide_one_beyond_the_limit(
    watched: Watched,
) -> None:
    text = 'label_replace(vector(0) / 0, "a", "b", "", "") or vector(500)'
    assert watched.look(**query(text))[0] is ROLLBACK


# --- a source that fails --------------------------------------------------------------------------


@needs_prometheus
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.FAILS, "answers with status 500"),
        (Fault.TOO_MANY, "answers with status 429: Too many requests"),
        (Fault.HTML, "(text/html) is not JSON"),
        (Fault.EMPTY, "answers JSON that is not Prometheus's"),
        (Fault.TRUNCATED, "(application/json) is not JSON"),
        (Fault.CUT_OFF, "cannot be asked (ChunkedEncodingError)"),
        (Fault.GONE, "cannot be asked (ConnectionError)"),
        (Fault.SILENT, "not answered in full within 0.5 s"),
        (Fault.TRICKLES, "not answered in full within 0.5 s"),
    ],
)
def test_a_prometheus_that_fails_is_not_known_within_the_time_limit(
    watched: Watched, fault: Fault, why: str
) -> None:
    with FaultyProxy(watched.prometheus) as proxy:
        proxy.fault = fault
        began = time.monotonic()
        state, reason = watched.look(at=proxy.url, **query("vector(1)", timeout="0.5s"))
        took = time.monotonic() - began
        proxy.fault = Fault.NONE
    assert state is UNKNOWN
    assert why in reason
    assert proxy.url in reason
    assert took < 3


@pytest.mark.parametrize("kind", ["prometheus", "alertmanager"])
def test_a_source_that_is_down_or_unnamed_is_not_known(kind: str) -> None:
    alarm = query() if kind == "prometheus" else {"alertmanager": ["severity=page"]}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        state, reason = look(url, url, {}, **alarm)
    assert (state, reason) == (UNKNOWN, f"{url} cannot be asked (ConnectionError)")
    state, reason = look(None, None, {}, **alarm)
    assert (state, f"{kind.upper()}_URL is not set" in reason) == (UNKNOWN, True)
    assert look("prometheus:9090", "x", {}, **alarm)[1] == "its address is not an http or https URL"


@pytest.mark.parametrize(
    ("status", "document", "why"),
    [
        (
            503,
            {"status": "error", "errorType": "timeout", "error": "query timed out"},
            "refuses the query: query timed out",
        ),
        (
            422,
            {"status": "error", "errorType": "execution", "error": "too many samples"},
            "refuses the query: too many samples",
        ),
        (503, {"detail": "a proxy says no"}, 'answers with status 503: {"detail": "a proxy says'),
        (
            200,
            {"status": "error", "error": "no store\x1b"},
            "says no store\N{REPLACEMENT CHARACTER}",
        ),
        (200, {"status": "success"}, "answers JSON that is not Prometheus's"),
        (
            200,
            {"status": "success", "data": {"resultType": "vector", "result": [1]}},
            "is not Prom",
        ),
    ],
    ids=["timeout", "samples", "proxy", "error with status 200", "no data", "no value"],
)
def test_an_error_of_prometheus_in_json_is_not_known_and_is_quoted(
    webhook: Webhook, status: int, document: dict[str, Any], why: str
) -> None:
    webhook.status, webhook.body = status, json.dumps(document).encode()
    state, reason = look(webhook.url, None, {}, **query(empty="pass"))
    assert state is UNKNOWN
    assert reason.startswith(webhook.url)
    assert why in reason
    [(path, _)] = webhook.asked
    assert path == "/api/v1/query?query=review_queue"


# --- Alertmanager ---------------------------------------------------------------------------------


@needs_prometheus
def test_alerts_that_match_are_counted_until_they_are_silenced_or_resolved(
    watched: Watched,
) -> None:
    alarm = {"alertmanager": ["severity=page", 'team=~"fraud|risk"'], "rollback": {"above": 1}}
    assert watched.look(**alarm) == (PASSED, "0, limit above 0")
    fire(watched.alertmanager, alertname="QueueFull", severity="page", team="fraud")
    fire(watched.alertmanager, alertname="Other", severity="page", team="search")
    assert eventually(lambda: watched.look(**alarm)[0] is HOLD)
    assert watched.look(**alarm)[1] == "1 QueueFull, hold limit above 0"
    fire(watched.alertmanager, alertname="Chargebacks", severity="page", team="risk")
    assert eventually(lambda: watched.look(**alarm)[0] is ROLLBACK)
    silence(watched.alertmanager, "alertname", "QueueFull")
    assert eventually(lambda: watched.look(**alarm)[0] is HOLD)
    fire(watched.alertmanager, resolved=True, alertname="Chargebacks", severity="page", team="risk")
    assert eventually(lambda: watched.look(**alarm)[0] is PASSED)


@needs_prometheus
def test_matchers_that_alertmanager_does_not_understand_are_not_known(watched: Watched) -> None:
    state, reason = watched.look(alertmanager=["severity=~("])
    assert state is UNKNOWN
    assert "answers with status 400" in reason


@needs_prometheus
@pytest.mark.parametrize("fault", [Fault.HTML, Fault.EMPTY, Fault.FAILS, Fault.SILENT])
def test_an_alertmanager_that_fails_is_not_known(watched: Watched, fault: Fault) -> None:
    with FaultyProxy(watched.alertmanager) as proxy:
        proxy.fault = fault
        state, _ = look(None, proxy.url, {}, alertmanager=["a=b"], timeout="0.5s")
        proxy.fault = Fault.NONE
    assert state is UNKNOWN


# --- webhooks -------------------------------------------------------------------------------------


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as made:
        yield made


@pytest.mark.parametrize("answer", ["pass", "hold", "rollback"])
def test_a_webhook_says_itself_what_to_do_and_why(webhook: Webhook, answer: str) -> None:
    webhook.body = json.dumps({"decision": answer, "reason": "change\x1b freeze"}).encode()
    state, reason = look(None, None, {}, webhook=f"{webhook.url}/freeze?flag=f")
    assert (state, reason) == (
        AlarmState(answer),
        f"answers {answer}: change\N{REPLACEMENT CHARACTER} freeze",
    )
    assert webhook.asked == [("/freeze?flag=f", None)]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b'{"decision": "maybe"}', 'without a "decision" of pass, hold or rollback'),
        (200, b'{"decision": ["hold"]}', 'without a "decision"'),
        (200, b"[1]", 'without a "decision"'),
        (200, b"", "is not JSON"),
        (302, b'{"decision": "pass"}', "status 302"),
        (200, b'"' + b"x" * (9 * 2**20) + b'"', "more than 8,388,608 bytes"),
    ],
)
def test_a_webhook_without_a_decision_is_not_known(
    webhook: Webhook, status: int, body: bytes, why: str
) -> None:
    webhook.status, webhook.body = status, body
    state, reason = look(None, None, {}, webhook=webhook.url)
    assert state is UNKNOWN
    assert why in reason


def test_tokens_and_secret_addresses_come_from_the_environment_and_are_in_no_message(
    webhook: Webhook,
) -> None:
    webhook.body = b"<html>"
    environment = {"HOOK_PATH": "s3cr3t", "HOOK_TOKEN": "t0k3n"}
    alarm = {"webhook": f"{webhook.url}/${{HOOK_PATH}}", "token": "HOOK_TOKEN"}
    state, reason = look(None, None, environment, **alarm)
    assert webhook.asked == [("/s3cr3t", "Bearer t0k3n")]
    assert state is UNKNOWN
    assert "s3cr3t" not in reason
    assert "t0k3n" not in reason
    assert look(None, None, {}, **alarm) == (
        UNKNOWN,
        "the environment variable HOOK_TOKEN is not set",
    )


def test_all_sources_are_asked_at_the_same_time(webhook: Webhook) -> None:
    webhook.body = b'{"decision": "pass"}'
    with FaultyProxy(webhook.url) as slow:
        slow.fault = Fault.SILENT
        alarms = {
            f"slow-{number}": {"webhook": slow.url, "timeout": "1s"} for number in range(6)
        } | {"quick": {"webhook": webhook.url}}
        playbook = Playbook.model_validate({"flag": "f", "alarms": alarms})
        began = time.monotonic()
        found = AlarmSources(None, None, {}).read(playbook, datetime.now(UTC))
        took = time.monotonic() - began
        slow.fault = Fault.NONE
    assert [each.answer for each in found] == [None] * 6 + ["pass"]
    assert took < 4


def test_a_reading_is_of_the_moment_of_the_look(webhook: Webhook, tmp_path: Path) -> None:
    webhook.body = b'{"decision": "pass"}'
    now = datetime.now(UTC) - timedelta(minutes=1)
    playbook = Playbook.model_validate({"flag": "f", "alarms": {"w": {"webhook": webhook.url}}})
    (reading,) = AlarmSources(None, None, {}).read(playbook, now)
    assert reading == AlarmReading("w", f"webhook: {webhook.url}", now, answer="pass")
