"""A document that is parse_element flag by flag says what it says to the parser of the whole."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.unleash.feature_list import parse_element, parse_features, with_pauses

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values, st.dictionaries(st.text(max_size=5), values, max_size=3), st.sampled_from([None, 2]))
def test_a_document_is_what_the_parser_of_the_whole_makes_of_it(
    features: Any, others: dict[str, Any], indent: int | None
) -> None:
    document = {**others, "features": features, "z": others}
    found, texts = parse_features(json.dumps(document, indent=indent))
    if not isinstance(features, list):
        assert texts is None
        assert found == document
        return
    assert texts is not None
    assert [parse_element(text) for text in texts] == features
    assert {**found, "features": features} == document


@given(st.text('{}[]:,"ab1 \n', max_size=12) | values.map(json.dumps))
def test_what_is_not_json_is_refused_and_nothing_else(text: str) -> None:
    for each in (text, f'{{"features":{text}}}', f'{{"features":[{text}]}}', f"{{{text}}}"):
        try:
            whole = json.loads(each)
        except ValueError:
            with pytest.raises(ValueError, match=r"char|line"):
                parse_features(each)
            continue
        found, texts = parse_features(each)
        is_list = isinstance(whole, dict) and isinstance(whole.get("features"), list)
        assert (texts is not None) == is_list
        if texts is not None:
            assert [parse_element(text) for text in texts] == whole["features"]
        else:
            assert found == whole


def test_of_several_arrays_with_the_name_the_last_counts() -> None:
    _, texts = parse_features('{"features":[1],"features":[2, {"a": "]"}]}')
    assert texts == ["2", '{"a": "]"}']


def test_rests_leave_nothing_out() -> None:
    assert list(with_pauses(range(100))) == list(range(100))
