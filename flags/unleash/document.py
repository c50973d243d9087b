"""The reading of a flag source, flag by flag: a bad one is left out, the others count.

Of many flags most belong to other teams, and what one of them writes must not hold up the rest.
Unleash's engine takes a document whole or not at all, and refuses it without a word: the flags that
it refuses are found by halving.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from yggdrasil_engine.custom_strategy import CustomStrategyHandler
from yggdrasil_engine.engine import UnleashEngine

from flags.errors import FlagDocumentError
from flags.printable import printable
from flags.unleash.definition import FlagDefinition, define
from flags.unleash.feature_list import parse_features, parsed, with_rests

_NAMED: Final = 100
"""Characters of a flag's name that a message quotes."""
_PROBE: Final = '{"name":"probe","enabled":true,"strategies":[]}'
_REFUSED: Final = (
    'Unleash\'s engine refuses it: it must be as Unleash answers, such as {"rollout": "25"} with '
    "a string"
)

_Item = TypeVar("_Item")

Judged = FlagDefinition | str
"""What a flag says, or why it is left out."""


@dataclass(frozen=True, slots=True)
class FlagDocument:
    """Flags in Unleash's client-features format (`GET /api/client/features`), ready to be asked."""

    text: str
    """As it came."""
    engine: UnleashEngine = field(repr=False, compare=False)
    """Unleash's engine with the flags that are not left out."""
    flags: Mapping[str, FlagDefinition] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why flags are left out, by their names."""
    judged: Mapping[str, Judged] = field(default_factory=dict, repr=False)
    """What was found of each flag, by its text: one that does not change is not judged again."""

    @classmethod
    def parse(cls, text: str, origin: str, before: "FlagDocument | None" = None) -> "FlagDocument":
        """Return the document in `text`; FlagDocumentError, naming `origin`, if it is not a list.

        `before` is the last document of the same source: its flags need not be judged again.
        """
        content, features = _parsed(text, origin)
        segments = content.get("segments")
        flags = _Flags(before.judged if before else {})
        for index, feature in enumerate(with_rests(features)):
            flags.add(index, feature)
        engine = flags.engine(_segments(segments if isinstance(segments, list) else []))
        return cls(text, engine, flags.taken, flags.left_out, flags.judged)


class _Flags:
    """The flags of a document while they are judged."""

    def __init__(self, known: Mapping[str, Judged]) -> None:
        self.taken: dict[str, FlagDefinition] = {}
        self.left_out: dict[str, str] = {}
        self.judged: dict[str, Judged] = {}
        self._known = known
        self._texts: dict[str, str] = {}
        """By name, of those in `judged`."""

    def add(self, index: int, text: str) -> None:
        """Judge one flag; of several with a name, the last counts."""
        found = self._known.get(text) or self.judged.get(text)
        if isinstance(found, FlagDefinition):
            self._keep(found.name, text, found)
            return
        feature = parsed(text)
        name = feature.get("name") if isinstance(feature, dict) else None
        name = name if isinstance(name, str) else f"features[{index}]"
        try:
            self._keep(name, text, found or _defined(feature, _written(feature)))
        except (ValueError, RecursionError):
            found = "it holds half a character, a number without value, or too many levels"
            if _is_off(feature, name):
                found = FlagDefinition(name, False, found, None, warnings=(f"it is off; {found}",))
            self._put(name, found)

    def _keep(self, name: str, text: str, found: Judged) -> None:
        self.judged[text] = found
        self._texts[name] = text
        self._put(name, found)

    def _put(self, name: str, found: Judged) -> None:
        self.taken.pop(name, None)
        self.left_out.pop(name, None)
        if isinstance(found, str):
            self.left_out[name] = found
        else:
            self.taken[name] = found

    def engine(self, segments: Sequence[str]) -> UnleashEngine:
        """Return an engine that has the flags; leave out those that it refuses.

        Raises FlagDocumentError if it refuses together what it takes one by one.
        """
        engine = _engine()
        if _takes(engine, self.taken.values(), segments):
            return engine
        known = {name for name, text in self._texts.items() if text in self._known}
        doubtful = [each for name, each in self.taken.items() if name not in known]
        for flag in _refused(doubtful, lambda some: _takes(engine, some, segments)):
            del self.taken[flag.name]
            self.left_out[flag.name] = self.judged[self._texts.get(flag.name, flag.content)] = (
                _REFUSED
            )
        if _takes(engine, self.taken.values(), segments):
            return engine
        # The engine judges a flag by itself; should it ever not, one by one goes on.
        for flag in [each for each in self.taken.values() if not _takes(engine, [each], segments)]:
            del self.taken[flag.name]
            self.left_out[flag.name] = _REFUSED
        if not _takes(engine, self.taken.values(), segments):
            raise FlagDocumentError("Unleash's engine refuses flags that it takes one by one")
        return engine


def _parsed(text: str, origin: str) -> tuple[Any, list[str]]:
    try:
        content, features = parse_features(text)
    except (ValueError, RecursionError) as error:
        raise FlagDocumentError(f"{origin} is not JSON: {error}") from None
    if features is None:
        raise FlagDocumentError(
            f"{origin} is not a list of flags: it must be an object with the array `features`, "
            "as Unleash answers under /api/client/features"
        )
    return content, features


def _written(feature: Any) -> str:
    """Return a flag as JSON that every parser takes; ValueError or RecursionError if none does."""
    written = json.dumps(feature, ensure_ascii=False, allow_nan=False)
    written.encode()
    return written


def _defined(feature: Any, written: str) -> Judged:
    try:
        return define(feature, written)
    except FlagDocumentError as error:
        return str(error)


def _is_off(feature: Any, name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name and isinstance(feature, dict) and feature.get("enabled") is False


def _for_engine(flag: FlagDefinition) -> str:
    """Return what the engine is given: of a flag that is off, that it is off."""
    if flag.enabled:
        return flag.content
    return json.dumps({"name": flag.name, "enabled": False, "strategies": []})


def _takes(engine: UnleashEngine, flags: Iterable[FlagDefinition], segments: Sequence[str]) -> bool:
    """Give the engine these flags, and say whether it has them now."""
    texts = {flag.name: _for_engine(flag) for flag in flags}
    return _has(engine, texts.values(), segments, set(texts))


def _has(
    engine: UnleashEngine, texts: Iterable[str], segments: Sequence[str], names: set[str]
) -> bool:
    try:
        engine.take_state('{"version":2,"features":[]}')
        engine.take_state(
            f'{{"version":2,"features":[{",".join(texts)}],"segments":[{",".join(segments)}]}}'
        )
    except Exception:  # its Python part raises whatever a wrong type leads to
        return False
    return {known.name for known in engine.list_known_toggles()} == names


# The engine comes without types.
class _NoCustomStrategies(CustomStrategyHandler):  # type: ignore[misc]
    """Leaves out custom strategies, of which there are none, and a second parser's run for them."""

    def update_strategies(self, features_json: str) -> None:
        """Keep nothing."""


class _QuietEngine(UnleashEngine):  # type: ignore[misc]
    """Asks nothing about impression events, which nobody here emits: a tenth of an evaluation."""

    def should_emit_impression_event(self, toggle_name: str) -> bool:
        """Say no."""
        del toggle_name
        return False


def _engine() -> UnleashEngine:
    engine = _QuietEngine()
    engine.custom_strategy_handler = _NoCustomStrategies()
    return engine


def _segments(segments: Sequence[Any]) -> list[str]:
    """Return the segments that the engine takes; flags that need others are not met."""
    written = []
    for each in segments:
        try:
            written.append(_written(each))
        except (ValueError, RecursionError):
            continue
    engine = _engine()

    def takes(some: Sequence[str]) -> bool:
        return _has(engine, [_PROBE], some, {"probe"})

    if takes(written):
        return written
    refused = set(_refused(written, takes))
    return [each for each in written if each not in refused]


def _refused(items: Sequence[_Item], takes: Callable[[Sequence[_Item]], bool]) -> list[_Item]:
    """Return the items that are refused by themselves."""
    if not items or takes(items):
        return []
    if len(items) == 1:
        return list(items)
    half = len(items) // 2
    return [*_refused(items[:half], takes), *_refused(items[half:], takes)]


def shown(name: str) -> str:
    """Return a flag's name as a message quotes it."""
    return printable(name, _NAMED)
