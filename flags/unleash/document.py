"""The validation of a flag source's content, before any engine or cache sees it."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yggdrasil_engine.engine import UnleashEngine

from flags.errors import FlagDocumentError


@dataclass(frozen=True, slots=True)
class FlagDefinition:
    """The facts of one flag, apart from its evaluation."""

    name: str
    enabled: bool
    content: str
    """The whole definition as canonical JSON: differs if anything in the flag differs."""
    rollout: float | None
    """Rollout of its only strategy, 0-100; None if it has none, or several strategies."""
    stickiness: str | None = None
    group_id: str | None = None
    constrained: bool = False
    """True if constraints, segments or other flags take part in the decision."""
    varied: bool = False
    """True if it has variants."""
    payload: str | None = None
    """Payload of its only variant, which counts at any rollout, 0 included."""
    warnings: tuple[str, ...] = ()
    project: str | None = None


@dataclass(frozen=True, slots=True)
class FlagDocument:
    """A list of flags in Unleash's client-features format (`GET /api/client/features`)."""

    text: str
    flags: Mapping[str, FlagDefinition] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, origin: str) -> "FlagDocument":
        """Return the document in `text`; raise FlagDocumentError naming `origin` and the place."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FlagDocumentError(f"{origin} is no JSON: {error}") from None
        features = content.get("features") if isinstance(content, dict) else None
        if not isinstance(features, list):
            raise FlagDocumentError(
                f"{origin} is no list of flags: it must be an object with the array `features`, "
                "as Unleash answers under /api/client/features"
            )
        definitions = (
            _definition(each, f"{origin}, features[{i}]") for i, each in enumerate(features)
        )
        flags = {flag.name: flag for flag in definitions}
        if not _engine_takes(text, flags):
            refused = [
                each["name"]
                for each in features
                if not _engine_takes(json.dumps({"version": 2, "features": [each]}), [each["name"]])
            ]
            place = f"the flags {', '.join(refused)}" if refused else "what is beside `features`"
            raise FlagDocumentError(
                f"{origin} is refused by Unleash's engine: {place} must be as Unleash answers, "
                'such as {"rollout": "25"} with a string'
            )
        return cls(text, flags)


def _engine_takes(text: str, flags: Collection[str]) -> bool:
    """Say whether Unleash's engine knows `flags` from `text`; it refuses without a word."""
    engine = UnleashEngine()
    try:
        engine.take_state(text)
    except Exception:  # its Python part raises whatever a wrong type leads to
        return False
    return {known.name for known in engine.list_known_toggles()} == set(flags)


def _definition(feature: Any, where: str) -> FlagDefinition:
    if not isinstance(feature, dict) or not isinstance(feature.get("name"), str):
        raise FlagDocumentError(f"{where} has no string `name`")
    name, enabled = feature["name"], feature.get("enabled")
    where = f"{where} ({name})"
    if not isinstance(enabled, bool):
        raise FlagDocumentError(f"{where}: `enabled` is {enabled!r}, must be true or false")
    strategies = feature.get("strategies")
    if not isinstance(strategies, list) or not all(isinstance(each, dict) for each in strategies):
        raise FlagDocumentError(f"{where}: `strategies` must be an array of objects")
    variants = _variants(feature, strategies)
    common: dict[str, Any] = {
        "name": name,
        "enabled": enabled,
        "content": json.dumps(feature, sort_keys=True),
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
    # `disabled` is not looked at: the server leaves disabled strategies out, the engine ignores it.
    return _with_strategy(common, strategies[0], depends, where)


def _is_random(strategy: Mapping[str, Any]) -> bool:
    """Say whether a strategy draws anew for each request: an old one has that in its name."""
    parameters = strategy.get("parameters")
    stickiness = parameters.get("stickiness") if isinstance(parameters, dict) else None
    return strategy.get("name") == "gradualRolloutRandom" or stickiness == "random"


def _with_strategy(
    common: Mapping[str, Any], strategy: Mapping[str, Any], depends: bool, where: str
) -> FlagDefinition:
    constrained = depends or bool(strategy.get("constraints") or strategy.get("segments"))
    if strategy.get("name") == "default":
        return FlagDefinition(**common, rollout=100.0, constrained=constrained)
    if strategy.get("name") != "flexibleRollout":
        random = "random" if _is_random(strategy) else None
        return FlagDefinition(**common, rollout=None, constrained=True, stickiness=random)
    parameters = strategy.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise FlagDocumentError(f"{where}: `parameters` must be an object")
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
    """Return the variants that may come out: those of a strategy go before those of the flag."""
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
    return str(payload["value"]) if isinstance(payload, dict) and "value" in payload else None


def _rollout(value: Any) -> float | None:
    if not isinstance(value, str) or not re.fullmatch(r"\+?[0-9]+", value):
        return None
    return float(value) if int(value) <= 100 else None


def _out_of_range(value: Any) -> str:
    return f"rollout is {value!r}, not a whole number from 0 to 100: the engine evaluates it as 0"


def stickiness_warning(flag: FlagDefinition, sent: frozenset[str]) -> str | None:
    """Return a warning if the same request may change sides, or never reach the candidate."""
    if flag.stickiness == "random":
        return "stickiness is random: the same request id may get either side"
    if flag.stickiness == "default":
        return "stickiness is default (userId, sessionId or random): a request id may change sides"
    if flag.stickiness is None or flag.stickiness in sent:
        return None
    return (
        f"stickiness is {flag.stickiness!r}, which is not sent, so the primary answers everything; "
        f"sent are {', '.join(sorted(sent))}"
    )
