"""The random, reproducible selection of the pairs that a judge sees."""

import hashlib
import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final

from comparison.errors import TextsMissingError
from comparison.judges.text_pairs import TextPair

NOISE_SHARE: Final = 0.1
"""Share of the questions about pairs of the same model twice, if such pairs exist."""

Key = tuple[str, str]
"""Request id and output."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The pairs to ask about, in order, and counts of the pairs they were chosen from."""

    pairs: tuple[TextPair, ...]
    answered: int
    """Number of pairs of these models that were judged before."""
    differing: int
    total: int
    """Number of pairs of the present models: with differing texts, and in total."""
    same_model: int
    """Number of pairs of the same model twice whose texts differ."""


@dataclass(slots=True)
class _Models:
    """The pairs of one output and two models; those with the smallest hashes are kept."""

    last: int = 0
    differing: int = 0
    total: int = 0
    answered: set[Key] = field(default_factory=set)
    kept: list[tuple[int, Key]] = field(default_factory=list)
    pairs: dict[Key, TextPair] = field(default_factory=dict)

    def add(self, pair: TextPair, rank: int, most: int, answered: Collection[Key]) -> None:
        """Count a pair, and keep it if its rank is among the `most` smallest."""
        key = (pair.request_id, pair.output)
        self.last = max(self.last, pair.time)
        self.total += 1
        if not pair.differs or key in self.pairs:
            return
        self.differing += 1
        if key in answered:
            self.answered.add(key)
            return
        heapq.heappush(self.kept, (-rank, key))
        self.pairs[key] = pair
        if len(self.kept) > most:
            del self.pairs[heapq.heappop(self.kept)[1]]

    def chosen(self, most: int) -> list[TextPair]:
        """Return the `most` pairs with the smallest ranks."""
        order = sorted(self.kept, reverse=True)
        return [self.pairs[key] for _, key in order[: max(0, most)]]


def select(
    pairs: Iterable[TextPair], most: int, *, seed: int = 0, answered: Collection[Key] = ()
) -> Selection:
    """Choose up to `most` differing pairs of the newest models, without those `answered`.

    The order is by a hash of the request id, so it depends neither on the order of the files nor on
    later pairs. If there are pairs of one of these models twice, one pair in ten is such a pair.
    Raises TextsMissingError if no pair has texts.
    """
    found: dict[tuple[str, tuple[str | None, str | None]], _Models] = {}
    for pair in pairs:
        models = found.setdefault((pair.output, pair.models), _Models())
        models.add(pair, _rank(pair, seed), most, answered)
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
    same_model = [each for key, each in found.items() if _is_same(key[1]) and key[1][0] in tags]
    return Selection(
        tuple(_mixed(compared, same_model, most)),
        answered=sum(len(each.answered) for each in (*compared, *same_model)),
        differing=sum(each.differing for each in compared),
        total=sum(each.total for each in compared),
        same_model=sum(each.differing for each in same_model),
    )


def _is_same(models: tuple[str | None, str | None]) -> bool:
    return models[0] is not None and models[0] == models[1]


def _mixed(compared: list[_Models], same_model: list[_Models], most: int) -> list[TextPair]:
    """Spread the pairs of the same model twice evenly, since a run may end early."""
    left = most - sum(len(each.answered) for each in (*compared, *same_model))
    noise = round(most * NOISE_SHARE) - sum(len(each.answered) for each in same_model)
    same = _interleaved([each.chosen(min(noise, left)) for each in same_model])[: max(0, noise)]
    pairs = _interleaved([each.chosen(left - len(same)) for each in compared])
    pairs = pairs[: max(0, left - len(same))]
    placed = [
        ((number + 0.5) / len(part), pair)
        for part in (pairs, same)
        for number, pair in enumerate(part)
    ]
    return [pair for _, pair in sorted(placed, key=lambda each: each[0])]


def _interleaved(parts: list[list[TextPair]]) -> list[TextPair]:
    """Take a pair of each part in turn, so that all outputs get equal parts of the budget."""
    rows = zip_longest(*parts)
    return [pair for row in rows for pair in row if pair is not None]


def _rank(pair: TextPair, seed: int) -> int:
    digest = hashlib.sha256(f"{seed}\0{pair.request_id}\0{pair.output}".encode(errors="replace"))
    return int.from_bytes(digest.digest()[:8], "big")
