"""The choice of the pairs that a judge sees: at random, the same ones each time."""

import hashlib
import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from comparison.errors import TextsMissingError
from comparison.judges.text_pairs import TextPair

NOISE_SHARE: Final = 0.1
"""Of the questions, how many are about pairs of the same model twice, where there are such."""

Key = tuple[str, str]
"""Request id and output."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Hold the pairs to ask about, in order, and what they were chosen from."""

    pairs: tuple[TextPair, ...]
    answered: int
    """Pairs of these models that have been judged already."""
    differing: int
    total: int
    """Pairs of the present models whose texts differ, and all of them."""
    same_model: int
    """Pairs of the same model twice whose texts differ."""


@dataclass(slots=True)
class _Models:
    """The pairs of one output and two models: those with the least hashes are kept."""

    last: int = 0
    differing: int = 0
    total: int = 0
    answered: set[Key] = field(default_factory=set)
    kept: list[tuple[int, Key]] = field(default_factory=list)
    pairs: dict[Key, TextPair] = field(default_factory=dict)

    def add(self, pair: TextPair, place: int, most: int, answered: Collection[Key]) -> None:
        key = (pair.request_id, pair.output)
        self.last = max(self.last, pair.time)
        self.total += 1
        if not pair.differs or key in self.pairs:
            return
        self.differing += 1
        if key in answered:
            self.answered.add(key)
            return
        heapq.heappush(self.kept, (-place, key))
        self.pairs[key] = pair
        if len(self.kept) > most:
            del self.pairs[heapq.heappop(self.kept)[1]]

    def chosen(self, most: int) -> list[TextPair]:
        order = sorted(self.kept, reverse=True)
        return [self.pairs[key] for _, key in order[: max(0, most)]]


def select(
    pairs: Iterable[TextPair], most: int, *, seed: int = 0, answered: Collection[Key] = ()
) -> Selection:
    """Choose up to `most` pairs that differ, of the newest models, less those `answered`.

    A pair's place in the order is a hash of its request id, so it does not depend on the order of
    the files, nor on what is recorded later. Where pairs of one of these models twice were
    recorded, one in ten is such a pair. Raises TextsMissingError where no pair has texts.
    """
    found: dict[tuple[str, tuple[str | None, str | None]], _Models] = {}
    for pair in pairs:
        models = found.setdefault((pair.output, pair.models), _Models())
        models.add(pair, _place(pair, seed), most, answered)
    if not found:
        raise TextsMissingError(
            "no pair holds the texts of both sides, which are recorded only if somebody asks for it"
        )
    newest = {
        output: max(
            (key for key in found if key[0] == output),
            key=lambda key: (not _is_same(key[1]), found[key].last),
        )
        for output, _ in found
    }
    compared = [found[key] for key in newest.values() if not _is_same(key[1])]
    tags = {tag for _, models in newest.values() for tag in models}
    alike = [each for key, each in found.items() if _is_same(key[1]) and key[1][0] in tags]
    return Selection(
        tuple(_mixed(compared, alike, most)),
        answered=sum(len(each.answered) for each in (*compared, *alike)),
        differing=sum(each.differing for each in compared),
        total=sum(each.total for each in compared),
        same_model=sum(each.differing for each in alike),
    )


def _is_same(models: tuple[str | None, str | None]) -> bool:
    return models[0] is not None and models[0] == models[1]


def _mixed(compared: list[_Models], alike: list[_Models], most: int) -> list[TextPair]:
    """Spread the pairs of the same model twice among the others: a run may be cut short."""
    left = most - sum(len(each.answered) for each in (*compared, *alike))
    noise = round(most * NOISE_SHARE) - sum(len(each.answered) for each in alike)
    same = _one_by_one([each.chosen(min(noise, left)) for each in alike])[: max(0, noise)]
    pairs = _one_by_one([each.chosen(left - len(same)) for each in compared])
    pairs = pairs[: max(0, left - len(same))]
    placed = [
        ((number + 0.5) / len(part), pair)
        for part in (pairs, same)
        for number, pair in enumerate(part)
    ]
    return [pair for _, pair in sorted(placed, key=lambda each: each[0])]


def _one_by_one(parts: list[list[TextPair]]) -> list[TextPair]:
    """Take one of each in turn: several outputs have an equal part of the budget."""
    rows = zip_longest(*parts)
    return [pair for row in rows for pair in row if pair is not None]


def _place(pair: TextPair, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}\0{pair.request_id}\0{pair.output}".encode(errors="replace"))
    return int.from_bytes(digest.digest()[:8], "big")
