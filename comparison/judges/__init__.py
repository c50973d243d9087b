"""Judges of texts: whoever says which of two answers to a prompt is the better one."""

from comparison.judges.judge import Judge, Judgment

__all__ = ["Judge", "Judgment"]
