"""What the page and the terminal say of outputs that are no scores, one module for each kind.

The module of a kind has `section(found)`, which makes a `Section` of its evidence.
"""
