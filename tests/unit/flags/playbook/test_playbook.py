"""The playbook: its defaults, its file, and errors that say where and what is allowed."""

import json
import runpy
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from flags.cli import migration
from flags.errors import PlaybookError
from flags.playbook.advance_limits import AdvanceLimits
from flags.playbook.durations import duration, duration_text
from flags.playbook.file import parse_playbook, read_playbook
from flags.playbook.model import Playbook, Step
from flags.playbook.operational import OperationalAlarmRule
from flags.playbook.outcomes import OutcomePlan
from flags.playbook.rollback_limits import RollbackLimits
from flags.playbook.schema import SCHEMA_NAME, schema_text
from flags.playbook.stages import Stage
from flags.playbook.template import playbook_template
from tests.support.markdown import DOCS

DAY = timedelta(days=1)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(migration, ["playbook", *map(str, arguments)])


# --- defaults -------------------------------------------------------------------------------------


def test_the_default_steps_are_the_four_stages() -> None:
    assert [(step.stage, step.rollout, step.hold) for step in Playbook(flag="f").steps] == [
        (Stage.SHADOW, 0, 7 * DAY),
        (Stage.CANARY, 1, DAY),
        (Stage.CANARY, 5, DAY),
        (Stage.CANARY, 10, DAY),
        (Stage.RAMP, 50, 2 * DAY),
        (Stage.RAMP, 100, 2 * DAY),
        (Stage.DEPRECATION, 100, 14 * DAY),
    ]


@pytest.mark.parametrize("flag", ["fraud-detector-v2", "42", "a: b", "yes", "#", "ä"])
def test_the_template_is_a_playbook_with_all_defaults(flag: str) -> None:
    assert parse_playbook(playbook_template(flag), "template") == Playbook(flag=flag)


def test_the_examples_in_the_template_are_right() -> None:
    """What is a comment in the template can be taken out of it."""
    lines = playbook_template("f").splitlines()
    begins = lines.index("# outputs:")
    ends = next(i for i, line in enumerate(lines) if line.startswith("# features:"))
    for index in range(begins, ends + 1):
        if not lines[index].startswith(
            ("# Outcomes", "# Segments", "# Features", "# Operational", "# Notifications")
        ):
            lines[index] = lines[index].removeprefix("# ")
    playbook = parse_playbook("\n".join(lines), "template")
    assert playbook.outputs["probability"].threshold.candidate == 0.93
    assert set(playbook.segments or {}) == {"channel", "country"}
    assert playbook.outcomes["money_lost"].margin == 1.05
    assert playbook.features == ("amount", "customer_age")
    assert len(playbook.notify.urls) == 2
    assert set(playbook.alarms) == {"review_queue", "pages", "change_freeze"}


def test_every_key_of_the_template_has_a_comment() -> None:
    lines = playbook_template("f").splitlines()
    for line in lines[lines.index("gate:") : lines.index("steps:")]:
        if line.startswith("    "):
            assert "  # " in line, line


def test_the_playbook_page_is_what_its_script_writes() -> None:
    """Run `python docs/playbook_page.py` after a change of the playbook."""
    script = runpy.run_path(str(DOCS / "playbook_page.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()


def test_the_published_schema_is_what_its_script_writes() -> None:
    """Run `python docs/playbook_page.py` after a change of the playbook."""
    assert (DOCS / "reference" / SCHEMA_NAME).read_text(encoding="utf-8") == schema_text()


# --- the schema, as an editor uses it ------------------------------------------------------------

PUBLISHED = Draft202012Validator(
    json.loads((DOCS / "reference" / SCHEMA_NAME).read_text(encoding="utf-8"))
)


def refusals(text: str) -> list[str]:
    return [error.message for error in PUBLISHED.iter_errors(yaml.safe_load(text))]


def test_the_template_names_the_schema_beside_it_and_fits_it(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    assert run(path, "--flag", "f").exit_code == 0
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    beside = path.parent / first.partition("=")[2]
    assert json.loads(beside.read_text()) == PUBLISHED.schema
    assert refusals(path.read_text()) == []


def test_every_playbook_of_the_project_fits_the_schema_that_it_names() -> None:
    playbooks = list((DOCS.parent / "load_tests").rglob("playbook*.yaml"))
    assert playbooks
    for path in playbooks:
        text = path.read_text(encoding="utf-8")
        first = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (path.parent / first).resolve() == (DOCS / "reference" / SCHEMA_NAME).resolve()
        assert refusals(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "gate:",
        "gate: {advance: {alarm_ratio: 1.2}, rollback: }",
        "segments: {channel: }",
        "segments:",
        "outputs: {p: {threshold: {primary: 3}, capacity: 30, gate: }}",
        "outcomes: {complaint: , money: {kind: continuous, by: unit, cap: 3, cut_off: 1.5h}}",
        "alarms: {queue: {prometheus: up, hold: {above: 3}, lasting: 1m, empty: pass}}",
        "steps: [{stage: shadow, rollout: 0, hold: 7d, approval: required}]",
        "notify: {urls: ['${X}'], at_most: 3}",
    ],
)
def test_the_schema_accepts_what_the_playbook_accepts(text: str) -> None:
    text = f"flag: f\n{text}\n"
    parse_playbook(text, "p")
    assert refusals(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flag: f\nflags: g", "'flags' was unexpected"),
        ("error_rate: 0.1", "'flag' is a required property"),
        ("flag: f\nlabel_cut_off: P14D", "'P14D' does not match"),
        ("flag: f\nerror_rate: 2", "2 is greater than the maximum of 0.5"),
        ("flag: f\nsteps: []", "should be non-empty"),
        ("flag: f\nsteps: [{stage: canaries, rollout: 1, hold: 1d}]", "is not one of"),
        ("flag: f\ngate: {advance: {alarm_ration: 1.2}}", "is not valid under any of the given"),
        ("flag: f\nsegments: {s: {gates: }}", "is not valid under any of the given"),
    ],
)
def test_the_schema_refuses_what_the_playbook_refuses(text: str, said: str) -> None:
    with pytest.raises(PlaybookError):
        parse_playbook(text, "p")
    assert any(said in each for each in refusals(text)), refusals(text)


def test_each_default_of_the_schema_is_what_a_playbook_may_say() -> None:
    definitions = [PUBLISHED.schema, *PUBLISHED.schema["$defs"].values()]
    found = 0
    for properties in (each["properties"] for each in definitions):
        for key, described in properties.items():
            if described.get("default") is not None:
                found += 1
                inner = {**described, "$defs": PUBLISHED.schema["$defs"]}
                assert Draft202012Validator(inner).is_valid(described["default"]), key
    assert found > 50


def test_a_playbook_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Playbook(flag="f").error_rate = 0.1  # type: ignore[misc]


# --- durations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7d", 7 * DAY),
        ("48h", 2 * DAY),
        ("90m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("30s", timedelta(seconds=30)),
        ("250ms", timedelta(milliseconds=250)),
        ("0s", timedelta(0)),
    ],
)
def test_durations_are_a_number_and_a_unit(text: str, value: timedelta) -> None:
    assert duration(text) == value


@given(st.integers(0, 10**9).map(lambda each: timedelta(milliseconds=each)))
def test_a_duration_that_was_written_is_read_again(value: timedelta) -> None:
    assert duration(duration_text(value)) == value


@pytest.mark.parametrize(
    "text", ["7", "d", "-1d", "1w", "7 d", "1d12h", 7, None, "1e3s", "9" * 30 + "d"]
)
def test_what_is_not_a_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is too long"):
        duration(text)


def test_approval_is_required_or_not_given() -> None:
    text = "flag: f\nsteps: [{stage: shadow, rollout: 0, hold: 1d, approval: %s}]"
    assert parse_playbook(text % "required", "p").steps[0].approval == "required"
    with pytest.raises(
        PlaybookError, match=r"p:2: steps\[1\].approval is 'yes': must be required$"
    ):
        parse_playbook(text % "'yes'", "p")


# --- operational alarms ---------------------------------------------------------------------------


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


# --- limits ---------------------------------------------------------------------------------------

PLAYBOOK = parse_playbook(
    """
flag: f
gate: {advance: {alarm_ratio: 1.2, latency_p99: 3}}
outputs: {o: {gate: {advance: {alarm_ratio: 1.05}, rollback: {alarm_ratio: 1.6}}}}
segments:
  channel:
  country: {gate: {advance: {segment_alarm_ratio: 1.9}}}
steps:
- stage: shadow
  rollout: 0
  hold: 1d
  gate: {advance: {alarm_ratio: 1.22}}
- {stage: canary, rollout: 5, hold: 1d}
- {stage: canary, rollout: 10, hold: 1d}
- {stage: ramp, rollout: 100, hold: 1d}
- {stage: deprecation, rollout: 100, hold: 1d}
""",
    "playbook.yaml",
)


def test_limits_of_an_output_go_before_the_steps_and_these_before_the_playbooks() -> None:
    shadow, canary = PLAYBOOK.steps[:2]
    assert PLAYBOOK.gate_of(shadow).advance.alarm_ratio == 1.22
    assert PLAYBOOK.gate_of(canary).advance.alarm_ratio == 1.2
    assert PLAYBOOK.gate_of(shadow, output="o").advance.alarm_ratio == 1.05
    assert PLAYBOOK.gate_of(shadow, output="o").rollback.alarm_ratio == 1.6
    assert PLAYBOOK.gate_of(shadow, output="other").advance.alarm_ratio == 1.22
    assert PLAYBOOK.gate_of(shadow, output="o").advance.latency_p99 == 3
    assert PLAYBOOK.gate_of(shadow, segment="country").advance.segment_alarm_ratio == 1.9
    assert PLAYBOOK.gate_of(shadow, segment="channel").advance.segment_alarm_ratio == 1.5


def test_the_steps_are_known_by_their_order_and_their_rollout() -> None:
    shadow, five, ten, hundred, deprecation = PLAYBOOK.steps
    assert PLAYBOOK.after(shadow) == five
    assert PLAYBOOK.after(deprecation) is None
    assert PLAYBOOK.steps_at(10) == (ten,)
    assert PLAYBOOK.steps_at(100) == (hundred, deprecation)
    assert PLAYBOOK.steps_at(7) == ()
    assert deprecation.name == "deprecation, 100 %"


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (0, 3, True),
        (0, 5, True),
        (0, 10, False),
        (0, 100, False),
        (3, 5, True),
        (3, 10, False),
        (5, 5, True),
        (5, 100, False),
        (10, 100, True),
        (100, 0, True),
    ],
)
def test_the_rollout_goes_up_by_one_step_at_most(before: int, after: int, allowed: bool) -> None:
    assert PLAYBOOK.may_go(before, after) is allowed


# --- errors ---------------------------------------------------------------------------------------

STEP = "- {stage: canary, rollout: 5, hold: 1d}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p.yaml:1: a playbook is keys and values, such as `flag: KEY`"),
        ("- a", "p.yaml:1: a playbook is keys and values, such as `flag: KEY`"),
        ("flag: [", "p.yaml:1: no YAML: expected the node content"),
        ("flag: x\n\tb: 1", "p.yaml:2: no YAML: found character '\\t'"),
        ("\x00", "p.yaml: no YAML: unacceptable character"),
        ("flag: f\n? [a]\n: 3\n", "p.yaml:2: no YAML: found unhashable key"),
        ("error_rate: 0.1", "p.yaml:1: flag is missing"),
        ("flag: f\nflags: g", "p.yaml:2: flags is unknown: did you mean flag?"),
        ("flag: f\nflag: g", "p.yaml:2: flag is there twice"),
        (
            "flag: f\nq: 1",
            "p.yaml:2: q is unknown: known are flag, error_rate, warm_up, label_cut_off,",
        ),
        ("flag:", "p.yaml:1: flag is None: must be text"),
        ("flag: ''", "p.yaml:1: flag is '': must not be empty"),
        ("flag: f\nerror_rate: 2", "p.yaml:2: error_rate is 2: must be less than or equal to 0.5"),
        ("flag: f\nerror_rate: x", "p.yaml:2: error_rate is 'x': must be a number"),
        ("flag: f\nsegments: [a]", "p.yaml:2: segments: must be keys and values"),
        ("flag: f\nsteps: []", "p.yaml:2: steps: must not be empty"),
        (
            "flag: f\ngate:\n  advance:\n    # why\n    alarm_ration: 1.2",
            "p.yaml:5: gate.advance.alarm_ration is unknown: did you mean alarm_ratio?",
        ),
        (
            "flag: f\ngate:\n  advance: {alarm_ratio: 0.9}",
            "p.yaml:3: gate.advance.alarm_ratio is 0.9: must be greater than or equal to 1",
        ),
        (
            "flag: f\ngate: {advance: {alarm_ratio: .inf}}",
            "p.yaml:2: gate.advance.alarm_ratio is inf: must be a finite number",
        ),
        (
            "flag: f\ngate: {advance: {alarm_ratio: 1.3}}",
            "p.yaml:2: gate.advance.alarm_ratio is 1.3, beyond the rollback limit of 1.25",
        ),
        (
            "flag: f\nsegments:\n  s:\n    gate:\n      rollback: {segment_alarm_ratio: 1.1}",
            "p.yaml:4: segments.s.gate.advance.segment_alarm_ratio is 1.5, beyond the rollback",
        ),
        (
            "flag: f\nsteps:\n- stage: canaries\n  rollout: 5\n  hold: 1d",
            "p.yaml:3: steps[1].stage is 'canaries': must be shadow, canary, ramp or deprecation",
        ),
        (
            "flag: f\nsteps:\n- stage: canary\n  rollout: 5\n  hold: 1 week",
            "p.yaml:5: steps[1].hold: '1 week' is not a duration: a number and a unit, such as 7d,",
        ),
        (
            "flag: f\nsteps:\n- stage: canary\n  rollout: 2.5\n  hold: 1d",
            "p.yaml:4: steps[1].rollout is 2.5: must be a whole number",
        ),
        ("flag: f\nsteps:\n- {stage: canary}", "p.yaml:3: steps[1].hold is missing"),
        (f"flag: f\nsteps:\n{STEP}{STEP}", "p.yaml:4: steps[2].rollout is 5 after 5: steps go up"),
        (
            f"flag: f\nsteps:\n{STEP}- {{stage: shadow, rollout: 0, hold: 1d}}",
            "p.yaml:4: steps[2].stage is shadow after canary: stages follow one another",
        ),
        (
            "flag: f\nsteps:\n- {stage: shadow, rollout: 1, hold: 1d}",
            "p.yaml:3: steps[1].rollout is 1: the shadow is at 0",
        ),
        (
            "flag: f\nsteps:\n- {stage: canary, rollout: 0, hold: 1d}",
            "p.yaml:3: steps[1].rollout is 0: from the canary on, the candidate answers (1 to 100)",
        ),
        (
            "flag: f\nsteps:\n- {stage: deprecation, rollout: 50, hold: 1d}",
            "p.yaml:3: steps[1].rollout is 50: the deprecation is at 100",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        parse_playbook(text, "p.yaml")
    assert message in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_everything_that_is_wrong_is_named_at_once_in_the_order_of_lines() -> None:
    text = "flag: f\nerror_rate: x\nsteps:\n- stage: canary\n  rollout: 500\nz: 1\n"
    with pytest.raises(PlaybookError) as caught:
        parse_playbook(text, "p.yaml")
    places = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert places == ["p.yaml:2", "p.yaml:4", "p.yaml:5", "p.yaml:6"]


def test_a_part_of_which_all_is_a_comment_is_not_given() -> None:
    text = "flag: f\ngate:\n  advance:\n    # alarm_ratio: 1.2\noutputs:\nsegments:\n"
    assert parse_playbook(text, "p.yaml") == Playbook(flag="f")


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        PlaybookError, match=r"none\.yaml is not there: `bentoml migration playbook"
    ):
        read_playbook(tmp_path / "none.yaml")
    with pytest.raises(PlaybookError, match="cannot be read as a playbook"):
        read_playbook(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"flag: \xe4")
    with pytest.raises(PlaybookError, match=r"latin\.yaml cannot be read as a playbook"):
        read_playbook(tmp_path / "latin.yaml")


# --- command --------------------------------------------------------------------------------------


def test_the_command_writes_a_playbook_and_checks_it(tmp_path: Path) -> None:
    path = tmp_path / "plans" / "playbook.yaml"
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
    assert "warm_up 7 given Calls of a fresh worker that count for no duration." in rows
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


def test_a_step_can_be_made_in_code() -> None:
    step = Step(stage=Stage.CANARY, rollout=5, hold=DAY)
    assert Playbook(flag="f", steps=(step,)).steps == (step,)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (
            "{kind: often}",
            "outcomes.complaint.kind is 'often': must be binary, count or continuous",
        ),
        ("{cutoff: 1d}", "outcomes.complaint.cutoff is unknown: did you mean cut_off?"),
        ("{advance: 1.5}", "outcomes.complaint.advance is 1.5, beyond the rollback limit of 1.25"),
        ("{rollback: 1.05}", "outcomes.complaint.advance is 1.1, beyond the rollback limit of"),
        ("{cap: 3}", "outcomes.complaint.cap is of no use: a binary outcome is 0 or 1"),
        ("{kind: count, cap: 0}", "outcomes.complaint.cap"),
        ("{cut_off: soon}", "outcomes.complaint.cut_off"),
        ("{required_from: 200}", "outcomes.complaint.required_from is 200"),
    ],
)
def test_an_outcome_that_cannot_be_is_named_by_key(outcome: str, said: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        parse_playbook(f"flag: f\noutcomes:\n  complaint: {outcome}\n", "playbook.yaml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("playbook.yaml:3: ")


def test_an_outcome_without_keys_has_the_defaults() -> None:
    plan = parse_playbook("flag: f\noutcomes:\n  complaint:\n", "playbook.yaml")
    assert plan.outcomes["complaint"] == OutcomePlan()
    assert (OutcomePlan().margin, OutcomePlan().most) == (1.10, 1.0)
