"""Scores are read from all items of a stream."""

from typing import Any

import pytest

from flags.pairing.assignment import Side
from flags.pairing.observation import Status
from flags.pairing.reading import Reading
from flags.pairing.streams.digest import KEPT_BYTES
from tests.support.scripted_streams import CANDIDATE, ScriptedPairing, sent


@pytest.mark.parametrize(
    ("items", "score", "expected"),
    [
        (["ab", "c"], len, 3),
        ([b"ab", b"\xff"], lambda whole: whole[-1], 255),
        (["ab", b"c"], len, 2),
        ([{"x": 1}, {"x": 5}], "-1.x", 5),
    ],
    ids=["texts", "bytes", "both", "objects"],
)
async def test_a_score_is_read_from_all_items(items: list[Any], score: Any, expected: int) -> None:
    reading = Reading.of({"it": score}, 4)
    setting = ScriptedPairing(
        Side.PRIMARY, is_async=True, primary=items, candidate=items, reading=reading
    )
    await setting.taken()
    pair = await setting.pair()
    for seen in (pair.primary, pair.candidate):
        assert (seen.scores, seen.decisions) == ({"it": expected}, {"it": expected >= 4})


async def test_a_stream_that_is_too_long_to_be_kept_has_no_score_and_is_not_a_failure() -> None:
    items = ["x" * KEPT_BYTES, "y"]
    setting = ScriptedPairing(
        Side.CANDIDATE, is_async=True, primary=items, candidate=items, reading=Reading.of(len)
    )
    assert await setting.taken() == items
    pair = await setting.pair()
    for seen in (pair.primary, pair.candidate):
        assert (seen.status, seen.error) == (Status.OK, "AnswerUnreadableError")
        assert (seen.scores, sent(seen, items)) == ({}, True)


async def test_a_score_that_cannot_be_read_is_the_candidate_s_failure_alone() -> None:
    setting = ScriptedPairing(
        Side.CANDIDATE, is_async=True, reading=Reading.of({"it": lambda text: text["it"]})
    )
    assert await setting.taken() == CANDIDATE  # it has left long before
    pair = await setting.pair()
    assert (pair.primary.status, pair.candidate.status) == (Status.OK, Status.ERROR)
    assert pair.primary.error == pair.candidate.error == "AnswerUnreadableError"
    assert sent(pair.candidate, CANDIDATE)
