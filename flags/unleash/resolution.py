"""Conversions between OpenFeature's and Unleash's contexts, evaluations and values."""

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
"""The Unleash context field for OpenFeature's targeting key."""

TYPE_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError)
"""Errors raised by reading a payload as a type that it does not have."""

_ALWAYS_PRESENT: Final = (None, "default", "random", TARGETING_FIELD)
"""Values of stickiness with which a rollout of 100 % reaches every caller."""

_OWN_FIELDS: Final = frozenset(
    {"userId", "sessionId", "environment", "appName", "currentTime", "remoteAddress"}
)
"""Standard fields of Unleash's context; all others are in its `properties`."""

_CONFIGURATION: Final = "json"
"""Payload type of a flag that is on or off; the payload is configuration, e.g. a threshold."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The engine's result for a flag and one context."""

    on: bool
    variant: str
    """Name of the variant; `on` or `off` if there is none."""
    payload: str | None = None
    payload_type: str | None = None
    """`string`, `json`, `csv` or `number`."""


def unleash_context(
    context: EvaluationContext | None, definition: FlagDefinition
) -> dict[str, Any]:
    """Convert an OpenFeature context to Unleash's; attributes without a value are left out.

    The time is added only if the flag has constraints, since only they use it.
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
    # Lone surrogates cannot be encoded in UTF-8: the engine would refuse the whole context.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def evaluate(
    engine: UnleashEngine, definition: FlagDefinition, context: dict[str, Any]
) -> Evaluation:
    """Evaluate the flag; without variants only for on or off, which takes a quarter less time."""
    if not definition.varied:
        return _on_off(engine.is_enabled(definition.name, context).is_enabled)
    found = engine.get_variant(definition.name, context).variant
    if not found.enabled:
        return _on_off(found.feature_enabled)
    payload = found.payload or {}
    return Evaluation(found.feature_enabled, found.name, payload.get("value"), payload.get("type"))


def off_for_all(definition: FlagDefinition) -> Evaluation | None:
    """Return the evaluation of a flag that is off for everyone; None for any other flag.

    So the engine is not called in the shadow stage and after a rollback.
    """
    if definition.enabled and (definition.rollout != 0.0 or definition.constrained):
        return None
    return _on_off(False)


def _on_off(on: bool) -> Evaluation:
    return Evaluation(on, "on" if on else "off")


def reason_of(definition: FlagDefinition, state: State) -> Reason:
    """Return OpenFeature's reason; STATIC and DISABLED only if the result is the same for all."""
    if state is State.STALE:
        return Reason.STALE
    if not definition.enabled:
        return Reason.DISABLED
    if definition.constrained:
        return Reason.TARGETING_MATCH
    if definition.rollout == 0.0:
        return Reason.STATIC
    # Callers that do not send the stickiness field get `off` even at 100 %.
    is_for_all = definition.rollout == 100.0 and definition.stickiness in _ALWAYS_PRESENT
    return Reason.STATIC if is_for_all else Reason.SPLIT


def metadata_of(
    definition: FlagDefinition, found: Evaluation
) -> dict[str, bool | int | float | str]:
    """Return `enabled` and, where known, `rollout` (percent), `stickiness` and `payload`."""
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
    """Return the default value, with the reason why it is used."""
    return FlagResolutionDetails(
        default, error_code=code, error_message=message, reason=Reason.ERROR
    )


def boolean_of(found: Evaluation, default: bool) -> bool:
    """Return whether the flag is on; TypeError if its variant has a value of another type.

    A JSON payload is not such a value: it is configuration for the feature that the flag switches.
    """
    del default
    if found.payload_type not in (None, _CONFIGURATION):
        raise TypeError(f"its variant is a value of the type {found.payload_type}, not on or off")
    return found.on


def text_of(found: Evaluation, default: str) -> str:
    """Return the payload as text. Raises ValueError if the flag is on without one."""
    return default if (payload := _payload(found)) is None else payload


def integer_of(found: Evaluation, default: int) -> int:
    """Return the payload as an integer."""
    return default if (payload := _payload(found)) is None else int(payload)


def float_of(found: Evaluation, default: float) -> float:
    """Return the payload as a float."""
    return default if (payload := _payload(found)) is None else float(payload)


def object_of(found: Evaluation, default: Any) -> Any:
    """Return the payload as an object or an array."""
    if (payload := _payload(found)) is None:
        return default
    value = json.loads(payload)
    if not isinstance(value, dict | list):
        raise TypeError(f"it is {type(value).__name__}, not an object or an array")
    return value


def _payload(found: Evaluation) -> str | None:
    """Return the payload; None if the flag is off, which is no error.

    Raises ValueError if the flag is on and has none.
    """
    if found.payload is None and found.on:
        raise ValueError("the flag has no variant with a payload for this context")
    return found.payload
