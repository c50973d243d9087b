"""The file of a playbook: errors say where, and what is allowed."""

from pathlib import Path

import pytest

from flags.errors import PlaybookError
from flags.playbook.file import parse_playbook, read_playbook
from flags.playbook.model import Playbook

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
