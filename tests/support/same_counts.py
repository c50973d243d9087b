"""Counts held against each other, with all tables that they are made of."""

import dataclasses

import pandas as pd
import pytest


def assert_same_counts(found: object, expected: object, rtol: float = 0.0) -> None:
    """Hold counts against the right ones; numbers may differ by so small a part."""
    assert type(found) is type(expected)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, rtol=rtol, atol=0.0)
    elif dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            assert_same_counts(getattr(found, field.name), getattr(expected, field.name), rtol)
    elif isinstance(expected, tuple):
        for each, other in zip(found, expected, strict=True):  # type: ignore[call-overload]
            assert_same_counts(each, other, rtol)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)  # type: ignore[call-overload]
        for name, value in expected.items():
            assert_same_counts(found[name], value, rtol)  # type: ignore[index]
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=rtol, abs=0.0, nan_ok=True)
    else:
        assert found == expected
