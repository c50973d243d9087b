"""The file of looks: it survives restarts, torn lines and a disk that refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flags.gate.alarm_states import AlarmReading, SeriesValue
from flags.operate.alarms.looks import AlarmLooks
from flags.operate.alarms.sources import AlarmSources
from flags.operate.look_file import LookFile
from flags.playbook.model import Playbook

NOW = datetime(2026, 11, 29, 21, tzinfo=UTC)
VALUE = SeriesValue(250.0, '{team="fraud"}')
READINGS = (
    AlarmReading("queue", "prometheus: queue", NOW, VALUE, VALUE),
    AlarmReading("freeze", "webhook: x", NOW, answer="hold", reason="until Monday"),
    AlarmReading("paging", "alertmanager: a=b", NOW, problem="it is down"),
    AlarmReading("huge", "prometheus: 1/0", NOW, VALUE, SeriesValue(1.7976931348623157e308, "")),
)


def test_what_was_kept_is_read_again_by_the_flag_that_it_is_about(tmp_path: Path) -> None:
    path = tmp_path / "looks.jsonl"
    LookFile(path).append("one", READINGS[:2])
    LookFile(path).append("other", READINGS[:1])
    LookFile(path).append("one", READINGS[2:])
    assert LookFile(path).readings("one") == READINGS
    assert LookFile(path).readings("none") == ()
    assert path.stat().st_mode & 0o777 == 0o600


def test_lines_that_are_torn_or_of_something_else_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "looks.jsonl"
    file = LookFile(path)
    file.append("f", READINGS[:1])
    whole = path.read_bytes()
    path.write_bytes(
        b'[1]\n{"kind": "told"}\n\xff\n{"kind": "alarm", "flag": "f", "answer": "maybe"}\n'
        + whole
        + whole[:40]
    )
    file.append("f", READINGS[1:2])
    assert file.readings("f") == READINGS[:2]


def test_of_a_long_file_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "looks.jsonl"
    file = LookFile(path)
    many = [AlarmReading("queue", "x" * 900, NOW + timedelta(minutes=n)) for n in range(10_000)]
    file.append("f", many)
    found = file.readings("f")
    assert 8_000 < len(found) < 10_000
    assert found == tuple(many[-len(found) :])


def test_a_look_that_cannot_be_kept_counts_once_and_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    told: list[str] = []
    looks = AlarmLooks(AlarmSources(None, None, {}), LookFile(tmp_path / "folder"), told.append)
    plan = Playbook.model_validate({"flag": "f", "alarms": {"a": {"alertmanager": ["a=b"]}}})
    for _ in range(2):
        (reading,) = looks(plan, NOW)
        assert "ALERTMANAGER_URL is not set" in str(reading.problem)
    assert len(told) == 2
    assert "looks in a row cannot be counted" in told[0]


@pytest.mark.parametrize("alarms", [{}, None])
def test_without_alarms_in_the_playbook_nothing_is_asked_and_no_file_made(
    tmp_path: Path, alarms: object
) -> None:
    file = LookFile(tmp_path / "looks.jsonl")
    plan = Playbook.model_validate({"flag": "f"} if alarms is None else {"flag": "f", "alarms": {}})
    assert AlarmLooks(AlarmSources(None, None, {}), file, print)(plan, NOW) == ()
    assert not file.path.exists()
