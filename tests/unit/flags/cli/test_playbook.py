"""`bentoml migration playbook` writes a playbook, checks it and lists its keys."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flags.cli import migration
from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.file import read_playbook
from flags.playbook.model import Playbook
from flags.playbook.rollback_limits import RollbackLimits
from flags.playbook.schema import SCHEMA_NAME
from flags.playbook.template import playbook_template


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(migration, ["playbook", *map(str, arguments)])


def test_the_command_writes_a_playbook_and_checks_it(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    written = run(path, "--flag", "fraud-detector-v2")
    assert written.exit_code == 0, written.output
    assert written.output == f"{path}: playbook of fraud-detector-v2, 7 steps, 28d at least\n"
    checked = run(path, "--check")
    assert checked.exit_code == 0, checked.output
    rows = [line.split() for line in checked.output.splitlines()]
    assert ["canary", "5", "%", "1d", "10,000", "0", "-"] in rows
    assert ["deprecation", "100", "%", "14d", "10,000", "0", "-"] in rows
    assert len(rows) < 130  # two screens


def test_each_key_is_listed_with_its_value_where_it_is_from_and_what_it_means(
    tmp_path: Path,
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "flag: f\nwarm_up: 7\ngate: {rollback: {alarm_ratio: 2}}\n"
        "outputs: {o: {capacity: 30, gate: {rollback: {alarm_ratio: 2.5}}}}\n"
        "outcomes: {complaint: {cut_off: 3d}, money: {kind: continuous}}\n"
    )
    shown = run(path, "--check").output
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    for limits in (AdvanceLimits, RollbackLimits):
        for key, field in limits.model_fields.items():
            assert any(row.startswith(f"{key} ") for row in rows), key
            assert (field.description or "").split(".")[0][:40] in shown, key
    assert "warm_up 7 given First calls of a worker that are left out of the durations." in rows
    assert any(row.startswith("label_cut_off 14d default How late labels come") for row in rows)
    assert any(row.startswith("alarm_ratio 2 given Candidate's alarm rate") for row in rows)
    assert "outputs.o 2.5 given" in rows
    assert any(row.startswith("alarm_ratio_day 2 default") for row in rows), "follows alarm_ratio"
    assert any(row.startswith("cut_off 3d given") for row in rows)
    assert any(row.startswith("advance 1.1 default") for row in rows)
    assert "advance 1.05 default" in rows, "what was said of one outcome is not repeated"


def test_a_listing_shows_no_address_of_who_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("flag: f\nnotify: {urls: ['mailto://me:hunter2@mail.example']}\n")
    shown = run(path, "--check").output
    assert "hunter2" not in shown
    assert any(line.split()[:3] == ["urls", "1", "given"] for line in shown.splitlines())


def test_the_table_shows_what_a_step_has_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    own = "    gate: {advance: {alarm_ratio: 1.2, fast_enough: 9ms}}\n"
    path.write_text(playbook_template("f") + own)
    shown = run(path, "--check")
    rows = [" ".join(line.split()) for line in shown.output.splitlines()]
    key = next(i for i, row in enumerate(rows) if row.startswith("fast_enough"))
    assert rows[key + 1] == "steps: deprecation, 100 % 9ms given"
    assert "steps: deprecation, 100 % 1.2 given" in rows


def test_the_command_does_not_overwrite_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("mine")
    refused = run(path, "--flag", "f")
    assert refused.exit_code == 2
    assert "is there already: --force overwrites it" in refused.stderr
    assert path.read_text() == "mine"
    assert run(path, "--flag", "f", "--force").exit_code == 0
    assert read_playbook(path) == Playbook(flag="f")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["p.yaml", SCHEMA_NAME]


def test_what_is_wrong_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("flag: f\nerror_rate: 7\n")
    shown = run(path, "--check")
    assert shown.exit_code == 2
    assert shown.stderr == f"Error: {path}:2: error_rate is 7: must be less than or equal to 0.5\n"
    assert run(tmp_path / "none.yaml", "--check").exit_code == 2


@pytest.mark.parametrize("arguments", [[], ["--flag", "f", "--check"], ["--check", "--force"]])
def test_the_command_wants_to_know_what_to_do(tmp_path: Path, arguments: list[str]) -> None:
    shown = run(tmp_path / "p.yaml", *arguments)
    assert shown.exit_code == 2
    assert "give either --flag, to write a playbook, or --check" in shown.stderr
