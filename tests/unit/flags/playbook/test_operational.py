"""Operational alarms of a playbook."""

from datetime import timedelta

import pytest

from flags.errors import PlaybookError
from flags.playbook.file import parse_playbook
from flags.playbook.operational import OperationalAlarmRule


def alarm(text: str) -> OperationalAlarmRule:
    return parse_playbook(f"flag: f\nalarms:\n  queue: {text}\n", "p").alarms["queue"]


def test_an_alarm_asks_one_source_and_has_its_limits() -> None:
    queue = alarm("{prometheus: sum(queue), hold: {above: 100}, rollback: {above: 200}, looks: 5}")
    assert (queue.source, str(queue.hold_limits)) == ("prometheus: sum(queue)", "above 100")
    assert (queue.looks, queue.lasting) == (5, timedelta(minutes=1))
    paging = alarm("{alertmanager: [severity=page, team=~'a|b']}")
    assert (paging.source, str(paging.hold_limits), paging.rollback.given) == (
        "alertmanager: severity=page, team=~'a|b'",
        "above 0",
        False,
    )
    assert alarm("{webhook: 'https://u:p@change.example/f'}").source == (
        "webhook: https://change.example/f"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", ".prometheus is missing: an alarm has one of prometheus, alertmanager and webhook"),
        ("{prometheus: up, webhook: 'https://x'}", ".webhook is one too many"),
        ("{prometheus: up}", ".hold is missing: an alarm needs a limit"),
        ("{webhook: 'https://x', rollback: {above: 1}}", ".rollback is for a value"),
        ("{webhook: 'ftp://x'}", ".webhook: 'ftp://x' is not an http or https URL"),
        ("{alertmanager: [page]}", ".alertmanager[1]: 'page' is not a matcher"),
        ("{alertmanager: []}", ".alertmanager: must not be empty"),
        ("{alertmanager: [a=b], empty: pass}", ".empty is for prometheus only"),
        ("{prometheus: up, hold: {abov: 1}}", ".hold.abov is unknown: did you mean above?"),
        ("{prometheus: up, hold: {above: .nan}}", ".hold.above"),
        ("{prometheus: up, hold: {above: 1}, empty: no data}", ".empty is 'no data': must be pass"),
        ("{prometheus: up, hold: {above: 1}, looks: 0}", ".looks is 0: must be greater"),
        ("{prometheus: up, hold: {above: 1}, timeout: 5m}", ".timeout: must be more than 0s"),
        ("{prometheus: up, hold: {above: 1}, token: 'eyJ a'}", ".token: 'eyJ a' is not the name"),
        ("{prometheus: up, hold: {above: 2}, rollback: {above: 1}}", ".rollback is above 1, bef"),
        ("{prometheus: up, hold: {below: 1}, rollback: {below: 2}}", ".rollback is below 2, bef"),
    ],
)
def test_an_alarm_that_cannot_be_says_where_and_what_is_allowed(text: str, what: str) -> None:
    with pytest.raises(PlaybookError) as refused:
        alarm(text)
    assert f"p:3: alarms.queue{what}" in str(refused.value)
