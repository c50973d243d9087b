"""Patterns read the same from spans as the JSON parser."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import comparison.pairs.files
from comparison.errors import PairsUnreadableError
from comparison.pairs.columns import column_of
from comparison.pairs.files import read_file
from comparison.pairs.read_counts import Block, Progress, ReadCounts
from comparison.pairs.spans import patterns
from comparison.pairs.spans.lines import ReadLines, SpanLines
from comparison.pairs.spans.patterns import MAX_ATTEMPTS, MAX_PATTERNS
from comparison.pairs.spans.row import SHAPE_ERRORS
from comparison.pairs.spans.text import PADDING_BYTES
from comparison.pairs.spans.values import Repeated
from flags.export import attributes
from tests.support.pair_files import PairFile, Scored, any_value, span, traces

KEYS = (
    attributes.ROLLOUT,
    attributes.SEQUENCE,
    attributes.FALLBACK,
    attributes.FLAG_VARIANT,
    attributes.side("primary", attributes.SCORE, "p"),
    attributes.side("candidate", attributes.DECISION, "p"),
    f"{attributes.SEGMENT}.channel",
    f"{attributes.FEATURE}.amount",
    "somebody.else",
)
REQUIRED = {
    attributes.FLAG_KEY: "f",
    attributes.REQUEST_ID: "r",
    attributes.side("primary", attributes.STATUS): "ok",
    attributes.side("candidate", attributes.STATUS): "ok",
}


IDENTITY = ("span", "trace", "time")


class Parsed(SpanLines):
    """Stands in for SpanLines: no line has a frame, so the JSON parser reads every line."""

    def read(self, data: bytearray, starts: Sequence[int], ends: Sequence[int]) -> ReadLines:
        return ReadLines(others=[*range(len(ends))])


@pytest.fixture(autouse=True, scope="module")
def _single_spans_are_worth_a_pattern() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "MIN_ROWS", 1)
        patch.setattr(patterns, "MIN_SHARING_ROWS", 2)
        patch.setattr(patterns, "MIN_SHARED_VALUES", 1)
        yield


def read(lines: Sequence[bytes], span_lines: SpanLines, at_a_time: int = 4) -> tuple[Any, ...]:
    """Return counts, and the rows of lines, unordered, without attributes that have no column."""
    reading = ReadCounts(span_lines=span_lines)
    corrupt = unreadable = 0
    for first in range(0, len(lines), at_a_time):
        some = [each.removesuffix(b"\n") for each in lines[first : first + at_a_time]]
        data = bytearray(b"\n".join(some) + b"\n" + bytes(PADDING_BYTES))
        ends = [sum(len(each) + 1 for each in some[: place + 1]) - 1 for place in range(len(some))]
        others, spoilt = reading.take_lines(data, [0, *(end + 1 for end in ends[:-1])], ends)
        corrupt += len(spoilt)
        for number in others:
            try:
                corrupt += reading.take(orjson.loads(some[number]))
            except SHAPE_ERRORS:
                unreadable += 1
    count, rows = reading.row_count, rows_of(reading.drain())
    assert len(rows) == count
    return sorted(map(repr, rows)), corrupt, unreadable, reading.foreign


def rows_of(block: Block) -> list[list[tuple[str, Any]]]:
    """Return the rows of a block by column names, without attributes that have no column."""
    return [
        [
            (name, value)
            for name, value in zip((*IDENTITY, *shape), row, strict=True)
            if name in IDENTITY or column_of(name)
        ]
        for shape, columns in block.items()
        for row in zip(*columns, strict=True)
    ]


def same(lines: Sequence[bytes]) -> None:
    """Check that patterns and parser agree, on these lines and on lines of several spans."""
    parsed = read(lines, Parsed())
    for at_a_time in (1, 2, 100):
        assert read(lines, SpanLines(), at_a_time) == parsed


def line(values: dict[str, object], number: int = 1, **fields: object) -> bytes:
    made = span(attributes.PAIR_SPAN, {**REQUIRED, **values}, number=number)
    return orjson.dumps(traces({**made, **fields})) + b"\n"


def together(lines: Sequence[bytes], sizes: Sequence[int]) -> list[bytes]:
    """Return lines that each have the spans of several of these."""
    spans = [each for made in lines for each in spans_of(made)]
    cut, found = 0, []
    for size in (*sizes, len(spans)):
        found += [orjson.dumps(traces(*spans[cut : cut + size]))] if spans[cut : cut + size] else []
        cut += size
    return found


def spans_of(made: bytes) -> list[Any]:
    spans: list[Any] = orjson.loads(made)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return spans


words = st.text(max_size=8) | st.text('"\\{}[]:,\n\x00\x7fé€😀 a', max_size=8)
held = st.one_of(
    words,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([0.1, 1e300, 5e-324, 1e16, -0.0, 1.0, 1e-7, {}, {"arrayValue": {}}]),
    st.sampled_from([{"doubleValue": 3}, {"intValue": 3}, {"stringValue": None}]),
)
spans = st.tuples(st.dictionaries(st.sampled_from(KEYS), held, max_size=6), st.integers(1, 3))


sizes = st.lists(st.integers(1, 4), max_size=6)


@settings(deadline=None)
@given(st.lists(spans, max_size=8), sizes)
def test_lines_of_any_values_are_read_as_the_parser_reads_them(
    made: list[Any], together_in: list[int]
) -> None:
    lines = [line(values, number) for values, number in made]
    same(lines)
    same(together(lines, together_in))


shape = st.fixed_dictionaries(
    {
        KEYS[0]: st.floats(allow_nan=False, allow_infinity=False),
        KEYS[2]: st.booleans(),
        KEYS[3]: words,
        KEYS[4]: st.floats(0, 1),
        KEYS[6]: st.text("ab ~!#é€", max_size=4),
        KEYS[8]: st.floats(0, 1) | words,
    }
)


@settings(deadline=None)
@given(st.lists(shape, min_size=2, max_size=8), sizes)
def test_lines_of_one_shape_are_read_as_the_parser_reads_them(
    made: list[Any], together_in: list[int]
) -> None:
    lines = [line(values, number + 1) for number, values in enumerate(made)]
    same(lines)
    same(together(lines, together_in))


@settings(deadline=None)
@given(
    st.lists(shape, min_size=2, max_size=4),
    st.integers(0, 4_000),
    st.binary(max_size=3) | st.sampled_from([b'"', b"}", b"]", b",", b"},{", b"[1", b"2]", b"1,2"]),
    st.integers(0, 3),
)
def test_a_line_with_bytes_changed_is_read_as_the_parser_reads_it(
    made: list[Any], place: int, put: bytes, removed: int
) -> None:
    lines = [line(values, number + 1).strip() for number, values in enumerate(made)]
    for first, second in ((lines[0], lines[1]), (lines[0], together(lines, ())[0])):
        at = place % len(second)
        changed = second[:at] + put + second[at + removed :]
        if b"\n" in changed:
            return
        same([first, second, changed, first])


def test_brackets_and_commas_in_several_values_are_no_numbers() -> None:
    """None of these lines is JSON, but all their numbers together would be."""
    known = line({KEYS[4]: 0.25}).strip()
    broken = [known.replace(b"0.25", number) for number in (b"[1", b"2]", b"1,2")]
    same([known, *broken])
    assert read([known, *broken], SpanLines(), 100)[1:3] == (0, 3)


@pytest.mark.parametrize(
    "before",
    [
        b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"bentoml-flags"},"x":{"spans":[%b]}}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"bentoml-flags"},'
        b'"spans" :[],"spans":[%b]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"bentoml-flags"},"spans":[%b],"spans":[]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"other"},"spans":[%b]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"bentoml-flags"},"spans":[%b],'
        b'"schemaUrl":""}]}]}',
        b'{"resourceSpans":[{},{"scopeSpans":[{"scope":{"name":"bentoml-flags"},"spans":[%b]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"bentoml-flags"},"spans":[%b]}]}],'
        b'"resourceSpans":[]}',
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"\\"spans\\":["}]},'
        b'"scopeSpans":[{"scope":{"name":"bentoml-flags"},"spans":[%b]}]}]}',
    ],
)  # fmt: skip
def test_a_line_with_something_else_around_its_spans_is_read_as_the_parser_reads_it(
    before: bytes,
) -> None:
    made = [orjson.dumps(*spans_of(line({KEYS[4]: 0.25}, number))) for number in (1, 2)]
    same([before % b",".join(made), before % made[0]] * 2)


@settings(deadline=None)
@given(st.sampled_from(["0", "-", "1.", ".5", "1e5", "1.5e999", "01.5", "1.5E3", "NaN", "1_0.0"]))
def test_numbers_as_others_write_them_are_read_as_the_parser_reads_them(number: str) -> None:
    known = line({KEYS[4]: 0.25})
    same([known, known.replace(b"0.25", number.encode())])


@pytest.mark.parametrize(
    "time", ["1", "0", "-5", "01763880000000000000", "9223372036854775808", "8999999999999999999"]
)
def test_times_of_any_length_are_read_as_the_parser_reads_them(time: str) -> None:
    same([line({}), line({}, startTimeUnixNano=time)])


def test_spaces_and_another_order_of_fields_are_left_to_the_parser() -> None:
    made = span(attributes.PAIR_SPAN, REQUIRED)
    turned = dict(reversed(made.items()))
    same([orjson.dumps(traces(made)), json.dumps(traces(made)).encode()] * 2)
    same([orjson.dumps(traces(turned)), orjson.dumps(traces(made))] * 2)


def test_an_attribute_that_occurs_twice_counts_as_it_does_for_the_parser() -> None:
    made = span(attributes.PAIR_SPAN, REQUIRED)
    twice = [{"key": KEYS[4], "value": any_value(each)} for each in (0.25, 0.75)]
    made["attributes"] = [*made["attributes"], *twice]
    same([orjson.dumps(traces(made))] * 3)


def test_most_spans_are_read_by_the_quicker_pattern(tmp_path: Path) -> None:
    """Without it, compaction takes twice as long."""
    path = tmp_path / "pairs.jsonl"
    lines = [
        line({KEYS[4]: number / 7, KEYS[6]: f"c{number % 3}"}, number + 1) for number in range(300)
    ]
    path.write_bytes(b"\n".join(together(lines, [20] * 15)) + b"\n")
    reading = ReadCounts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison.pairs.files, "_CHUNK_BYTES", 20_000)
        for _ in read_file(path, reading, Progress()):
            pass
    [known] = reading.span_lines.patterns.kept
    assert known.quick is not None
    unshared = [field.key or field.identity for field in known.quick.fields if field.shared is None]
    assert unshared[:4] == ["traceId", "spanId", "startTimeUnixNano", None]
    assert unshared[4:] == [KEYS[4], KEYS[6]]


def test_the_parser_reads_no_span_of_a_known_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise compaction would be as slow as the parser."""
    lines = [
        line({KEYS[4]: number / 7, KEYS[6]: f"c{number}", KEYS[2]: number % 2 == 0}, number + 1)
        for number in range(1, 50)
    ]
    parsed = []
    loads = orjson.loads
    monkeypatch.setattr(
        "comparison.pairs.spans.patterns.orjson.loads",
        lambda text: parsed.append(text) or loads(text),
    )
    found = read(together(lines, [20, 20]), SpanLines(), 100)
    assert len(found[0]) == 49
    assert len([each for each in parsed if each.startswith(b'{"traceId"')]) == 1


def test_spans_that_are_much_shorter_than_the_spans_before_are_read() -> None:
    """The search for the next span skips three quarters of the shortest span seen before."""
    long, short = ([line({"somebody.else": text}, n) for n in range(9)] for text in ("x" * 999, ""))
    lines = [*together(long, ()), *together([short[0], long[1], short[2], short[3]], ()), *short]
    same([*lines, *lines])
    span_lines = SpanLines()
    for _ in range(3):  # the second time, it is known that there are short ones
        found = read(lines, span_lines, 100)
    assert found == read(lines, Parsed())


def test_repeated_is_a_sequence_of_one_value() -> None:
    held = Repeated("a", 3)
    assert [*held] == [held[0], held[-1], "a"] == [*held[:3]]
    assert (len(held), held.count("a"), held.count("b"), len(held[1:])) == (3, 3, 0, 2)
    with pytest.raises(IndexError):
        held[3]


def read_whole(path: Path, span_lines: SpanLines) -> tuple[Any, ...]:
    """Read a file block by block; return rows, counts and progress."""
    reading, progress = ReadCounts(span_lines=span_lines), Progress()
    blocks = [*read_file(path, reading, progress), reading.drain()]
    rows = [row for block in blocks for row in rows_of(block)]
    return (
        sorted(map(repr, rows)),
        (reading.lines, reading.torn, reading.corrupt, reading.first_corrupt, reading.foreign),
        progress,
    )


def outcome(path: Path, span_lines: SpanLines) -> tuple[Any, ...]:
    """Return the result of reading a file, or the error that it raised."""
    try:
        return read_whole(path, span_lines)
    except PairsUnreadableError as error:
        return (str(error),)


def of_another_worker(values: dict[str, object], worker: str) -> bytes:
    made = traces(span(attributes.PAIR_SPAN, {**REQUIRED, **values}))
    resource = {"attributes": [{"key": "service.instance.id", "value": any_value(worker)}]}
    made["resourceSpans"][0]["resource"] = resource
    return orjson.dumps(made) + b"\n"


calm = st.fixed_dictionaries(
    {
        KEYS[0]: st.sampled_from([10.0, 10.0, 10.0, 50.0]),
        KEYS[3]: st.sampled_from(["split", "split", "split", "é"]),
        KEYS[4]: st.floats(0, 1),
        KEYS[6]: st.sampled_from(["web", "web", "web", "pos", ""]),
    }
)
lines_of_a_file = st.one_of(
    st.builds(line, calm, st.integers(1, 99)),
    st.builds(
        lambda values, numbers: together([line(values, each) for each in numbers], ())[0] + b"\n",
        calm,
        st.lists(st.integers(1, 99), min_size=1, max_size=4),
    ),
    st.builds(line, shape, st.integers(1, 99)),
    st.sampled_from(
        [b"\n", b"no json\n", b"{\n", b"{}\n", b"\r\n", line({}).replace(b'"f"', b"{}")]
    ),
    st.builds(of_another_worker, calm, st.sampled_from(["a", "b", "a longer one"])),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=st.lists(lines_of_a_file, max_size=40),
    chunk=st.sampled_from([1, 700, 5_000, 2**18]),
    torn=st.integers(0, 40),
)
def test_a_file_read_by_the_chunk_is_read_as_the_parser_reads_it(
    tmp_path: Path, made: list[bytes], chunk: int, torn: int
) -> None:
    path = tmp_path / "pairs.jsonl"
    whole = b"".join(made)
    path.write_bytes(whole[: len(whole) - torn])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison.pairs.files, "_CHUNK_BYTES", chunk)
        patch.setattr(comparison.pairs.files, "BLOCK_ROWS", 5)
        assert outcome(path, SpanLines()) == outcome(path, Parsed())


def test_very_many_shapes_cost_no_more_than_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    of = patterns.SpanPattern.of

    def counted(span: dict[str, Any]) -> Any:
        made.append(span)
        return of(span)

    monkeypatch.setattr(patterns.SpanPattern, "of", counted)
    lines = [line({f"{attributes.FEATURE}.f{number}": 0.5}) for number in range(MAX_ATTEMPTS + 9)]
    span_lines = SpanLines()
    found = read(lines * 2, span_lines)
    assert len(made) == MAX_ATTEMPTS
    assert len(span_lines.patterns.kept) <= MAX_PATTERNS
    assert found == read(lines * 2, Parsed())


def test_what_the_services_encoder_writes_is_recognised(tmp_path: Any) -> None:
    """Its scores have every form that repr gives floats."""
    file = PairFile(tmp_path)
    scores = [0.25, 0.1 + 0.2, 1 - 2**-53, 1.5e-7, math.pi / 4, 2.5e-17]
    made = [file.span(Scored(score, duration=0.001), Scored(1 - score)) for score in scores]
    span_lines = SpanLines()
    data = bytearray(orjson.dumps(traces(*made)) + b"\n" + bytes(PADDING_BYTES))
    found = span_lines.read(data, [0], [data.index(b"\n")])
    assert (found.spans, found.others) == ([], [])
    assert sum(len(columns[0]) for _, columns in found.columns) == len(scores)
