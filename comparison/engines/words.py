"""A text taken apart at a word, which each engine is told in its own way."""

import re
from typing import Any

import ibis.expr.types as ir

_PATTERNS = ("pyspark",)
"""Engines that take the word for a pattern."""


def parts_at(text: ir.StringValue, word: str) -> Any:
    """Return the parts of a text before, between and after each occurrence of a word."""
    is_pattern = text.get_backend().name in _PATTERNS
    return text.split(re.escape(word) if is_pattern else word)


def occurrences(text: ir.StringValue, word: str) -> Any:
    """Count how often a text has a word; by splitting, since engines replace one or all of them."""
    return parts_at(text, word).length().cast("int64") - 1
