"""Numbers of pairs are counted in blocks, as a set of them would be."""

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparison.engines.worker_numbers import distinct_numbers

Numbers = dict[str, list[int]]
Spans = dict[str, tuple[int, int]]
Counts = dict[str, tuple[int, int, int]]

WORKERS = st.sampled_from(["w1", "w2"])
NUMBERS = st.dictionaries(
    WORKERS, st.lists(st.integers(1, 200), min_size=1, max_size=80), min_size=1
)


def counted(numbers: Numbers, spans: Spans | None = None) -> Counts:
    rows = [(worker, number) for worker, held in numbers.items() for number in held]
    table = pa.table({"worker": [w for w, _ in rows], "sequence": [n for _, n in rows]})
    bounds = None
    if spans is not None:
        begin, end = zip(*spans.values(), strict=True)
        bounds = ibis.memtable(pa.table({"worker": [*spans], "begin": begin, "end": end}))
    found = distinct_numbers(ibis.memtable(table), bounds)
    return {worker: (first, last, n) for worker, first, last, n in found.itertuples(index=False)}


def expected(numbers: Numbers, spans: Spans | None = None) -> Counts:
    found = {}
    for worker, held in numbers.items():
        low, high = (0, 10**9) if spans is None else spans.get(worker, (1, 0))
        inside = {each for each in held if low <= each <= high}
        if inside:
            found[worker] = (min(inside), max(inside), len(inside))
    return found


@pytest.mark.parametrize(
    "numbers", [range(1, 33), range(32, 65), range(1, 200), [31, 32, 33], [5, 5, 6], [64, 200]]
)
def test_each_number_counts_once(numbers: list[int]) -> None:
    held = {"w1": [*numbers]}
    assert counted(held) == expected(held)


@pytest.mark.parametrize("span", [(1, 200), (32, 63), (33, 64), (40, 41), (150, 150)])
@pytest.mark.parametrize("again", [[], [41]], ids=["each once", "one twice"])
def test_a_span_cuts_through_blocks(span: tuple[int, int], again: list[int]) -> None:
    numbers = {"w1": [*range(20, 101), 150, *again], "w2": [40]}
    assert counted(numbers, {"w1": span}) == expected(numbers, {"w1": span})


@settings(max_examples=25, deadline=None)
@given(NUMBERS, st.tuples(st.integers(1, 200), st.integers(0, 120)))
def test_any_numbers_are_counted_as_a_set_of_them(numbers: Numbers, span: tuple[int, int]) -> None:
    spans = {"w1": (span[0], span[0] + span[1])}
    assert counted(numbers) == expected(numbers)
    assert counted(numbers, spans) == expected(numbers, spans)
