"""The evidence on each kind of answer, from its counts.

The module of a kind has `evidence(counts, units)`, which returns the evidence that
`flags.gate.checks.<kind>` judges.
"""
