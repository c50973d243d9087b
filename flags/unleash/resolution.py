"""Evaluations of Unleash's engine in OpenFeature's terms."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from UnleashClient import UnleashClient

from flags.unleash.document import FlagDefinition
from flags.unleash.freshness import State

TARGETING_FIELD: Final = "requestId"
"""The Unleash context field that the OpenFeature targeting key becomes."""

_ALWAYS_THERE: Final = (None, "default", "random", TARGETING_FIELD)
"""What a rollout may be sticky on so that nobody is left out at 100 %."""

T = TypeVar("T")


def unleash_context(context: EvaluationContext | None) -> dict[str, Any]:
    """Return the context that Unleash is asked with; attributes without a value are not sent."""
    if context is None:
        return {}
    sent = {name: value for name, value in context.attributes.items() if value is not None}
    if context.targeting_key:
        sent[TARGETING_FIELD] = context.targeting_key
    return sent


def evaluated(
    client: UnleashClient, definition: FlagDefinition, context: dict[str, Any]
) -> dict[str, Any]:
    """Ask the engine; without variants, for on or off only, which costs it a quarter less."""
    if definition.varied:
        found: dict[str, Any] = client.get_variant(definition.name, context)
        return found
    is_on = client.is_enabled(definition.name, context)
    return _without_variant(is_on)


def off_for_all(definition: FlagDefinition) -> dict[str, Any] | None:
    """Return what the engine would say of a flag that is off for everybody; None for any other.

    As long as a migration is in the shadow, and after a rollback, the engine need not be asked.
    """
    if definition.enabled and (definition.rollout != 0.0 or definition.constrained):
        return None
    return _without_variant(False)


def _without_variant(is_on: bool) -> dict[str, Any]:
    return {"name": "disabled", "enabled": False, "feature_enabled": is_on}


def reason_of(definition: FlagDefinition, state: State) -> Reason:
    """Return why the flag says what it says; STATIC and DISABLED only if it says so to everyone."""
    if state is State.STALE:
        return Reason.STALE
    if not definition.enabled:
        return Reason.DISABLED
    if definition.constrained:
        return Reason.TARGETING_MATCH
    if definition.rollout == 0.0:
        return Reason.STATIC
    # A rollout that is sticky on a field leaves out whoever does not send it, even at 100 %.
    is_for_all = definition.rollout == 100.0 and definition.stickiness in _ALWAYS_THERE
    return Reason.STATIC if is_for_all else Reason.SPLIT


def metadata_of(
    definition: FlagDefinition, found: Mapping[str, Any]
) -> dict[str, bool | int | float | str]:
    """Return `enabled`, `rollout` (percent, if known) and `payload` (if any) of the flag."""
    metadata: dict[str, bool | int | float | str] = {"enabled": definition.enabled}
    if definition.rollout is not None:
        metadata["rollout"] = definition.rollout if definition.enabled else 0.0
    if found["enabled"] and found.get("payload"):
        metadata["payload"] = found["payload"]["value"]
    elif definition.payload is not None:
        metadata["payload"] = definition.payload
    return metadata


def failed(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    """Return the default and why it is used."""
    return FlagResolutionDetails(
        default, error_code=code, error_message=message, reason=Reason.ERROR
    )


def payload_of(found: Mapping[str, Any]) -> Any:
    """Return the payload of a variant as it is; ValueError if there is none."""
    if not found["enabled"] or not found.get("payload"):
        raise ValueError("the flag has no variant with a payload for this context")
    return found["payload"]["value"]


def json_payload_of(found: Mapping[str, Any]) -> Any:
    """Return the payload as an object or an array; ValueError or TypeError if it is none."""
    value = json.loads(payload_of(found))
    if not isinstance(value, dict | list):
        raise TypeError(f"it is {type(value).__name__}, not an object or an array")
    return value


def on_off(enabled: bool) -> str:
    """Return what stands for a variant where the flag has none."""
    return "on" if enabled else "off"
