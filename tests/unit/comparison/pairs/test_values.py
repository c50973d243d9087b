"""Sequences without Python objects have the values that they were made of."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison.pairs.column_types import CATEGORY, NUMBER, TEXT
from comparison.pairs.spans.values import Floats, Repeated, Texts, joined, split_text

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
floats = st.lists(st.floats(allow_nan=False))


def as_texts(values: list[str]) -> Sequence[str]:
    encoded = [each.encode() for each in values]
    return split_text(b"".join(encoded), np.array([len(each) for each in encoded], np.intp))


def as_floats(values: list[float]) -> Floats:
    return Floats(np.array(values, np.float64))


@given(texts, texts)
def test_texts_are_cut_where_they_end(first: list[str], second: list[str]) -> None:
    both = joined(as_texts(first), as_texts(second))
    assert isinstance(both, Texts)
    assert [*both] == [both[place] for place in range(len(both))] == first + second
    assert [*both[1:3]] == (first + second)[1:3]


@given(texts)
def test_texts_are_cut_without_arrow_too(values: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow", None)
        assert as_texts(values) == values


@given(floats, floats)
def test_doubles_are_python_s_own(first: list[float], second: list[float]) -> None:
    both = joined(as_floats(first), as_floats(second))
    assert [*both] == [both[place] for place in range(len(both))] == first + second
    assert [*both[1:3]] == (first + second)[1:3]
    assert {type(each) for each in both} <= {float}


@given(texts, floats)
def test_values_of_different_kinds_are_joined_as_objects(
    some: list[str], others: list[float]
) -> None:
    assert [*joined(as_texts(some), as_floats(others))] == [*some, *others]
    assert [*joined(as_floats(others), Repeated("a", 2))] == [*others, "a", "a"]


@given(texts.filter(len))
def test_columns_of_texts_are_those_of_lists(values: list[str]) -> None:
    for kind in (TEXT, CATEGORY):
        found, wanted = (kind.join([kind.part(each)]) for each in (as_texts(values), values))
        assert found.equals(wanted)


@given(floats.filter(len))
def test_columns_of_doubles_are_those_of_lists(values: list[float]) -> None:
    for kind in (NUMBER, CATEGORY, TEXT):
        held: list[Any] = [kind.join([kind.part(each)]) for each in (as_floats(values), values)]
        assert [*held[0]] == [*held[1]]


def test_an_index_out_of_range_is_an_error() -> None:
    for values in (as_texts(["a"]), as_floats([1.0]), Repeated("a", 1)):
        with pytest.raises(IndexError):
            values[1]
