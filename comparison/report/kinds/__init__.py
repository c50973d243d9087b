"""What the page and the terminal say of outputs that are not scores, one module for each kind.

The module of a kind has `section(found)`, which makes a `Section` of its evidence.
"""
