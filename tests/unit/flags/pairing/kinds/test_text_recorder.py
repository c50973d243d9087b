"""The recorded values of texts; the text itself only if asked for, after redaction."""

import hashlib
import json
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pydantic
import pytest

from flags import Assignment, InMemoryPairs, Pair, Pairing, Reading, Request, Scorer, Side, Text
from flags.errors import AnswerUnreadableError, ReadingError
from flags.pairing.kinds.text_recorder import TextRecorder
from flags.pairing.streams.pairing import StreamPairing
from flags.pairing.streams.scorer import StreamScorer

MAIL = "bob@example.org"


class Order(pydantic.BaseModel):
    item: str
    number: int


def values(text: str, **declared: Any) -> dict[str, Any]:
    return TextRecorder("answer", Text("answer", **declared)).values(text)


def assigned(_request: str, _attributes: Any) -> Assignment:
    return Assignment(Side.PRIMARY, "flag", "split")


async def paired(declared: Text, primary: str, candidate: str, **inputs: Any) -> Pair:
    """Return the pair of a request with these answers of both sides."""
    reading, sink = Reading.of({"answer": declared}), InMemoryPairs()
    pairing = Pairing(
        Scorer(Side.PRIMARY, lambda **_: {"answer": primary}, reading),
        Scorer(Side.CANDIDATE, lambda **_: {"answer": candidate}, reading),
        assign=assigned,
        reading=reading,
        sink=sink,
    )
    answer = await pairing.answer(Request.of("r1", **inputs))
    assert answer.value == {"answer": primary}
    await pairing.drain(5)
    pairing.close()
    [pair] = sink.pairs
    return pair


async def test_a_text_is_not_recorded_unless_somebody_asks_for_it() -> None:
    pair = await paired(Text("answer", prompt="question"), MAIL, "b", question=MAIL)

    assert MAIL not in repr(pair)
    assert pair.prompt is None
    assert pair.primary.values["answer"]["characters"] == len(MAIL)


async def test_a_recorded_text_is_redacted_and_so_is_its_prompt() -> None:
    declared = Text(
        "answer", prompt="question", record=True, redact=lambda text: text.replace("bob", "[name]")
    )
    pair = await paired(declared, f"to {MAIL}", "to nobody", question=f"for {MAIL}?")

    assert pair.primary.values["answer"]["text"] == "to [name]@example.org"
    assert json.loads(pair.prompt or "") == [
        {"role": "user", "parts": [{"type": "text", "content": "for [name]@example.org?"}]}
    ]


@pytest.mark.parametrize("redact", [lambda _: 1 / 0, lambda _: None])
async def test_what_cannot_be_redacted_is_not_recorded(
    redact: Any, caplog: pytest.LogCaptureFixture
) -> None:
    declared = Text("answer", prompt="question", record=True, redact=redact)
    with caplog.at_level(logging.DEBUG):
        pair = await paired(declared, MAIL, "b", question=MAIL)

    assert MAIL not in repr(pair)
    assert MAIL not in caplog.text
    assert pair.primary.values["answer"]["characters"] == len(MAIL)


def test_a_long_text_is_cut_after_its_redaction() -> None:
    found = values("one two three", record=True, longest=7, redact=lambda text: text.upper())

    assert found["text"] == "ONE TWO…"
    assert found["characters"] == 13


def test_texts_are_told_apart_by_digests_that_no_other_process_can_make() -> None:
    one, other, third = (values(text) for text in ("Yes, it is.", "yes,  it is.", "no"))

    assert one["exact"] != other["exact"]
    assert one["normal"] == other["normal"] != third["normal"]
    assert values("no")["exact"] == third["exact"]
    assert third["exact"] != hashlib.blake2b(b"no", digest_size=12).hexdigest()


@pytest.mark.parametrize(
    ("declared", "keeps", "breaks"),
    [
        (r"^\d+$", "42", "forty-two"),
        ({"type": "object", "required": ["item"]}, '{"item": 1}', '{"thing": 1}'),
        ({"type": "array"}, "[]", "no JSON"),
        (Order, '{"item": "a", "number": 1}', '{"item": "a"}'),
        (lambda text: text.endswith("."), "An end.", "No end"),
        (lambda text: 1 / len(text) > 0, "text", ""),
    ],
)
def test_a_format_is_kept_or_broken(declared: Any, keeps: str, breaks: str) -> None:
    formats = {"it": declared}

    assert values(keeps, formats=formats)["remarks"] == "|empty=0|it=0|"
    broken = values(breaks, formats=formats)["remarks"]
    assert broken == f"|empty={int(not breaks)}|it=1|"


@pytest.mark.parametrize(("text", "empty"), [("", 1), (" \n", 1), ("no", 0)])
def test_a_text_of_nothing_but_spaces_is_told_without_any_rule(text: str, empty: int) -> None:
    assert values(text)["remarks"] == f"|empty={empty}|"


def test_a_refusal_is_a_text_that_the_expression_occurs_in() -> None:
    declared = {"refusal": r"I can(no|')t help", "formats": {"short": r"^.{,40}$"}}

    assert values("Sorry, I can't help.", **declared)["remarks"] == "|empty=0|refusal=1|short=0|"
    assert values("Of course.", **declared)["remarks"] == "|empty=0|refusal=0|short=0|"


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"refusal": "("}, "refusal is not a regular expression"),
        ({"formats": {"json": {"type": "nothing"}}}, "format json is not a JSON schema"),
        ({"formats": {"a|b": "x"}}, "a name has letters"),
        ({"formats": {"refusal": "x"}}, "neither refusal nor empty"),
        ({"formats": {"json": 3}}, "must be a regular expression, a JSON schema"),
        ({"longest": 0}, "longest is 0"),
        ({"record": True, "prompt": "a..b"}, "prompt of 'answer' is 'a..b'"),
    ],
)
def test_a_wrong_declaration_is_refused_at_once(declared: dict[str, Any], problem: str) -> None:
    with pytest.raises(ReadingError, match=problem):
        Reading.of({"answer": Text("answer", **declared)})


def test_what_is_not_a_text_cannot_be_read() -> None:
    with pytest.raises(AnswerUnreadableError, match="answer is a int, no text"):
        Reading.of({"answer": Text("answer")}).values({"answer": 3})


@pytest.mark.parametrize(
    ("prompt", "recorded"),
    [
        ("Why?", [("user", "Why?")]),
        (
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
            [("system", "Be brief."), ("user", "Why?")],
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image"}]}],
            [("user", "What?")],
        ),
    ],
)
async def test_a_prompt_may_be_messages(prompt: Any, recorded: list[tuple[str, str]]) -> None:
    pair = await paired(Text("answer", prompt="asked", record=True), "a", "b", asked=prompt)

    said = json.loads(pair.prompt or "")
    assert [(each["role"], each["parts"][0]["content"]) for each in said] == recorded


async def test_a_prompt_that_is_not_there_costs_nothing() -> None:
    pair = await paired(Text("answer", prompt="asked", record=True), "a", "b", other=1)

    assert pair.prompt is None
    assert pair.primary.values["answer"]["text"] == "a"


async def test_the_answer_does_not_wait_for_the_redaction() -> None:
    may_go_on = threading.Event()

    def slow(text: str) -> str:
        may_go_on.wait(5)
        return text

    reading, sink = (
        Reading.of({"answer": Text("answer", record=True, redact=slow)}),
        InMemoryPairs(),
    )
    pairing = Pairing(
        Scorer(Side.PRIMARY, lambda: {"answer": "a"}, reading),
        Scorer(Side.CANDIDATE, lambda: {"answer": "b"}, reading),
        assign=assigned,
        reading=reading,
        sink=sink,
    )

    await pairing.answer(Request.of("r1"))

    assert not sink.pairs
    may_go_on.set()
    await pairing.drain(5)
    pairing.close()
    assert sink.pairs[0].candidate.values["answer"]["text"] == "b"


async def test_a_stream_is_read_when_it_is_whole() -> None:
    async def one() -> AsyncIterator[str]:
        for word in ("I ", "cannot ", "help"):
            yield word

    async def other() -> AsyncIterator[str]:
        yield "Of course"

    reading = Reading.of({"answer": Text(str, refusal="cannot help", record=True)})
    sink = InMemoryPairs()
    pairing = StreamPairing(
        StreamScorer(Side.PRIMARY, one, reading),
        StreamScorer(Side.CANDIDATE, other, reading),
        assign=assigned,
        reading=reading,
        sink=sink,
    )
    stream = (await pairing.answer(Request.of("r1"))).value
    async for _ in stream.items():
        pass
    await pairing.drain(5)
    pairing.close()

    [pair] = sink.pairs
    assert pair.primary.values["answer"]["text"] == "I cannot help"
    assert pair.primary.values["answer"]["remarks"] == "|empty=0|refusal=1|"
    assert pair.candidate.values["answer"]["remarks"] == "|empty=0|refusal=0|"
