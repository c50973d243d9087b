"""Pair spans as text: many at a time, held against patterns."""
