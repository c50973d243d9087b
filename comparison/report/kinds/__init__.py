"""The sections of outputs that are not scores, for page and terminal; one module for each kind.

The module of a kind has `section(evidence)`, which returns a `Section`.
"""
