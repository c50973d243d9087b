"""A document of flags, parsed flag by flag: an invalid flag is left out, the others are used.

Most flags of an environment belong to other teams, and an invalid flag of theirs must not affect
ours. Unleash's engine accepts or refuses a whole document, and gives no reason: the flags that it
refuses are found by halving.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from yggdrasil_engine.custom_strategy import CustomStrategyHandler
from yggdrasil_engine.engine import UnleashEngine

from flags.errors import FlagDocumentError
from flags.printable import printable
from flags.unleash.definition import FlagDefinition, define, has_too_many_parts
from flags.unleash.feature_list import parse_element, parse_features, with_pauses

_NAME_LENGTH: Final = 100
"""Characters of a flag's name that a message quotes."""
_PROBE: Final = '{"name":"probe","enabled":true,"strategies":[]}'
_REFUSED: Final = (
    'Unleash\'s engine refuses it: it must be as Unleash answers, such as {"rollout": "25"} with '
    "a string"
)

_Item = TypeVar("_Item")

ParsedFlag = FlagDefinition | str
"""The definition of a flag, or the reason why it is left out."""


@dataclass(frozen=True, slots=True)
class FlagDocument:
    """Flags in Unleash's client-features format (`GET /api/client/features`), and their engine."""

    text: str
    """The unparsed document."""
    engine: UnleashEngine = field(repr=False, compare=False)
    """Unleash's engine, loaded with the flags that are not left out."""
    flags: Mapping[str, FlagDefinition] = field(default_factory=dict)
    """By name."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The reasons why flags are left out, by flag name."""
    by_text: Mapping[str, ParsedFlag] = field(default_factory=dict, repr=False)
    """The result for each flag by its JSON text, so that an unchanged flag is not parsed again."""

    @classmethod
    def parse(cls, text: str, origin: str, before: "FlagDocument | None" = None) -> "FlagDocument":
        """Return the document in `text`.

        `before` is the previous document of the same source: its flags are not parsed again. Raises
        FlagDocumentError, naming `origin`, if the text is not a list of flags.
        """
        content, features = _parsed(text, origin)
        segments = content.get("segments")
        flags = _FlagParser(before.by_text if before else {})
        for index, feature in enumerate(with_pauses(features)):
            flags.add(index, feature)
        engine = flags.engine(_segments(segments if isinstance(segments, list) else []))
        return cls(text, engine, flags.accepted, flags.left_out, flags.by_text)


class _FlagParser:
    """The accepted and left out flags of a document while it is being parsed."""

    def __init__(self, known: Mapping[str, ParsedFlag]) -> None:
        self.accepted: dict[str, FlagDefinition] = {}
        self.left_out: dict[str, str] = {}
        self.by_text: dict[str, ParsedFlag] = {}
        self._known = known
        self._texts: dict[str, str] = {}
        """The keys of `by_text`, by flag name."""

    def add(self, index: int, text: str) -> None:
        """Parse one flag; if several have the same name, the last is used."""
        found = self._known.get(text) or self.by_text.get(text)
        if isinstance(found, FlagDefinition):
            self._keep(found.name, text, found)
            return
        feature = parse_element(text)
        name = feature.get("name") if isinstance(feature, dict) else None
        name = name if isinstance(name, str) else f"features[{index}]"
        try:
            self._keep(name, text, found or _defined(feature, _written(feature)))
        except (ValueError, RecursionError):
            found = "it holds a lone surrogate, a number that is not finite, or too many levels"
            if _is_off(feature, name):
                found = FlagDefinition(name, False, found, None, warnings=(f"it is off; {found}",))
            self._put(name, found)

    def _keep(self, name: str, text: str, found: ParsedFlag) -> None:
        self.by_text[text] = found
        self._texts[name] = text
        self._put(name, found)

    def _put(self, name: str, found: ParsedFlag) -> None:
        self.accepted.pop(name, None)
        self.left_out.pop(name, None)
        if isinstance(found, str):
            self.left_out[name] = found
        else:
            self.accepted[name] = found

    def engine(self, segments: Sequence[str]) -> UnleashEngine:
        """Return an engine loaded with the accepted flags; leave out flags that it refuses.

        Raises FlagDocumentError if it refuses together flags that it accepts one by one.
        """
        engine = _engine()
        if _load(engine, self.accepted.values(), segments):
            return engine
        known = {name for name, text in self._texts.items() if text in self._known}
        doubtful = [each for name, each in self.accepted.items() if name not in known]
        for flag in _refused(doubtful, lambda some: _load(engine, some, segments)):
            del self.accepted[flag.name]
            text = self._texts.get(flag.name, flag.content)
            self.left_out[flag.name] = self.by_text[text] = _REFUSED
        if _load(engine, self.accepted.values(), segments):
            return engine
        # Flags of earlier documents were accepted then. Should the engine refuse one now, try each.
        for flag in list(self.accepted.values()):
            if not _load(engine, [flag], segments):
                del self.accepted[flag.name]
                self.left_out[flag.name] = _REFUSED
        if not _load(engine, self.accepted.values(), segments):
            raise FlagDocumentError("Unleash's engine refuses flags that it accepts one by one")
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
    """Return a flag as strict JSON. Raises ValueError or RecursionError if that is impossible."""
    written = json.dumps(feature, ensure_ascii=False, allow_nan=False)
    written.encode()
    return written


def _defined(feature: Any, written: str) -> ParsedFlag:
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
    """Return the JSON for the engine: of a flag that is off, only that."""
    if flag.enabled:
        return flag.content
    return json.dumps({"name": flag.name, "enabled": False, "strategies": []})


def _load(engine: UnleashEngine, flags: Iterable[FlagDefinition], segments: Sequence[str]) -> bool:
    """Load these flags into the engine; return False if it refuses them."""
    texts = {flag.name: _for_engine(flag) for flag in flags}
    return _load_texts(engine, texts.values(), segments, set(texts))


def _load_texts(
    engine: UnleashEngine, texts: Iterable[str], segments: Sequence[str], names: set[str]
) -> bool:
    """Load flags as JSON; return False if the engine does not have exactly `names` afterwards."""
    try:
        engine.take_state('{"version":2,"features":[]}')
        engine.take_state(
            f'{{"version":2,"features":[{",".join(texts)}],"segments":[{",".join(segments)}]}}'
        )
    except Exception:  # its Python part raises various errors for wrong types
        return False
    return {known.name for known in engine.list_known_toggles()} == names


# The engine has no type annotations.
class _NoCustomStrategies(CustomStrategyHandler):  # type: ignore[misc]
    """A handler without custom strategies: it saves parsing the document a second time for them."""

    def update_strategies(self, features_json: str) -> None:
        """Do nothing."""


class _QuietEngine(UnleashEngine):  # type: ignore[misc]
    """An engine without impression events, which take a tenth of an evaluation's time."""

    def should_emit_impression_event(self, toggle_name: str) -> bool:
        """Return False."""
        del toggle_name
        return False


def _engine() -> UnleashEngine:
    engine = _QuietEngine()
    engine.custom_strategy_handler = _NoCustomStrategies()
    return engine


def _segments(segments: Sequence[Any]) -> list[str]:
    """Return the segments that the engine accepts; a flag that needs another one is not on."""
    written = []
    for each in segments:
        if has_too_many_parts(each):
            continue
        try:
            written.append(_written(each))
        except (ValueError, RecursionError):
            continue
    engine = _engine()

    def load(some: Sequence[str]) -> bool:
        return _load_texts(engine, [_PROBE], some, {"probe"})

    if load(written):
        return written
    refused = set(_refused(written, load))
    return [each for each in written if each not in refused]


def _refused(items: Sequence[_Item], load: Callable[[Sequence[_Item]], bool]) -> list[_Item]:
    """Return the items that `load` refuses one by one, found by halving."""
    if not items or load(items):
        return []
    if len(items) == 1:
        return list(items)
    half = len(items) // 2
    return [*_refused(items[:half], load), *_refused(items[half:], load)]


def quoted(name: str) -> str:
    """Return a flag's name as a message quotes it."""
    return printable(name, _NAME_LENGTH)
