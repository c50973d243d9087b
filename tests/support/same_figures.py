"""Figures of a comparison held against each other."""

from collections.abc import Iterator
from typing import Any

import pytest

from comparison.summary.figures import Summary
from comparison.summary.plain import as_plain


def assert_same_figures(found: Summary, wanted: Summary) -> None:
    """Hold figures against those that are right."""
    assert_same_document(as_plain(found), as_plain(wanted))


def assert_same_document(found: Any, wanted: Any) -> None:
    """Hold a document against the right one: counts and texts as they are, numbers nearly."""
    assert list(_leaves(found)) == [
        (path, pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value)
        for path, value in _leaves(wanted)
    ]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a document holds, in its order."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{path}.{name}")
    elif isinstance(value, list):
        yield path, len(value)
        for place, each in enumerate(value):
            yield from _leaves(each, f"{path}[{place}]")
    else:
        yield path, value
