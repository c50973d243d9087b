"""Count answers by their kind, a module for each; `window.py` has what all kinds share.

The module of a kind has `outputs(window)`, which returns the names of the outputs of that kind, and
`count(window, output)`, which reduces one output to mergeable tables.
"""
