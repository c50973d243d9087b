"""Some judged pairs with their texts, for people to read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from comparison.judges.preferences import ID, Preferences
from comparison.judges.text_pairs import read_text_pairs
from comparison.pairs.stores.folders import folder_at, is_store

MOST = 6
"""Pairs that are shown: as many that either side won."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TextExample:
    """Hold a pair and what was said of it; the texts are as long as they were recorded."""

    request_id: str
    output: str
    prompt: str
    primary: str
    candidate: str
    preference: float
    """The candidate's share, from 0 to 1."""


def examples_at(
    place: str | Path, flag: str | None, preferences: Preferences | None
) -> tuple[TextExample, ...]:
    """Return those of pairs at a place, none where it is a table of an engine.

    Texts are recorded in pair files alone, and no table of an engine is asked for them.
    """
    if preferences is None or ("://" in str(place) and not is_store(place)):
        return ()
    return read_examples(folder_at(place), flag, preferences)


def read_examples(
    pairs: Path, flag: str | None, preferences: Preferences, most: int = MOST
) -> tuple[TextExample, ...]:
    """Return judged pairs that each side won, at random but the same ones each time.

    None where no texts were recorded. Raises a ComparisonError for a place without pairs.
    """
    wanted = _wanted(preferences, most)
    found: dict[Key, TextExample] = {}
    for pair in read_text_pairs(pairs, flag):
        key = (pair.request_id, pair.output)
        preference = wanted.get(key, wanted.get((pair.request_id, "")))
        if preference is not None and key not in found and not pair.is_same_model:
            found[key] = TextExample(*key, pair.prompt, pair.primary, pair.candidate, preference)
        if len(found) == len(wanted):
            break
    return tuple(sorted(found.values(), key=lambda each: (-each.preference, each.request_id)))


def _wanted(preferences: Preferences, most: int) -> Mapping[Key, float]:
    """Choose pairs that the candidate won, and as many that the primary did."""
    frame = preferences.frame
    known = frame.loc[frame["least"] == frame["most"]].assign(output=frame["output"].fillna(""))
    chosen: dict[Key, float] = {}
    for won in (known["least"] > 0.5, known["least"] < 0.5):
        rows = known.loc[won]
        keys = zip(rows[ID].astype(str), rows["output"].astype(str), strict=True)
        order = sorted(zip(keys, rows["least"], strict=True), key=lambda each: _place(each[0]))
        chosen |= {key: float(value) for key, value in order[: most // 2]}
    return chosen


def _place(key: Key) -> bytes:
    return hashlib.sha256("\0".join(key).encode("utf-8", "replace")).digest()
