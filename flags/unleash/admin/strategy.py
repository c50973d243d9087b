"""Activation strategies in the format of the Admin API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from flags.unleash.admin.errors import PayloadError, RolloutRangeError

_ROLLOUT_STRATEGY: Final = "flexibleRollout"
_VARIANT: Final = "candidate"
_WHOLE_WEIGHT: Final = 1000


@dataclass(frozen=True, slots=True)
class Strategy:
    """One activation strategy of a flag in one environment; a flag is on if any strategy is."""

    id: str
    name: str
    disabled: bool
    rollout: int | None
    """Rollout, 0-100; None if the strategy has none, or an invalid one."""
    rollout_text: str | None
    """The rollout as Unleash stores it; it stores "150" too, and evaluates it as 0."""
    stickiness: str | None
    group_id: str | None
    constraints: int
    """Number of constraints and segments; each restricts the requests that get the rollout."""
    variants: tuple[str, ...]
    payload: Mapping[str, Any] | None
    """JSON object of the first variant that has one."""

    @classmethod
    def parse(cls, strategy: Mapping[str, Any]) -> Self:
        """Parse an element of `environments[].strategies`. Raises KeyError or TypeError.

        Only `id` and `name` are required: a flag with unusual strategies must be shown and changed
        all the same.
        """
        parameters = mapping(strategy.get("parameters"))
        variants = [mapping(each) for each in sequence(strategy.get("variants"))]
        payloads = [_payload(variant) for variant in variants]
        return cls(
            id=str(strategy["id"]),
            name=str(strategy["name"]),
            disabled=bool(strategy.get("disabled")),
            rollout=read_rollout(parameters.get("rollout")),
            rollout_text=text(parameters.get("rollout")),
            stickiness=text(parameters.get("stickiness")),
            group_id=text(parameters.get("groupId")),
            constraints=len(sequence(strategy.get("constraints")))
            + len(sequence(strategy.get("segments"))),
            variants=tuple(str(variant.get("name")) for variant in variants),
            payload=next((payload for payload in payloads if payload is not None), None),
        )

    @property
    def is_rollout(self) -> bool:
        """True for Unleash's gradual rollout."""
        return self.name == _ROLLOUT_STRATEGY


def rollout_strategy(percent: int, stickiness: str, group_id: str) -> dict[str, Any]:
    """Return the body that creates a gradual rollout. Raises RolloutRangeError unless 0-100."""
    return {
        "name": _ROLLOUT_STRATEGY,
        "parameters": {
            "rollout": str(checked_percent(percent)),
            "stickiness": stickiness,
            "groupId": group_id,
        },
        "constraints": [],
        "segments": [],
        "variants": [],
    }


def variant(payload: Mapping[str, Any], stickiness: str) -> dict[str, Any]:
    """Return a variant for every request, with a JSON object as payload. Raises PayloadError."""
    try:
        text = json.dumps(dict(payload), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise PayloadError(f"the payload cannot be written as JSON: {error}") from None
    return {
        "name": _VARIANT,
        "weight": _WHOLE_WEIGHT,
        "weightType": "variable",
        "stickiness": stickiness,
        "payload": {"type": "json", "value": text},
    }


def read_rollout(text: object) -> int | None:
    """Return a stored rollout as a whole number; None if it is not one from 0 to 100."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        return None
    digits = text.lstrip("0") or "0"  # int() refuses more than 4,300 digits
    number = int(digits) if len(digits) <= len("100") else None
    return number if number is not None and number <= 100 else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return a JSON object; an empty one if the value is something else."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """Return a JSON array; an empty one if the value is something else."""
    return value if isinstance(value, list) else []


def text(value: object) -> str | None:
    """Return a JSON string; None if the value is something else."""
    return value if isinstance(value, str) else None


def checked_percent(percent: int) -> int:
    """Return `percent`, or raise RolloutRangeError."""
    if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= 100:
        raise RolloutRangeError(f"a rollout is a whole number from 0 to 100, not {percent!r}")
    return percent


def _payload(variant: Mapping[str, Any]) -> Mapping[str, Any] | None:
    payload = mapping(variant.get("payload"))
    if payload.get("type") != "json" or not isinstance(payload.get("value"), str):
        return None
    try:
        value = json.loads(payload["value"])
        json.dumps(value)  # the value must also be writable
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
