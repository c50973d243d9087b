"""Unleash's own cases for SDKs, through the provider.

https://github.com/Unleash/client-specification, in the folder SHARED_DATA or beside the checkout.
The cases of the delta API (files with `events`) are not applicable: the provider asks for the whole
document. Of a flag that does not exist, the cases want `false` without an error; OpenFeature wants
FLAG_NOT_FOUND and the caller's default, and so it is. A flag that is on with a text as its variant
is not a boolean for OpenFeature: it is asked as a string then.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from flags.unleash.provider import FlagFile, UnleashProvider
from tests.support.paths import ROOT

FOLDER = (
    Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data")) / "client-specification"
)
DELTA = "events"


def specifications() -> list[dict[str, Any]]:
    files = sorted(FOLDER.glob("[0-9]*.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    return [each for each in found if DELTA not in each["state"]]


SPECIFICATIONS = specifications()
EACH = pytest.mark.parametrize(
    "specification", SPECIFICATIONS, ids=[each["name"] for each in SPECIFICATIONS]
)


@pytest.fixture(autouse=True)
def _cases() -> None:
    if not SPECIFICATIONS:
        pytest.skip(f"Unleash's client specification is not in {FOLDER} (set SHARED_DATA)")


@pytest.fixture
def provider(specification: dict[str, Any], tmp_path: Path) -> Iterator[UnleashProvider]:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(specification["state"]), encoding="utf-8")
    provider = UnleashProvider(FlagFile(path))
    provider.initialize(EvaluationContext())
    assert provider.left_out == {}
    yield provider
    provider.shutdown()


def context_of(case: dict[str, Any]) -> EvaluationContext:
    return EvaluationContext(attributes=case["context"])


@EACH
def test_flags_are_on_and_off_as_specified(
    provider: UnleashProvider, specification: dict[str, Any]
) -> None:
    missing = 0
    for case in specification.get("tests", ()):
        name = case["toggleName"]
        details = provider.resolve_boolean_details(name, False, context_of(case))
        if details.error_code is ErrorCode.TYPE_MISMATCH:  # on, with a text: no boolean
            details = provider.resolve_string_details(name, "off", context_of(case))
            assert (details.value != "off") is case["expectedResult"]
            continue
        assert details.value is case["expectedResult"], case["description"]
        known = provider.definition(name) is not None
        assert details.error_code == (None if known else ErrorCode.FLAG_NOT_FOUND)
        missing += not known
    assert missing <= 1


@EACH
def test_variants_are_as_specified(
    provider: UnleashProvider, specification: dict[str, Any]
) -> None:
    for case in specification.get("variantTests", ()):
        expected, name = case["expectedResult"], case["toggleName"]
        if payload := expected.get("payload"):
            text = provider.resolve_string_details(name, "default", context_of(case))
            assert (text.value, text.variant) == (payload["value"], expected["name"]), case
            assert text.error_code is None
            continue
        details = provider.resolve_boolean_details(name, False, context_of(case))
        if provider.definition(name) is None:
            assert details.error_code is ErrorCode.FLAG_NOT_FOUND
            continue
        on = "on" if expected["feature_enabled"] else "off"
        assert details.value is expected["feature_enabled"], case
        assert details.variant == (expected["name"] if expected["enabled"] else on), case


def test_all_files_of_the_specification_are_here() -> None:
    index = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    delta = [each for each in index if "delta-api" in each]
    assert len(SPECIFICATIONS) == len(index) - len(delta)
