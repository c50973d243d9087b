"""What each engine is told about texts in its own way."""

import re
from typing import Any

import ibis
import ibis.expr.types as ir

_PATTERNS = ("pyspark",)
"""Engines that take the word for a pattern."""


def told_apart(text: ir.StringValue) -> Any:
    """Return what is equal where texts are, and no text where that takes less memory.

    DuckDB groups by numbers of eight bytes in a fraction of what texts take. They are hashes of 64
    bits: among five million texts, two that are taken for one turn up once in 1.5 million cases.
    """
    if text.get_backend().name != "duckdb":
        return text
    return ibis.ifelse(text.notnull(), text.hash().cast("int64"), None)


def parts_at(text: ir.StringValue, word: str) -> Any:
    """Return the parts of a text before, between and after each occurrence of a word."""
    is_pattern = text.get_backend().name in _PATTERNS
    return text.split(re.escape(word) if is_pattern else word)


def occurrences(text: ir.StringValue, word: str) -> Any:
    """Count how often a text has a word; by splitting, since engines replace one or all of them."""
    return parts_at(text, word).length().cast("int64") - 1
