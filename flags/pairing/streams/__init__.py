"""Pair answers that are streams."""
