"""Judges of texts: models or people that prefer one of two answers to a prompt."""

from comparison.judges.judge import Judge, Judgment

__all__ = ["Judge", "Judgment"]
