"""The definition of one flag: what its JSON says, without evaluating it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flags.errors import FlagDocumentError
from flags.printable import printable

_QUOTED_LENGTH: Final = 60
"""Characters of a value that a message quotes."""
_MAX_DIGITS: Final = 3
"""Maximum digits of a rollout from 0 to 100, without leading zeros."""
_MAX_PARTS: Final = 1_000
"""Strategies of a flag, and constraints and segments of one of them, by default at most 30, 30 and
5 in Unleash. The engine recurses through them: 200,000 ended the process."""


@dataclass(frozen=True, slots=True)
class FlagDefinition:
    """The definition of one flag."""

    name: str
    enabled: bool
    content: str
    """The whole definition as JSON: it differs if anything in the flag differs."""
    rollout: float | None
    """Rollout of its only strategy, 0-100; None if that has no rollout, or there are several."""
    stickiness: str | None = None
    group_id: str | None = None
    constrained: bool = False
    """Whether the decision also depends on constraints, segments or other flags."""
    varied: bool = False
    """Whether it has variants."""
    payload: str | None = None
    """Payload of its only variant; valid at any rollout, including 0."""
    warnings: tuple[str, ...] = ()
    project: str | None = None


def define(feature: Any, content: str) -> FlagDefinition:
    """Return the definition of an element of `features`.

    A flag that is off is accepted as off, whatever else is wrong with it, because that is how a
    rollback looks. Raises FlagDocumentError with the reason.
    """
    if not isinstance(feature, dict) or not isinstance(feature.get("name"), str):
        raise FlagDocumentError("it has no string `name`")
    if "\0" in feature["name"]:  # the engine would look up only the part before it
        raise FlagDocumentError("its name holds a NUL character")
    enabled = feature.get("enabled")
    if not isinstance(enabled, bool):
        raise FlagDocumentError(f"`enabled` is {_quoted(enabled)}, must be true or false")
    try:
        return _definition(feature, content, enabled)
    except FlagDocumentError as error:
        if enabled:
            raise
        warning = f"it is off; besides, {error}"
        return FlagDefinition(feature["name"], False, content, None, warnings=(warning,))


def _definition(feature: Mapping[str, Any], content: str, enabled: bool) -> FlagDefinition:
    strategies = feature.get("strategies")
    if not isinstance(strategies, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in strategies
    ):
        raise FlagDocumentError("`strategies` must be an array of objects with a string `name`")
    if any(map(has_too_many_parts, (feature, *strategies))):
        raise FlagDocumentError(
            f"it has more than {_MAX_PARTS} strategies, constraints or segments of a strategy, or "
            "dependencies"
        )
    variants = _variants(feature, strategies)
    common: dict[str, Any] = {
        "name": feature["name"],
        "enabled": enabled,
        "content": content,
        "varied": bool(variants),
        "payload": _payload(variants) if len(strategies) < 2 else None,
        "project": feature["project"] if isinstance(feature.get("project"), str) else None,
    }
    depends = bool(feature.get("dependencies"))
    if not strategies:  # Unleash: on for everyone
        return FlagDefinition(**common, rollout=100.0, constrained=depends)
    if len(strategies) > 1:
        random = "random" if any(map(_is_random, strategies)) else None
        return FlagDefinition(**common, rollout=None, constrained=True, stickiness=random)
    # `disabled` is not read: the server leaves such strategies out, the engine ignores it.
    return _with_strategy(common, strategies[0], depends)


def has_too_many_parts(holder: Any) -> bool:
    """Say whether a flag, strategy or segment could overflow the engine's stack."""
    parts = ("strategies", "constraints", "segments", "dependencies")
    held = [holder.get(part) for part in parts] if isinstance(holder, dict) else []
    return any(isinstance(each, list) and len(each) > _MAX_PARTS for each in held)


def _is_random(strategy: Mapping[str, Any]) -> bool:
    """Say whether a strategy draws a random side for each request."""
    parameters = strategy.get("parameters")
    stickiness = parameters.get("stickiness") if isinstance(parameters, dict) else None
    return strategy.get("name") == "gradualRolloutRandom" or stickiness == "random"


def _with_strategy(
    common: Mapping[str, Any], strategy: Mapping[str, Any], depends: bool
) -> FlagDefinition:
    constrained = depends or bool(strategy.get("constraints") or strategy.get("segments"))
    if strategy.get("name") == "default":
        return FlagDefinition(**common, rollout=100.0, constrained=constrained)
    if strategy.get("name") != "flexibleRollout":
        random = "random" if _is_random(strategy) else None
        return FlagDefinition(**common, rollout=None, constrained=True, stickiness=random)
    parameters = strategy.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise FlagDocumentError("`parameters` must be an object")
    rollout = _rollout(parameters.get("rollout"))
    return FlagDefinition(
        **common,
        rollout=0.0 if rollout is None else rollout,
        stickiness=str(parameters.get("stickiness", "default")),
        group_id=str(parameters.get("groupId", common["name"])),
        constrained=constrained,
        warnings=() if rollout is not None else (_out_of_range(parameters.get("rollout")),),
    )


def _variants(feature: Mapping[str, Any], strategies: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the possible variants: the strategies', or the flag's if no strategy has any."""
    found: list[Any] = []
    for holder in (*strategies, feature):
        variants = holder.get("variants")
        if isinstance(variants, list) and not (holder is feature and found):
            found += variants
    return found


def _payload(variants: Sequence[Any]) -> str | None:
    if len(variants) != 1 or not isinstance(variants[0], dict):
        return None
    payload = variants[0].get("payload")
    value = payload.get("value") if isinstance(payload, dict) else None
    return value if isinstance(value, str) else None


def _rollout(value: Any) -> float | None:
    if not isinstance(value, str) or not re.fullmatch(r"\+?[0-9]+", value):
        return None
    digits = value.lstrip("+").lstrip("0") or "0"  # int() refuses more than 4,300 digits
    return float(digits) if len(digits) <= _MAX_DIGITS and int(digits) <= 100 else None


def _out_of_range(value: Any) -> str:
    return (
        f"rollout is {_quoted(value)}, not a whole number from 0 to 100: "
        "the engine evaluates it as 0"
    )


def stickiness_warning(flag: FlagDefinition, sent: frozenset[str]) -> str | None:
    """Return a warning if the stickiness lets a request change sides or never reach the candidate.

    `sent` names the context fields that callers send.
    """
    if flag.stickiness == "random":
        return "stickiness is random: the same request id may get either side"
    if flag.stickiness == "default":
        return "stickiness is default (userId, sessionId or random): a request id may change sides"
    if flag.stickiness is None or flag.stickiness in sent:
        return None
    return (
        f"stickiness is {_quoted(flag.stickiness)}, which is not sent, so the primary answers "
        f"everything; sent are {', '.join(sorted(sent))}"
    )


def _quoted(value: Any) -> str:
    """Return a value as a message quotes it: short, and without control characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return printable(
        repr(value[: 2 * _QUOTED_LENGTH] if isinstance(value, str) else value), _QUOTED_LENGTH
    )
