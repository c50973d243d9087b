"""The schema of playbooks, and the page that is made from it."""

import json
import runpy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from flags.errors import PlaybookError
from flags.playbook.file import parse_playbook
from flags.playbook.schema import SCHEMA_NAME, schema_text
from flags.playbook.template import write_playbook
from tests.support.markdown import DOCS


def test_the_playbook_page_is_what_its_script_writes() -> None:
    """Run `python docs/playbook_page.py` after a change of the playbook."""
    script = runpy.run_path(str(DOCS / "playbook_page.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()


def test_the_published_schema_is_what_its_script_writes() -> None:
    """Run `python docs/playbook_page.py` after a change of the playbook."""
    assert (DOCS / "reference" / SCHEMA_NAME).read_text(encoding="utf-8") == schema_text()


PUBLISHED = Draft202012Validator(
    json.loads((DOCS / "reference" / SCHEMA_NAME).read_text(encoding="utf-8"))
)


def refusals(text: str) -> list[str]:
    return [error.message for error in PUBLISHED.iter_errors(yaml.safe_load(text))]


def test_the_template_names_the_schema_beside_it_and_fits_it(tmp_path: Path) -> None:
    path = tmp_path / "playbook.yaml"
    write_playbook(path, "f")
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
        "notify: {urls: ['${X}'], max_per_hour: 3}",
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
