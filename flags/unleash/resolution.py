"""Evaluations of Unleash's engine in OpenFeature's terms."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from yggdrasil_engine.engine import UnleashEngine

from flags.unleash.definition import FlagDefinition
from flags.unleash.freshness import State

TARGETING_FIELD: Final = "requestId"
"""The Unleash context field that the OpenFeature targeting key becomes."""

DIFFERENT_TYPE: Final = (TypeError, ValueError, OverflowError, RecursionError)
"""What reading a payload as another type raises."""

_ALWAYS_THERE: Final = (None, "default", "random", TARGETING_FIELD)
"""What a rollout may be sticky on so that nobody is left out at 100 %."""

_OWN_FIELDS: Final = frozenset(
    {"userId", "sessionId", "environment", "appName", "currentTime", "remoteAddress"}
)
"""Of Unleash's context; all others are its `properties`."""

_CONFIGURES: Final = "json"
"""Type of a payload that says how, such as with which threshold, beside the flag's on or off."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the engine says of a flag for one context."""

    on: bool
    variant: str
    """Name of the variant that the context gets, else `on` or `off`."""
    payload: str | None = None
    payload_type: str | None = None
    """`string`, `json`, `csv` or `number`."""


def unleash_context(
    context: EvaluationContext | None, definition: FlagDefinition
) -> dict[str, Any]:
    """Return the context that Unleash is asked with; attributes without a value are not sent.

    The time is sent where the flag has constraints, which alone can look at it.
    """
    own = {"environment": "default"}
    if definition.constrained:
        own["currentTime"] = datetime.now(UTC).isoformat()
    properties: dict[str, str] = {}
    given: Mapping[str, Any] = {}
    for name, value in context.attributes.items() if context else ():
        if value is None:
            continue
        if name in _OWN_FIELDS:
            own[name] = _text(value)
        elif name == "properties" and isinstance(value, Mapping):
            given = value
        else:
            properties[name] = _text(value)
    if context and context.targeting_key:
        properties[TARGETING_FIELD] = _text(context.targeting_key)
    for name, value in given.items():
        properties[str(name)] = _text(value)
    return {**own, "properties": properties}


def _text(value: Any) -> str:
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    # Half a character has no UTF-8, and the engine would refuse the whole question.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def evaluated(
    engine: UnleashEngine, definition: FlagDefinition, context: dict[str, Any]
) -> Evaluated:
    """Ask the engine; without variants, for on or off only, which costs it a quarter less."""
    if not definition.varied:
        return _on_off(engine.is_enabled(definition.name, context).is_enabled)
    found = engine.get_variant(definition.name, context).variant
    if not found.enabled:
        return _on_off(found.feature_enabled)
    payload = found.payload or {}
    return Evaluated(found.feature_enabled, found.name, payload.get("value"), payload.get("type"))


def off_for_all(definition: FlagDefinition) -> Evaluated | None:
    """Return what the engine would say of a flag that is off for everybody; None for any other.

    As long as a migration is in the shadow, and after a rollback, the engine need not be asked.
    """
    if definition.enabled and (definition.rollout != 0.0 or definition.constrained):
        return None
    return _on_off(False)


def _on_off(on: bool) -> Evaluated:
    return Evaluated(on, "on" if on else "off")


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
    definition: FlagDefinition, found: Evaluated
) -> dict[str, bool | int | float | str]:
    """Return `enabled`, and `rollout` (percent), `stickiness` and `payload` if there are some."""
    metadata: dict[str, bool | int | float | str] = {"enabled": definition.enabled}
    if definition.rollout is not None:
        metadata["rollout"] = definition.rollout if definition.enabled else 0.0
    if definition.stickiness is not None:
        metadata["stickiness"] = definition.stickiness
    payload = definition.payload if found.payload is None else found.payload
    if payload is not None:
        metadata["payload"] = payload
    return metadata


def failed(default: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    """Return the default and why it is used."""
    return FlagResolutionDetails(
        default, error_code=code, error_message=message, reason=Reason.ERROR
    )


def boolean_of(found: Evaluated, default: bool) -> bool:
    """Return on or off; TypeError if the context gets a variant that is a value of another type.

    A JSON payload is none: it configures what the flag switches on, such as with thresholds.
    """
    del default
    if found.payload_type not in (None, _CONFIGURES):
        raise TypeError(f"its variant is a value of the type {found.payload_type}, not on or off")
    return found.on


def text_of(found: Evaluated, default: str) -> str:
    """Return the payload as it is; ValueError if the flag is on without one."""
    return default if (payload := _payload(found)) is None else payload


def integer_of(found: Evaluated, default: int) -> int:
    """Return the payload as an integer."""
    return default if (payload := _payload(found)) is None else int(payload)


def float_of(found: Evaluated, default: float) -> float:
    """Return the payload as a float."""
    return default if (payload := _payload(found)) is None else float(payload)


def object_of(found: Evaluated, default: Any) -> Any:
    """Return the payload as an object or an array."""
    if (payload := _payload(found)) is None:
        return default
    value = json.loads(payload)
    if not isinstance(value, dict | list):
        raise TypeError(f"it is {type(value).__name__}, not an object or an array")
    return value


def _payload(found: Evaluated) -> str | None:
    """Return the payload, None where the flag is off: there is no value then, and no mistake."""
    if found.payload is None and found.on:
        raise ValueError("the flag has no variant with a payload for this context")
    return found.payload
