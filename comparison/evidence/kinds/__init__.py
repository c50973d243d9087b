"""Evidence on one kind of answer each, from its counts.

The module of a kind has `evidence(counts, volume)`, which returns what `flags.gate.checks.<kind>`
reads.
"""
