"""The gate: `decide` makes a verdict of evidence and playbook."""

from flags.gate.decide import decide
from flags.gate.verdict import Check, Decision, Outcome, Verdict

__all__ = ["Check", "Decision", "Outcome", "Verdict", "decide"]
