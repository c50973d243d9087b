"""The documented span attributes are those that a worker writes and the comparison reads."""

import dataclasses
import json
import re
from typing import Any

import pytest

from comparison.pairs.columns import column_of
from flags import Assignment, Observation, Pair, Side, Status, Text
from flags.export.pair_files import FileLimits
from flags.export.spans import PairSpans, TrackedOutcome
from flags.pairing.kinds.text_recorder import TextRecorder
from flags.pairing.observation import Batched, Content
from tests.support.markdown import DOCS, code, rows, section

ATTRIBUTES = DOCS / "reference" / "attributes.md"
TYPES = {
    "stringValue": "string",
    "boolValue": "boolean",
    "intValue": "int",
    "doubleValue": "double",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The attributes that a worker writes, by span name or `resource`, each with its type."""
    folder = tmp_path_factory.mktemp("pairs")
    spans = PairSpans.to_folder(folder, FileLimits(), service="FraudDetector", version=None)
    seen = Observation(
        Status.OK,
        {"score": 0.9},
        {"score": 0.5},
        {"score": True},
        0.001,
        "fraud-v1:1",
        "ValueError",
        content=Content(length=5, digest="00", items=2, first_item=0.001),
        values={
            "species": {"class": "cat", "top": "|cat|dog|"},
            "items": {"ranking": "|17|4|", "groups": "|shoes||hats|"},
            "answer": TextRecorder("answer", Text("answer", record=True)).values("a text"),
        },
    )
    spans.record(
        Pair(
            request_id="tx-1",
            api="predict",
            started=1,
            ended=2,
            assignment=Assignment(
                Side.PRIMARY,
                "flag",
                "error",
                "off",
                "unleash",
                "flag_not_found",
                "no flag",
                10.0,
                stickiness="userId",
            ),
            primary=seen,
            candidate=dataclasses.replace(
                seen,
                status=Status.SKIPPED,
                batched=Batched(8, agrees=True, error="ValueError"),
                sampled=0.5,
            ),
            served=Side.PRIMARY,
            segments={"country": "FR"},
            features={"amount": 1.0},
            unit="0123456789abcdef",
            drawn="fedcba9876543210",
            prompt="[]",
        )
    )
    spans.record_outcome(TrackedOutcome("complaint", 1.0, "tx-1", "0123456789abcdef", 2))
    spans.close()
    found: dict[str, dict[str, str]] = {}
    for line in next(folder.glob("*.jsonl")).read_text(encoding="utf-8").splitlines():
        (resource,) = json.loads(line)["resourceSpans"]
        found.setdefault("resource", {}).update(types_of(resource["resource"]))
        for span in resource["scopeSpans"][0]["spans"]:
            found.setdefault(span["name"], {}).update(types_of(span))
    return found


def types_of(holder: dict[str, Any]) -> dict[str, str]:
    return {generic(each["key"]): TYPES[next(iter(each["value"]))] for each in holder["attributes"]}


def generic(name: str) -> str:
    """Return an attribute's name as the page writes it."""
    name = re.sub(r"^migration\.(primary|candidate)\.", "migration.<side>.", name)
    name = re.sub(r"^(migration\.<side>\.[a-z_]+)\..+", r"\1.<output>", name)
    return re.sub(r"^(migration\.(?:segment|feature))\..+", r"\1.<name>", name)


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("The pair span", "migration.pair"),
        ("The worker span", "migration.worker"),
        ("The outcome span", "migration.outcome"),
        ("The resource", "resource"),
    ],
)
def test_the_attributes_that_are_written_are_the_documented_ones(
    heading: str, kind: str, written: dict[str, dict[str, str]]
) -> None:
    documented = {code(name): type_ for name, type_, *_ in rows(section(ATTRIBUTES, heading))}
    assert documented == written[kind]


def test_the_columns_of_the_comparison_are_the_documented_ones() -> None:
    for name, _, _, cell in rows(section(ATTRIBUTES, "The pair span")):
        column = column_of(code(name).replace("<side>", "primary"))
        shown = column.name.replace("primary_", "<side>_") if column else None
        assert (code(cell) if cell else None) == shown
