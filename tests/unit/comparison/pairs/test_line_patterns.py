"""A line that is recognised by its shape is read as the JSON parser reads it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import comparison.pairs.files
import comparison.pairs.line_patterns
from comparison.errors import PairsUnreadableError
from comparison.pairs.columns import column_of
from comparison.pairs.files import _SHAPE_ERRORS, Block, Progress, ReadCounts, read_file
from comparison.pairs.line_patterns import FEWEST_ROWS, MOST_ATTEMPTS, MOST_PATTERNS, LinePatterns
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


class Parsed(LinePatterns):
    """Recognise nothing: the parser reads every line."""

    def match(self, line: bytes) -> bool:
        return False

    def match_all(self, lines: bytes) -> tuple[int, bytes]:
        return 0, lines


def read(lines: Sequence[bytes], patterns: LinePatterns) -> tuple[Any, ...]:
    """Return the rows of lines, in no order and without what has no column, and the counts."""
    reading = ReadCounts(patterns=patterns)
    corrupt = unreadable = 0
    for line in lines:
        try:
            corrupt += reading.take_line(line)
        except _SHAPE_ERRORS:
            unreadable += 1
    count, rows = reading.row_count, rows_of(reading.drain())
    assert len(rows) == count
    return sorted(map(repr, rows)), corrupt, unreadable, reading.foreign


def rows_of(block: Block) -> list[list[tuple[str, Any]]]:
    """Return the rows of a block by their names, without what has no column."""
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
    assert read(lines, LinePatterns()) == read(lines, Parsed())


def line(values: dict[str, object], number: int = 1, **fields: object) -> bytes:
    made = span(attributes.PAIR_SPAN, {**REQUIRED, **values}, number=number)
    return orjson.dumps(traces({**made, **fields})) + b"\n"


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


@settings(deadline=None)
@given(st.lists(spans, max_size=8))
def test_lines_of_any_values_are_read_as_the_parser_reads_them(made: list[Any]) -> None:
    same([line(values, number) for values, number in made])


shape = st.fixed_dictionaries(
    {
        KEYS[0]: st.floats(allow_nan=False, allow_infinity=False),
        KEYS[2]: st.booleans(),
        KEYS[3]: words,
        KEYS[4]: st.floats(0, 1),
        KEYS[6]: st.text("ab ~!#", max_size=4),
        KEYS[8]: st.floats(0, 1) | words,
    }
)


@settings(deadline=None)
@given(st.lists(shape, min_size=2, max_size=8))
def test_lines_of_one_shape_are_read_as_the_parser_reads_them(made: list[Any]) -> None:
    same([line(values, number + 1) for number, values in enumerate(made)])


@settings(deadline=None)
@given(
    st.lists(shape, min_size=2, max_size=2),
    st.integers(0, 2_000),
    st.binary(max_size=3),
    st.integers(0, 3),
)
def test_a_line_with_bytes_changed_is_read_as_the_parser_reads_it(
    made: list[Any], place: int, put: bytes, removed: int
) -> None:
    first, second = (line(values, number + 1) for number, values in enumerate(made))
    place %= len(second)
    changed = second[:place] + put + second[place + removed :]
    if b"\n" in changed[:-1]:
        return
    same([first, second, changed, first])


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


def test_most_lines_are_read_by_the_quicker_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else compaction would be half as fast."""
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(
        b"".join(
            line({KEYS[4]: number / 7, KEYS[6]: f"c{number % 3}"}, number + 1)
            for number in range(3 * FEWEST_ROWS)
        )
    )
    monkeypatch.setattr(comparison.pairs.files, "BLOCK_ROWS", FEWEST_ROWS)
    patterns = LinePatterns()
    for _ in read_file(path, ReadCounts(patterns=patterns), Progress()):
        pass
    [known] = patterns._kept
    assert known._quick is not None
    captured = [field.group for field in known._quick.fields if field.group is not None]
    assert len(captured) == len(IDENTITY) + 2


def test_lines_of_a_known_shape_never_meet_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else compaction would be as slow as the parser is."""
    lines = [
        line({KEYS[4]: number / 7, KEYS[6]: f"c{number}", KEYS[2]: number % 2 == 0}, number + 1)
        for number in range(1, 50)
    ]
    reading, parsed = ReadCounts(), []
    loads = orjson.loads
    monkeypatch.setattr(
        "comparison.pairs.files.orjson.loads", lambda text: parsed.append(text) or loads(text)
    )
    for each in lines:
        reading.take_line(each)
    whole = [each for each in parsed if each.startswith(b"{")]
    assert len(whole) == 1
    assert reading.row_count == 49


def read_whole(path: Path, patterns: LinePatterns) -> tuple[Any, ...]:
    """Return rows, counts and how far a file was read, which is read block by block."""
    reading, progress = ReadCounts(patterns=patterns), Progress()
    blocks = [*read_file(path, reading, progress), reading.drain()]
    rows = [row for block in blocks for row in rows_of(block)]
    return (
        sorted(map(repr, rows)),
        (reading.lines, reading.torn, reading.corrupt, reading.first_corrupt, reading.foreign),
        progress,
    )


def outcome(path: Path, patterns: LinePatterns) -> tuple[Any, ...]:
    """Return what reading a file came to: what it read, or what it raised."""
    try:
        return read_whole(path, patterns)
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
        patch.setattr(comparison.pairs.line_patterns, "FEWEST_ROWS", 2)
        patch.setattr(comparison.pairs.line_patterns, "FEWEST_SHARED", 1)
        assert outcome(path, LinePatterns()) == outcome(path, Parsed())


def test_very_many_shapes_cost_no_more_than_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    pattern = comparison.pairs.line_patterns._Expression.line_pattern

    def counted(self: Any, *arguments: Any) -> Any:
        made.append(self)
        return pattern(self, *arguments)

    monkeypatch.setattr(comparison.pairs.line_patterns._Expression, "line_pattern", counted)
    lines = [line({f"{attributes.FEATURE}.f{number}": 0.5}) for number in range(MOST_ATTEMPTS + 9)]
    patterns = LinePatterns()
    found = read(lines * 2, patterns)
    assert len(made) == MOST_ATTEMPTS
    assert len(patterns._kept) <= MOST_PATTERNS
    assert found == read(lines * 2, Parsed())


def test_what_the_services_encoder_writes_is_recognised(tmp_path: Any) -> None:
    """The floats of its scores are written in every way that repr has."""
    file = PairFile(tmp_path)
    scores = [0.25, 0.1 + 0.2, 1 - 2**-53, 1.5e-7, math.pi / 4, 2.5e-17]
    made = [
        orjson.dumps(traces(file.span(Scored(score, duration=0.001), Scored(1 - score))))
        for score in scores
    ]
    reading = ReadCounts()
    for each in made[:2]:
        reading.take_line(each)
    assert all(reading.patterns.match(each) for each in made[2:])
