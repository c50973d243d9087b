"""The JSON of a verdict is what its published schema says."""

import json
import math
import runpy
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from rich.console import Console

from comparison.judgement.judgement import Judgement
from comparison.report.check_format import write_check
from comparison.report.terminal.verdict import print_verdict
from comparison.report.verdict_document import VerdictDocument
from comparison.report.verdict_schema import schema
from flags.export.version import VERSION
from flags.gate import decide
from flags.playbook.model import Playbook
from tests.support.markdown import DOCS
from tests.support.simulated_evidence import FLAG, WINDOWS

PLAYBOOK = Playbook(flag=FLAG)
STEP = PLAYBOOK.steps_at(10)[0]


def plain(name: str) -> Any:
    found = WINDOWS[name]()
    judgement = Judgement(PLAYBOOK, STEP, decide(found, PLAYBOOK, STEP))
    return json.loads(VerdictDocument.of(found, judgement).json())


def test_the_published_schema_is_what_its_script_writes() -> None:
    """Run `python docs/verdict_schema.py` after a change of the evidence or the verdict."""
    script = runpy.run_path(str(DOCS / "verdict_schema.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"]()
    assert script["READABLE"].read_text(encoding="utf-8") == script["readable"]()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


def test_the_docstring_of_a_field_is_the_description_of_its_key() -> None:
    document = schema()
    own = document["properties"]["steps"]
    assert own["description"] == "All steps of the playbook, in its order."
    inherited = document["$defs"]["NumberEvidence"]["properties"]["paired"]
    assert inherited["description"] == "Pairs that have the output on both sides."
    optional = document["$defs"]["Flip"]["properties"]["label"]
    assert optional["description"] == "The label of the request; null: not known."


@pytest.mark.parametrize("name", list(WINDOWS))
def test_each_window_makes_a_valid_document(name: str) -> None:
    Draft202012Validator(schema()).validate(plain(name))


@pytest.mark.parametrize(
    ("key", "value"),
    [("decision", "PERHAPS"), ("checks", [{"name": "x"}]), ("rollout", "10 %"), ("evidence", None)],
)
def test_the_schema_refuses_what_is_not_a_verdict(key: str, value: object) -> None:
    document = plain("ten rows") | {key: value}
    with pytest.raises(ValidationError):
        Draft202012Validator(schema()).validate(document)


def test_a_document_holds_the_verdict_the_checks_and_the_evidence() -> None:
    document = plain("realistic")
    assert list(document) == [
        "flag",
        "step",
        "stage",
        "rollout",
        "decision",
        "consequence",
        "reasons",
        "checks",
        "limits",
        "next_step",
        "what_happens_next",
        "steps",
        "error_rate",
        "version",
        "evidence",
    ]
    assert (document["error_rate"], document["version"]) == (0.05, VERSION)
    assert (document["step"], document["rollout"]) == ("canary, 10 %", 10)
    assert document["decision"] == "ROLLBACK"
    [alarms] = [each for each in document["checks"] if each["name"] == "alarm_ratio"]
    assert alarms["outcome"] == "fail"
    assert alarms["low"] < alarms["figure"] < alarms["high"]
    assert document["evidence"]["outputs"][0]["alarms"]["candidate_only"] > 0
    assert document["evidence"]["window"]["since"] == "2018-07-17T00:00:00+00:00"


def test_a_document_has_the_limits_and_next_steps_that_the_terminal_prints() -> None:
    document = plain("realistic")
    found = WINDOWS["realistic"]()
    judgement = Judgement(PLAYBOOK, STEP, decide(found, PLAYBOOK, STEP))
    console = Console(file=StringIO(), width=400, force_terminal=False)
    print_verdict(found, judgement, console)
    printed = " ".join(console.file.getvalue().split())
    assert document["what_happens_next"]
    for each in document["what_happens_next"]:
        assert " ".join(each.split()) in printed
    for check, limits in zip(judgement.verdict.checks, document["limits"], strict=True):
        written = write_check(check, judgement, found)
        assert (written.advance == "-") == (limits["advance"] is None)
        assert (written.rollback == "-") == (limits["rollback"] is None)
        if check.name == "alarm_ratio":
            gate = PLAYBOOK.gate_of(STEP, output=check.output, segment=None)
            assert (limits["advance"], limits["two_sided"]) == (gate.advance.alarm_ratio, True)
            assert f"{limits['rollback']:g}" in written.rollback


def test_a_number_that_is_not_finite_is_null() -> None:
    found = WINDOWS["ten rows"]()
    verdict = decide(found, PLAYBOOK, STEP)
    endless = replace(verdict.checks[0], high=math.inf, figure=math.nan)
    judgement = Judgement(PLAYBOOK, STEP, replace(verdict, checks=(endless,)))
    [check] = json.loads(VerdictDocument.of(found, judgement).json())["checks"]
    assert check["high"] is None
    assert check["figure"] is None
