"""Which variants of a flag may come out, and whose payload counts at any rollout."""

from typing import Any

import pytest

from flags.unleash.definition import FlagDefinition
from flags.unleash.document import FlagDocument
from tests.support.flags_file import document, gradual


def only(feature: dict[str, Any]) -> FlagDefinition:
    (definition,) = FlagDocument.parse(document(feature), "the flags").flags.values()
    return definition


def variant(name: str, value: str | None = None, **others: Any) -> dict[str, Any]:
    payload = {} if value is None else {"payload": {"type": "json", "value": value}}
    return {"name": name, "weight": 1000, "stickiness": "default", **payload, **others}


def rollout(*variants: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return a flag whose rollout has these variants."""
    feature = gradual("0", **others)
    feature["strategies"][0]["variants"] = list(variants)
    return feature


@pytest.mark.parametrize(
    ("feature", "varied", "payload"),
    [
        (rollout(), False, None),
        (rollout(variant("v")), True, None),
        (rollout(variant("v", "1")), True, "1"),
        (rollout(variants=[variant("flag's", "2")]), True, "2"),
        (rollout(variant("v", "1"), variants=[variant("flag's", "2")]), True, "1"),
        (rollout(variant("v", "1"), variant("w", "2")), True, None),
    ],
    ids=["none", "without payload", "rollout's", "flag's", "rollout's first", "several"],
)
def test_the_payload_is_that_of_the_only_variant(
    feature: dict[str, Any], varied: bool, payload: str | None
) -> None:
    assert (only(feature).varied, only(feature).payload) == (varied, payload)


def test_of_several_strategies_no_payload_counts_for_everybody() -> None:
    feature = rollout(variant("v", "1"))
    feature["strategies"].append({"name": "default"})
    assert (only(feature).varied, only(feature).payload) == (True, None)
