"""Examples of judged pairs with their texts, for a reader of the report."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from comparison.judges.preferences import ID, Preferences
from comparison.judges.text_pairs import read_text_pairs
from comparison.pairs.stores.folders import folder_at, is_store

MOST = 6
"""Largest number of examples, half of them won by each side."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TextExample:
    """A judged pair with its recorded texts, in full length."""

    request_id: str
    output: str
    prompt: str
    primary: str
    candidate: str
    preference: float
    """Preference for the candidate's answer, from 0 to 1."""


def examples_at(
    place: str | Path, flag: str | None, preferences: Preferences | None
) -> tuple[TextExample, ...]:
    """Return examples from the pairs at a place; none if it is a table of an engine.

    Texts are read from pair files and compacted folders only.
    """
    if preferences is None or ("://" in str(place) and not is_store(place)):
        return ()
    return read_examples(folder_at(place), flag, preferences)


def read_examples(
    pairs: Path, flag: str | None, preferences: Preferences, most: int = MOST
) -> tuple[TextExample, ...]:
    """Return judged pairs won by each side, chosen at random, but the same ones each time.

    Empty if no texts were recorded. Raises a ComparisonError for a place without pairs.
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
    """Choose as many pairs won by the candidate as by the primary; return their preferences."""
    frame = preferences.frame
    known = frame.loc[frame["least"] == frame["most"]].assign(output=frame["output"].fillna(""))
    chosen: dict[Key, float] = {}
    for won in (known["least"] > 0.5, known["least"] < 0.5):
        rows = known.loc[won]
        keys = zip(rows[ID].astype(str), rows["output"].astype(str), strict=True)
        order = sorted(zip(keys, rows["least"], strict=True), key=lambda each: _hash(each[0]))
        chosen |= {key: float(value) for key, value in order[: most // 2]}
    return chosen


def _hash(key: Key) -> bytes:
    return hashlib.sha256("\0".join(key).encode("utf-8", "replace")).digest()
