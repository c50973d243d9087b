"""Counts of one kind of answer each; `window.py` holds what they are counted in.

The module of a kind has `outputs(window)`, the names of those that it counts, and
`count(window, output)`, which makes mergeable tables of one.
"""
