"""Kinds of answers: what an output is compared by, one module for each kind.

`registry.py` names them. A kind has a module of its name here and in `comparison.counts.kinds`,
`comparison.evidence.kinds`, `flags.gate.checks` and `comparison.report.kinds`.
"""
